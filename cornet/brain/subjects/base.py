"""Base class of subjects that see images on a screen: recording in one pass, and caching."""

import contextlib
import copy
import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import nn

from cornet.brain.subjects.record.recording import DEFAULT_MEMORY, DTYPES, Screen, feature_counts, record_pass
from cornet.brain.subjects.record.recording_cache import RecordingCache
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.step_times import Interval
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError, check_choice
from cornet.hashing import code_version, digest
from cornet.sizes import check_pixels
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ScreenSubject", "eval_mode", "site_or_layer", "suggestion", "to_site"]


class ScreenSubject(ABC):
    """A subject that sees images on a screen of `size` pixels and `degrees` of visual angle per side."""

    def __init__(
        self,
        name: str,
        size: int,
        degrees: float,
        device: torch.device | str | None,
        precision: str = "float32",
    ) -> None:
        check_pixels("size", size)
        if not 0 < degrees < float("inf"):
            raise CornetError(f"degrees={degrees!r} must be a visual angle above 0; the default is 8.")
        check_choice("precision", precision, ("auto", "bfloat16", "float32"))
        self.name, self.precision = name, precision
        self.size = int(size)
        self.degrees = float(degrees)
        self._device = None if device is None else checked_device(device)
        self.regions: dict[str, Site | str] = {}
        self.sketch: int | None = None  # see `cornet.brain.subjects.record.sketch`
        self._shapes: dict[Site, tuple[int, ...]] = {}  # of sites that were recorded, without the batch
        self.caches = True  # store recordings on disk; not worth it while the weights change
        # Set for a subject that is shown the same stimuli repeatedly.
        self.screen_cache: ScreenCache | None = None

    @property
    @abstractmethod
    def identity(self) -> str:
        """Hash of everything that the features of a stimulus depend on."""

    @abstractmethod
    def sites(self) -> list[Site]: ...

    @abstractmethod
    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site: ...

    @abstractmethod
    def readout_site(self) -> Site: ...

    def region_sites(self) -> list[Site]:
        """The sites that can stand for a brain region: areas, or the layers assigned to regions, at every step."""
        return self.sites()

    def first_interval(self, region: str) -> Interval | None:
        """The (start, end) in ms of the first step of a region that the image reaches; None if unknown."""
        return None

    @abstractmethod
    def _extractor(self, sites: Sequence[Site]) -> Any:
        """Context manager that gives an `Extractor` and its device, and restores the subject on exit."""

    def _recording_device(self) -> torch.device:
        """The device on which features are computed."""
        return self._device or torch.device("cpu")

    def _precision(self) -> str:
        if self.precision == "auto":
            return "bfloat16" if self._recording_device().type == "cuda" else "float32"
        return self.precision

    def _settings(self) -> list[Any]:
        """What features depend on besides the network: screen, numerical precision, code."""
        backends: Any = torch.backends
        device = self._recording_device().type
        matmul, conv = (
            (backends.cuda.matmul, backends.cudnn.conv)
            if device == "cuda"
            else (backends.mkldnn.matmul, backends.mkldnn.conv)
        )
        # The default "none" computes like "ieee". Replacing it lets training and scoring share cache entries.
        rounding = [backend.fp32_precision.replace("none", "ieee") for backend in (matmul, conv)]
        code = code_version(*(kind.__module__ for kind in type(self).__mro__))
        found = [self.size, self.degrees, device, self._precision(), rounding, code]
        return found if self.sketch is None else [*found, "sketch", self.sketch]

    def _check_site(self, site: Site) -> None:
        """Raise CornetError if a site cannot be recorded."""
        known = self.sites()
        if site not in known:
            raise CornetError(f"{self.name} has no {site}; {suggestion(str(site), map(str, known))}")

    def with_regions(self, regions: Mapping[str, Site | str]) -> Self:
        """Copy of the subject with these sites for these regions: a Site, or text such as "V4[2]" or "layer3".

        A site with a step is used for every time bin. For a layer without a step, the time bin selects the step.
        Raises CornetError for a site that cannot be recorded.
        """
        chosen = {region: site_or_layer(value) for region, value in regions.items()}
        for value in chosen.values():
            self._check_site(value if isinstance(value, Site) else Site(value))
        subject = copy.copy(self)
        subject.regions = {**self.regions, **chosen}
        return subject

    def with_sketch(self, width: int) -> Self:
        """Copy of the subject that records sites of more than `width` features as `width` random sums."""
        subject = copy.copy(self)
        subject.sketch = width
        return subject

    def widths(self, sites: Sequence[Site]) -> dict[Site, int]:
        """Number of features of each site, from a forward pass of a blank screen."""
        with self._extractor(sites) as (extract, device):
            return feature_counts(extract, sites, Screen(self.size, self.degrees), device)

    def shapes(self, sites: Sequence[Site]) -> dict[Site, tuple[int, ...]]:
        """The shape of each site's features before they are flattened, such as (channel, y, x).

        It is found by a forward pass of a blank screen. Sites whose shape is unknown have (feature,).
        """
        missing = [site for site in sites if site not in self._shapes]
        if missing:
            widths = self.widths(missing)
            self._shapes.update({site: (widths[site],) for site in missing if site not in self._shapes})
        return {site: self._shapes[site] for site in sites}

    def record(
        self,
        stimuli: StimulusSet,
        sites: Sequence[Site],
        degrees: float | None = None,
        label: str = "",
        *,
        cache: RecordingCache | bool | None = None,
        memory: int = DEFAULT_MEMORY,
        dtype: str = "float32",
        batch: int | None = None,
    ) -> Recording:
        """Show all stimuli once and record these sites, or read them from the cache.

        degrees: visual angle of the stimuli; None: that of the stimulus set, or else of this subject.
        label: label of the progress bar. cache: False: no cache; True: the one in `cornet.files.cache_folder()`; None:
        as the attribute `caches`.
        memory: bytes of features held in memory; larger sites are memory maps. dtype: "float32" or "float16", which
        halves the size and rounds each value by at most 1 part in 2048. batch: images per forward pass.

        Raises CornetError for unknown sites, and as `cornet.brain.subjects.record.recording.record_pass`.
        """
        sites = [to_site(site) for site in dict.fromkeys(sites)]
        for site in sites:
            self._check_site(site)
        check_choice("dtype", dtype, DTYPES)
        if memory < 1 or (batch is not None and batch < 1):
            raise CornetError(
                f"memory={memory!r} and batch={batch!r} must be above 0; leave out an argument for its default."
            )
        angle = next(value for value in (degrees, stimuli.degrees, self.degrees) if value is not None)
        cache = self.caches if cache is None else cache
        store = RecordingCache() if cache is True else cache or None
        keys: dict[Site, str] = {}
        features: dict[Site, NDArray[Any]] = {}
        if store is not None:
            subject, images = self.identity, stimuli.identity
            # Only the ratio of the two visual angles determines the screen.
            shared = (subject, images, stimuli.code, float(angle) / self.degrees, dtype, memory, batch)
            keys = {site: digest(*shared, site.layer, site.step) for site in sites}
            for site in sites:
                cached = store.read(keys[site], len(stimuli), dtype)
                if cached is not None:
                    features[site] = cached
        missing = [site for site in sites if site not in features]
        if missing:
            with self._extractor(missing) as (extract, device):
                features |= record_pass(
                    stimuli,
                    missing,
                    extract,
                    Screen(self.size, self.degrees),
                    angle,
                    device,
                    keys=keys,
                    cache=store,
                    memory=memory,
                    dtype=dtype,
                    batch=batch,
                    label=label,
                    screen_cache=self.screen_cache,
                )
        return Recording(stimuli.ids, {site: features[site] for site in sites})


