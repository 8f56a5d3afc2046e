"""What all subjects that look at a screen have in common: recording in one pass, and the cache."""

import contextlib
import copy
import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import nn

from cornet.brain.subjects.recording import DEFAULT_MEMORY, DTYPES, Screen, feature_counts, record_pass
from cornet.brain.subjects.recording_cache import RecordingCache
from cornet.brain.subjects.screen_cache import KeptScreens
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError
from cornet.hashing import code_version, digest
from cornet.sizes import check_pixels
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ScreenSubject", "nearby", "quietly", "to_site"]


class ScreenSubject(ABC):
    """A subject that is shown images on a screen of `size` pixels and `degrees` of visual angle a side."""

    precision = "float32"

    def __init__(self, name: str, size: int, degrees: float, device: torch.device | str | None) -> None:
        check_pixels("size", size)
        if not 0 < degrees < float("inf"):
            raise CornetError(f"degrees={degrees!r} must be a visual angle above 0; the default is 8.")
        self.name = name
        self.size = int(size)
        self.degrees = float(degrees)
        self._device = None if device is None else checked_device(device)
        self.regions: dict[str, Site | str] = {}
        # For a subject that is shown the same stimuli again and again.
        self.screens: KeptScreens | None = None

    @property
    @abstractmethod
    def identity(self) -> str:
        """A hash of all that the features of a stimulus depend on."""

    @abstractmethod
    def sites(self) -> list[Site]: ...

    @abstractmethod
    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site: ...

    @abstractmethod
    def readout_site(self) -> Site: ...

    @abstractmethod
    def _listening(self, sites: Sequence[Site]) -> Any:
        """A context in which the subject is ready, and that leaves it as it was; it gives (answer, device)."""

    def _where(self) -> torch.device:
        """The device that the subject is recorded on."""
        return self._device or torch.device("cpu")

    def _precision(self) -> str:
        if self.precision == "auto":
            return "bfloat16" if self._where().type == "cuda" else "float32"
        return self.precision

    def _settings(self) -> list[Any]:
        """What features depend on besides the network: the screen, the device's arithmetic, the code."""
        backends: Any = torch.backends
        device = self._where().type
        matmul, conv = (
            (backends.cuda.matmul, backends.cudnn.conv)
            if device == "cuda"
            else (backends.mkldnn.matmul, backends.mkldnn.conv)
        )
        # A process that never set it has "none", which computes as "ieee" does; so training and scoring share entries.
        rounding = [backend.fp32_precision.replace("none", "ieee") for backend in (matmul, conv)]
        code = code_version(*(kind.__module__ for kind in type(self).__mro__))
        return [self.size, self.degrees, device, self._precision(), rounding, code]

    def _check_site(self, site: Site) -> None:
        """Raise CornetError for a site that cannot be recorded."""
        known = self.sites()
        if site not in known:
            raise CornetError(f"{self.name} has no {site}; {nearby(str(site), map(str, known))}.")

    def with_regions(self, regions: Mapping[str, Site | str]) -> Self:
        """The same subject, with these sites for these regions: a Site, or text such as "V4[2]" or "layer3".

        A site with a step answers at every time; for a layer without, the subject's own rule finds the step.
        Raises CornetError for one that cannot be recorded.
        """
        chosen = {region: site_or_layer(value) for region, value in regions.items()}
        for value in chosen.values():
            self._check_site(value if isinstance(value, Site) else Site(value))
        twin = copy.copy(self)
        twin.regions = {**self.regions, **chosen}
        return twin

    def widths(self, sites: Sequence[Site]) -> dict[Site, int]:
        """How many features each of these sites has, seen from an empty screen."""
        with self._listening(sites) as (answer, device):
            return feature_counts(answer, sites, Screen(self.size, self.degrees), device)

    def record(
        self,
        stimuli: StimulusSet,
        sites: Sequence[Site],
        degrees: float | None = None,
        label: str = "",
        *,
        cache: RecordingCache | bool = True,
        memory: int = DEFAULT_MEMORY,
        dtype: str = "float32",
        batch: int | None = None,
    ) -> Recording:
        """Show all stimuli once and record these sites, or take them from the cache.

        degrees: visual angle of the stimuli; None: as the stimulus set says, or else this subject's own.
        label: for a progress bar. cache: False for none; True for the one below `cornet.files.cache_folder()`.
        memory: bytes of features held in memory; larger sites come as memory maps. dtype: "float32" or "float16",
        which halves them and rounds each value by at most 1 part in 2048. batch: images at once.

        Raises CornetError for sites that there are not, and as `cornet.brain.subjects.recording.record_pass`.
        """
        sites = [to_site(site) for site in dict.fromkeys(sites)]
        for site in sites:
            self._check_site(site)
        if dtype not in DTYPES:
            raise CornetError(f"dtype={dtype!r} is unknown; choose one of {', '.join(DTYPES)}.")
        if memory < 1 or (batch is not None and batch < 1):
            raise CornetError(
                f"memory={memory!r} and batch={batch!r} must be above 0; leave out what is not known."
            )
        shown = next(one for one in (degrees, stimuli.degrees, self.degrees) if one is not None)
        store = RecordingCache() if cache is True else cache or None
        keys: dict[Site, str] = {}
        features: dict[Site, NDArray[Any]] = {}
        if store is not None:
            subject, images = self.identity, stimuli.identity
            # Only the ratio of the two extents decides what is on the screen.
            told = (subject, images, stimuli.code, float(shown) / self.degrees, dtype, memory, batch)
            keys = {site: digest(*told, site.layer, site.step) for site in sites}
            for site in sites:
                kept = store.read(keys[site], len(stimuli), dtype)
                if kept is not None:
                    features[site] = kept
        missing = [site for site in sites if site not in features]
        if missing:
            with self._listening(missing) as (answer, device):
                features |= record_pass(
                    stimuli,
                    missing,
                    answer,
                    Screen(self.size, self.degrees),
                    shown,
                    device,
                    keys=keys,
                    cache=store,
                    memory=memory,
                    dtype=dtype,
                    batch=batch,
                    label=label,
                    kept=self.screens,
                )
        return Recording(stimuli.ids, {site: features[site] for site in sites})


