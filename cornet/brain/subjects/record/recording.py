"""Record several sites of a subject in one pass over a stimulus set, in bounded memory.

Threads decode images ahead of the network. Small sites are stored in arrays, large ones in memory-mapped files.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.subjects.record.recording_cache import RecordingCache, RowFile, warn_unwritable
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.memory import OutOfMemory, free_memory, out_of_memory
from cornet.stimuli.screen import check_degrees, grey_screens, place_on_screen
from cornet.stimuli.stimulus_set import StimulusSet
from cornet.terminal import counting_bar

__all__ = ["DEFAULT_MEMORY", "DTYPES", "Extractor", "Screen", "feature_counts", "record_pass"]

DEFAULT_MEMORY = 4 * 10**9
"""Bytes of features that a recording holds in memory; larger sites are memory maps."""

DTYPES = {"float32": torch.float32, "float16": torch.float16}
"""Storage types of features. float16 halves the size and rounds each value by at most 1 part in 2048."""

Extractor = Callable[[Tensor, Sequence[Site]], Mapping[Site, Tensor]]
"""(screens (batch, 3, size, size) uint8 on the device, sites) -> features (batch, feature) by site."""


@dataclass(frozen=True)
class Screen:
    """The subject's screen: pixels and degrees of visual angle per side."""

    size: int
    degrees: float


def record_pass(
    stimuli: StimulusSet,
    sites: Sequence[Site],
    extract: Extractor,
    screen: Screen,
    degrees: float,
    device: torch.device,
    *,
    keys: Mapping[Site, str] | None = None,
    cache: RecordingCache | None = None,
    memory: int = DEFAULT_MEMORY,
    dtype: str = "float32",
    batch: int | None = None,
    label: str = "",
    screen_cache: ScreenCache | None = None,
) -> dict[Site, NDArray[Any]]:
    """Show all stimuli once and record the sites: {site: (stimulus, feature)} of `dtype`.

    degrees: visual angle of the stimuli. keys: cache key of each site. memory: bytes of features held in memory, used
    for the smallest sites first. batch: images per forward pass; None: a fast size that fits. label: label of the
    progress bar. screen_cache: cache of decoded screens.

    Raises CornetError for a stimulus that cannot be read, for features out of the range of float16, and if features fit
    neither in memory nor on disk. A failed recording is discarded.
    """
    check_degrees(degrees, screen.degrees)
    widths, batch = _probe(extract, sites, screen, device, memory, batch)
    store = _FeatureStore(sites, widths, len(stimuli), keys or {}, cache, memory, np.dtype(dtype))
    done = 0
    try:
        with (
            counting_bar(label, len(stimuli)) as progress,
            _screens(stimuli, screen, degrees, batch, screen_cache) as screens,
        ):
            for images in screens:
                for part in _extract_in_parts(extract, images, sites, device):
                    rows = {site: _to_host(values, site, dtype) for site, values in part.items()}
                    store.put(done, rows)
                    done += len(next(iter(rows.values())))
                    progress(done)
        return store.finish()
    finally:
        store.discard()


def feature_counts(
    extract: Extractor, sites: Sequence[Site], screen: Screen, device: torch.device
) -> dict[Site, int]:
    """Number of features of each site. Raises OutOfMemory if one image does not fit on the device."""
    features = _try_extract(extract, grey_screens(1, screen.size), sites, device)
    if features is None:
        free_memory()
        raise _out_of_memory(screen.size, device)
    return {site: int(values.shape[1]) for site, values in features.items()}


class _FeatureStore:
    """Stores the features of each site in an array, a file, or both."""

    def __init__(
        self,
        sites: Sequence[Site],
        widths: Mapping[Site, int],
        stimuli: int,
        keys: Mapping[Site, str],
        cache: RecordingCache | None,
        memory: int,
        dtype: np.dtype[Any],
    ) -> None:
        self.cache, self.stimuli, self.dtype, self.keys = cache, stimuli, dtype, keys
        self.arrays: dict[Site, NDArray[Any]] = {}
        self.files: dict[Site, RowFile] = {}
        memory_left = memory
        for site in sorted(dict.fromkeys(sites), key=lambda site: widths[site]):
            shape = (stimuli, widths[site])
            memory_left -= shape[0] * shape[1] * dtype.itemsize
            file = cache.writer(keys[site], *shape, dtype) if cache else None
            if file is None and memory_left < 0:
                with contextlib.suppress(OSError):  # fall back to memory
                    file = RowFile(None, shape, dtype)
            if file is not None:
                self.files[site] = file
            if file is None or memory_left >= 0:
                try:
                    self.arrays[site] = np.empty(shape, dtype)
                except MemoryError:
                    self.discard()
                    raise OutOfMemory(
                        f"{site} has {shape[1]:,} features, which for {stimuli:,} stimuli do not fit in memory; record "
                        "fewer or smaller sites."
                    ) from None

    def put(self, start: int, rows: Mapping[Site, NDArray[Any]]) -> None:
        for site, block in rows.items():
            if site in self.arrays:
                self.arrays[site][start : start + len(block)] = block
            if site in self.files:
                with self._handle_write_error(site):
                    self.files[site].append(block)

    def finish(self) -> dict[Site, NDArray[Any]]:
        """Complete the files and return the features by site."""
        for site in list(self.files):
            with self._handle_write_error(site):
                self.files[site].finish()
        features = dict(self.arrays)
        for site in self.files.keys() - self.arrays.keys():
            file = self.files[site]
            if file.path is None or self.cache is None:
                features[site] = file.mapped()
                continue
            cached = self.cache.read(self.keys[site], self.stimuli, self.dtype)
            if cached is None:
                raise CornetError(f"the recording of {site} at {file.path} is damaged; record it again.")
            features[site] = cached
        if self.cache is not None:
            self.cache.trim()
        return features

    def discard(self) -> None:
        """Remove incomplete files."""
        for file in self.files.values():
            file.discard()

    @contextlib.contextmanager
    def _handle_write_error(self, site: Site) -> Iterator[None]:
        """On a write error, drop the file if the site is also in memory, or else raise CornetError."""
        try:
            yield
        except OSError as error:
            file = self.files.pop(site)
            file.discard()
            if site not in self.arrays:
                needed = file.shape[0] * file.shape[1] * file.dtype.itemsize
                variable = "TMPDIR" if file.path is None else "CORNET_CACHE"
                raise CornetError(
                    f"the {needed:,} bytes of {site} could not be written to {file.folder} "
                    f"({error.strerror or error}); free disk space, set {variable} to another folder, or allow more "
                    "memory than that."
                ) from error
            warn_unwritable(file.folder, error)