@contextlib.contextmanager
def eval_mode(net: nn.Module, device: torch.device, inference: bool = True) -> Iterator[None]:
    """Evaluation mode without gradients, with a fixed seed. Restores training flags and random state on exit.

    inference: use PyTorch's inference mode. A network that keeps tensors from a forward pass, such as position codes,
    cannot be trained with tensors from that mode.
    """
    flags = [(module, module.training) for module in net.modules()]
    on_gpu = device.type == "cuda"
    devices = [device.index if device.index is not None else torch.cuda.current_device()] if on_gpu else []
    try:
        without_gradients = torch.inference_mode() if inference else torch.no_grad()
        with torch.random.fork_rng(devices=devices, device_type="cuda"), without_gradients:
            torch.default_generator.manual_seed(0)
            if on_gpu:
                with torch.cuda.device(devices[0]):
                    torch.cuda.manual_seed(0)
            net.eval()
            yield
    finally:
        for module, training in flags:
            module.training = training


def checked_device(device: torch.device | str) -> torch.device:
    """Convert to a device. Raises CornetError if it is unknown or not available."""
    try:
        checked = torch.device(device)
    except RuntimeError:
        raise CornetError(f"device={device!r} is unknown; use for example cpu or cuda.") from None
    if checked.type == "cuda" and (
        not torch.cuda.is_available() or (checked.index or 0) >= torch.cuda.device_count()
    ):
        raise CornetError(f"device={str(device)!r} is not available; use cpu.")
    return checked


def to_site(text: Site | str | tuple[str, int]) -> Site:
    """Parse a site such as "V4[2]" or "layer3" (step 0)."""
    if not isinstance(text, str):
        return Site(*text)
    layer, bracket, rest = text.rpartition("[")
    if bracket and rest.endswith("]") and rest[:-1].isdigit():
        return Site(layer, int(rest[:-1]))
    return Site(text)


def suggestion(word: str, known: Iterable[str], most: int = 8) -> str:
    """The end of an error message: names similar to `word`, or else up to `most` known names."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    names = ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
    return f"choose one of {names}." if known else "none is available."


def site_or_layer(value: Site | str) -> Site | str:
    """Parse a site; text without a step stays the name of a layer."""
    if isinstance(value, str):
        return to_site(value) if value.endswith("]") else value
    return Site(*value)