@contextlib.contextmanager
def quietly(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode; training flags and random state are restored. A network's own noise comes from a fixed seed."""
    flags = [(module, module.training) for module in net.modules()]
    on_gpu = device.type == "cuda"
    devices = [device.index if device.index is not None else torch.cuda.current_device()] if on_gpu else []
    try:
        with torch.random.fork_rng(devices=devices, device_type="cuda"), torch.inference_mode():
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
    """A device that is there. Raises CornetError for another."""
    try:
        found = torch.device(device)
    except RuntimeError:
        raise CornetError(f"device={device!r} is unknown; use for example cpu or cuda.") from None
    if found.type == "cuda" and (
        not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count()
    ):
        raise CornetError(f"device={str(device)!r} is not here; use cpu.")
    return found


def to_site(text: Site | str | tuple[str, int]) -> Site:
    """A site from text such as "V4[2]" or "layer3" (step 0)."""
    if not isinstance(text, str):
        return Site(*text)
    layer, bracket, rest = text.rpartition("[")
    if bracket and rest.endswith("]") and rest[:-1].isdigit():
        return Site(layer, int(rest[:-1]))
    return Site(text)


def nearby(word: str, known: Iterable[str], most: int = 8) -> str:
    """The end of a message: what is like `word` among the known ones, or what there is."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 3)
    if near:
        return f"near it {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    shown = ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
    return f"there are {shown}" if known else "there is none"


def site_or_layer(value: Site | str) -> Site | str:
    if isinstance(value, str):
        return to_site(value) if value.endswith("]") else value
    return Site(*value)