def _probe(
    extract: Extractor,
    sites: Sequence[Site],
    screen: Screen,
    device: torch.device,
    memory: int,
    batch: int | None,
) -> tuple[dict[Site, int], int]:
    """Number of features of each site, and the batch size, measured with blank screens."""
    widths = feature_counts(extract, sites, screen, device)
    if batch is not None:
        return widths, batch
    if device.type == "cuda":
        batch = _largest_batch(extract, sites, screen, device)
    else:  # larger batches are not faster on a CPU once its caches are full
        batch = min(256, 32 * 224**2 // screen.size**2)
    row_bytes = 4 * sum(widths.values())
    return widths, max(1, min(batch, memory // (4 * row_bytes)))


def _largest_batch(extract: Extractor, sites: Sequence[Site], screen: Screen, device: torch.device) -> int:
    """Images that fit in half of the free GPU memory, estimated from the peaks for one and nine images."""
    peaks = []
    try:
        for count in (1, 9):
            torch.cuda.reset_peak_memory_stats(device)
            extract(grey_screens(count, screen.size).to(device), sites)
            peaks.append(torch.cuda.max_memory_allocated(device))
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return 1
    image_bytes = max(1, (peaks[1] - peaks[0]) // 8)
    return max(1, min(512, torch.cuda.mem_get_info(device)[0] // 2 // image_bytes))


@contextlib.contextmanager
def _screens(
    stimuli: StimulusSet, screen: Screen, degrees: float, batch: int, cache: ScreenCache | None = None
) -> Iterator[Iterator[Tensor]]:
    """Batches of screens (batch, 3, size, size) uint8 in the order of the stimuli, decoded ahead by threads."""
    workers = min(8, os.cpu_count() or 1)
    starts = range(0, len(stimuli), batch)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="cornet-decode")
    cached = cache.entry(stimuli, screen.size, degrees / screen.degrees) if cache else None

    def screen_of(index: int) -> Tensor:
        if cached is not None and cached.filled[index]:
            return torch.from_numpy(cached.screens[index])
        placed = place_on_screen(stimuli.pictures[index], degrees, screen.degrees, screen.size)
        if cached is not None:
            cached.screens[index] = placed.numpy()
            cached.filled[index] = True
        return placed

    def submit(start: int) -> list[Future[Tensor]]:
        return [pool.submit(screen_of, i) for i in range(start, min(start + batch, len(stimuli)))]

    def batches() -> Iterator[Tensor]:
        pending = [submit(start) for start in starts[:2]]
        for position in range(len(starts)):
            images = torch.stack([future.result() for future in pending.pop(0)])
            if position + 2 < len(starts):
                pending.append(submit(starts[position + 2]))
            yield images

    try:
        yield batches()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _extract_in_parts(
    extract: Extractor, images: Tensor, sites: Sequence[Site], device: torch.device
) -> Iterator[Mapping[Site, Tensor]]:
    """Features of a batch, in smaller and smaller parts if the device runs out of memory."""
    parts = 1
    start = 0
    while start < len(images):
        part = images[start : start + -(-len(images) // parts)]
        features = _try_extract(extract, part, sites, device)
        if features is not None:
            yield features
            start += len(part)
            continue
        if len(part) == 1:
            raise _out_of_memory(images.shape[-1], device)
        parts *= 2
        free_memory()


def _try_extract(
    extract: Extractor, images: Tensor, sites: Sequence[Site], device: torch.device
) -> Mapping[Site, Tensor] | None:
    """Features of a batch, or None if memory runs out; the tensors of the failed attempt are then freed."""
    try:
        return extract(images.to(device), sites)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None


def _out_of_memory(size: int, device: torch.device) -> OutOfMemory:
    remedy = (
        "leave out stimuli or sites" if device.type == "cpu" else "record on the CPU, or fewer sites at once"
    )
    return OutOfMemory(
        f"one image of {size} pixels per side does not fit in the memory of {device}; {remedy}, or use a smaller size."
    )


def _to_host(values: Tensor, site: Site, dtype: str) -> NDArray[Any]:
    stored = values.to(DTYPES[dtype]).cpu()
    if dtype == "float16" and bool((stored.isinf() & values.cpu().isfinite()).any()):
        largest = float(values.abs().max())
        raise CornetError(
            f"{site} has features up to {largest:.3g}, but the largest float16 is 65504; record it as float32."
        )
    return stored.numpy()
