"""One pass over a stimulus set: all requested sites of a subject at once, in bounded memory.

Threads decode images ahead of the network. Small sites go to arrays, large ones to memory-mapped files.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.subjects.recording_cache import RecordingCache, RowFile, note_unwritable
from cornet.brain.subjects.screen_cache import KeptScreens
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.memory import OutOfMemory, free_memory, out_of_memory
from cornet.stimuli.screen import check_degrees, grey_screens, place_on_screen
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["DEFAULT_MEMORY", "DTYPES", "Answer", "Screen", "feature_counts", "record_pass"]

DEFAULT_MEMORY = 4 * 10**9
"""Bytes of features that a recording holds in memory; larger sites are mapped from the disk."""

DTYPES = {"float32": torch.float32, "float16": torch.float16}
"""How features are stored. float16 halves them and rounds each value by at most 1 part in 2048."""

Answer = Callable[[Tensor, Sequence[Site]], Mapping[Site, Tensor]]
"""(screens (batch, 3, size, size) uint8 on the device, sites) -> by site, (batch, feature)."""


@dataclass(frozen=True)
class Screen:
    """What a subject sees: pixels a side, and the degrees of visual angle that these span."""

    size: int
    degrees: float


class Progress(Protocol):
    def __call__(self, done: int) -> None: ...


def record_pass(
    stimuli: StimulusSet,
    sites: Sequence[Site],
    answer: Answer,
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
    kept: KeptScreens | None = None,
) -> dict[Site, NDArray[Any]]:
    """Show all stimuli once and keep these sites: {site: (stimulus, feature)} of `dtype`.

    degrees: visual angle of the stimuli. keys: by site, the name in the cache. memory: bytes of features held in
    memory; the smallest sites are held there as far as it reaches. batch: images at once; None: as many as is quick
    and fits. label: of the progress bar. kept: where screens are kept for the next time.

    Raises CornetError for a stimulus that cannot be read, for features that float16 cannot hold, and where features
    find room neither in memory nor on the disk. What was recorded by then is not kept.
    """
    check_degrees(degrees, screen.degrees)
    widths, batch = _probe(answer, sites, screen, device, memory, batch)
    keepers = _Keepers(sites, widths, len(stimuli), keys or {}, cache, memory, np.dtype(dtype))
    done = 0
    try:
        with (
            _progress(label, len(stimuli)) as progress,
            _screens(stimuli, screen, degrees, batch, kept) as screens,
        ):
            for images in screens:
                for part in _answers(answer, images, sites, device):
                    rows = {site: _to_host(values, site, dtype) for site, values in part.items()}
                    keepers.put(done, rows)
                    done += len(next(iter(rows.values())))
                    progress(done)
        return keepers.finish()
    finally:
        keepers.discard()


def feature_counts(
    answer: Answer, sites: Sequence[Site], screen: Screen, device: torch.device
) -> dict[Site, int]:
    """How many features each site has."""
    answers = _answer_that_fits(answer, grey_screens(1, screen.size), sites, device)
    if answers is None:
        free_memory()
        raise _too_large(screen.size, device)
    return {site: int(values.shape[1]) for site, values in answers.items()}


class _Keepers:
    """Where the features of each site go: an array, a file, or both."""

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
        room = memory
        for site in sorted(dict.fromkeys(sites), key=lambda one: widths[one]):
            shape = (stimuli, widths[site])
            room -= shape[0] * shape[1] * dtype.itemsize
            file = cache.writer(keys[site], *shape, dtype) if cache else None
            if file is None and room < 0:
                with contextlib.suppress(OSError):  # then memory must do
                    file = RowFile(None, shape, dtype)
            if file is not None:
                self.files[site] = file
            if file is None or room >= 0:
                try:
                    self.arrays[site] = np.empty(shape, dtype)
                except MemoryError:
                    self.discard()
                    raise OutOfMemory(
                        f"{site} has {shape[1]:,} features, which for {stimuli:,} stimuli do not fit in memory; record "
                        "fewer sites at once, or a smaller one."
                    ) from None

    def put(self, start: int, rows: Mapping[Site, NDArray[Any]]) -> None:
        for site, block in rows.items():
            if site in self.arrays:
                self.arrays[site][start : start + len(block)] = block
            if site in self.files:
                with self._failing(site):
                    self.files[site].append(block)

    def finish(self) -> dict[Site, NDArray[Any]]:
        """The features by site, with whole files in their places."""
        for site in list(self.files):
            with self._failing(site):
                self.files[site].finish()
        found = dict(self.arrays)
        for site in self.files.keys() - self.arrays.keys():
            file = self.files[site]
            if file.path is None or self.cache is None:
                found[site] = file.mapped()
                continue
            kept = self.cache.read(self.keys[site], self.stimuli, self.dtype)
            if kept is None:
                raise CornetError(
                    f"the recording of {site} at {file.path} was damaged meanwhile; record it again."
                )
            found[site] = kept
        if self.cache is not None:
            self.cache.trim()
        return found

    def discard(self) -> None:
        """Remove what is half-written."""
        for file in self.files.values():
            file.discard()

    @contextlib.contextmanager
    def _failing(self, site: Site) -> Iterator[None]:
        """A disk that fills up costs the cache of a site held in memory; without that array it ends the recording."""
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
                    f"({error.strerror or error}); make room, set {variable} to another folder, or let more than "
                    "that be held in memory."
                ) from error
            note_unwritable(file.folder, error)


def _probe(
    answer: Answer,
    sites: Sequence[Site],
    screen: Screen,
    device: torch.device,
    memory: int,
    batch: int | None,
) -> tuple[dict[Site, int], int]:
    """Features of each site, and how many images to show at once: seen from an empty screen."""
    widths = feature_counts(answer, sites, screen, device)
    if batch is not None:
        return widths, batch
    if device.type == "cuda":
        batch = _fitting(answer, sites, screen, device)
    else:  # on a CPU larger batches gain nothing once the caches are full
        batch = min(256, 32 * 224**2 // screen.size**2)
    a_row = 4 * sum(widths.values())
    return widths, max(1, min(batch, memory // (4 * a_row)))


def _fitting(answer: Answer, sites: Sequence[Site], screen: Screen, device: torch.device) -> int:
    """How many images fit in half of what is free on a GPU, from what one and nine need at most."""
    peaks = []
    try:
        for count in (1, 9):
            torch.cuda.reset_peak_memory_stats(device)
            answer(grey_screens(count, screen.size).to(device), sites)
            peaks.append(torch.cuda.max_memory_allocated(device))
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return 1
    an_image = max(1, (peaks[1] - peaks[0]) // 8)
    return max(1, min(512, torch.cuda.mem_get_info(device)[0] // 2 // an_image))


@contextlib.contextmanager
def _screens(
    stimuli: StimulusSet, screen: Screen, degrees: float, batch: int, kept: KeptScreens | None = None
) -> Iterator[Iterator[Tensor]]:
    """Batches of screens (batch, 3, size, size) uint8 in the stimuli's order, made ahead by threads."""
    workers = min(8, os.cpu_count() or 1)
    starts = range(0, len(stimuli), batch)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="cornet-decode")

    store = kept.of(stimuli, screen.size, degrees / screen.degrees) if kept else None

    def screen_of(index: int) -> Tensor:
        if store is not None and store.there[index]:
            return torch.from_numpy(store.screens[index])
        placed = place_on_screen(stimuli.pictures[index], degrees, screen.degrees, screen.size)
        if store is not None:
            store.screens[index] = placed.numpy()
            store.there[index] = True
        return placed

    def ask(start: int) -> list[Future[Tensor]]:
        return [pool.submit(screen_of, i) for i in range(start, min(start + batch, len(stimuli)))]

    def batches() -> Iterator[Tensor]:
        waiting = [ask(start) for start in starts[:2]]
        for position in range(len(starts)):
            images = torch.stack([future.result() for future in waiting.pop(0)])
            if position + 2 < len(starts):
                waiting.append(ask(starts[position + 2]))
            yield images

    try:
        yield batches()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _answers(
    answer: Answer, images: Tensor, sites: Sequence[Site], device: torch.device
) -> Iterator[Mapping[Site, Tensor]]:
    """The answers to a batch, in halves and quarters of it where the device's memory does not hold the whole."""
    parts = 1
    start = 0
    while start < len(images):
        some = images[start : start + -(-len(images) // parts)]
        answers = _answer_that_fits(answer, some, sites, device)
        if answers is not None:
            yield answers
            start += len(some)
            continue
        if len(some) == 1:
            raise _too_large(images.shape[-1], device)
        parts *= 2
        free_memory()


def _answer_that_fits(
    answer: Answer, images: Tensor, sites: Sequence[Site], device: torch.device
) -> Mapping[Site, Tensor] | None:
    """None where memory does not reach; the failed attempt's tensors are then gone."""
    try:
        return answer(images.to(device), sites)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None


def _too_large(size: int, device: torch.device) -> OutOfMemory:
    remedy = (
        "leave stimuli or sites out" if device.type == "cpu" else "record on the CPU, or fewer sites at once"
    )
    return OutOfMemory(
        f"one image of {size} pixels a side does not fit in the memory of {device}; {remedy}, or choose a smaller size."
    )


def _to_host(values: Tensor, site: Site, dtype: str) -> NDArray[Any]:
    stored = values.to(DTYPES[dtype]).cpu()
    if dtype == "float16" and bool((stored.isinf() & values.cpu().isfinite()).any()):
        largest = float(values.abs().max())
        raise CornetError(
            f"{site} has features up to {largest:.3g}, but float16 ends at 65504; record it as float32."
        )
    return stored.numpy()


@contextlib.contextmanager
def _progress(label: str, total: int) -> Iterator[Progress]:
    """A bar on the terminal's standard error, with the time left; without a label or a terminal, nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if not label or not console.is_terminal or console.is_dumb_terminal:
        yield lambda done: None
        return
    from rich import progress as rich

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(None),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)
