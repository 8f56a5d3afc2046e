"""Our own networks as subjects: every area at every step, the decoder's pooled features, the logits."""

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from cornet.brain.subjects.base import ScreenSubject, nearby, quietly
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.recording import Answer
from cornet.brain.subjects.step_times import network_intervals, step_for
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.models import CORnet
from cornet.models.cornet.variants import Times, resolve_steps
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD, check_normalisation, pixel_scale

__all__ = ["NetworkSubject"]

POOLED = "decoder.avgpool"
LOGITS = "logits"


class NetworkSubject(ScreenSubject):
    """A CORnet that is shown stimuli.

    name: for tables. mean, std: per channel, of images scaled to 0..1. size, degrees: pixels and degrees of visual
    angle that its input spans. device: where it is recorded; None: where it is; another one gets a copy.
    onset, step_length: in ms, as in `cornet.brain.subjects.step_times.network_intervals`.
    times: steps to run it for, as of `CORnet.forward`; None for those that it was trained for.
    precision: "bfloat16" (autocast: areas compute in bfloat16, features are stored as asked), "float32", or "auto":
        bfloat16 on a GPU. A bfloat16 feature is within about 1 part in 256 of its own size and those it was summed of.

    Sites: (area, step) for every step that the image reaches; ("decoder.avgpool", step) for IT averaged over y and x
    at those steps; ("logits", 0). The network itself stays as it is: training flags, device, random state.
    Its identity is read from the weights whenever it is asked for: a network in training has another each time.

    Raises CornetError for a network whose images have not three channels, and for arguments that cannot be.
    """

    def __init__(
        self,
        net: CORnet,
        name: str = "cornet",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int = 224,
        degrees: float = 8.0,
        device: torch.device | str | None = None,
        onset: Mapping[str, float] | None = None,
        step_length: Mapping[str, float] | float | None = None,
        precision: str = "auto",
        times: Times | None = None,
    ):
        super().__init__(name, size, degrees, device)
        if net.in_channels != 3:
            raise CornetError(
                f"{name} has in_channels={net.in_channels}, but stimuli have 3 (red, green, blue); build it with 3."
            )
        if precision not in ("auto", "bfloat16", "float32"):
            raise CornetError(f"precision={precision!r} is unknown; choose auto, bfloat16 or float32.")
        self.net = net
        self.mean, self.std = check_normalisation(mean, std)
        self.times = None if times is None else resolve_steps(net.block, net.unroll, times, net.steps)
        self.steps = net.steps if self.times is None else self.times
        self.intervals = network_intervals(net, onset, step_length, self.steps)  # type: ignore[arg-type]
        self.precision = precision

    @property
    def identity(self) -> str:
        """A hash of weights, structure, code and preprocessing."""
        return module_identity(self.net, settings=[self.mean, self.std, self.times, *self._settings()])

    def sites(self) -> list[Site]:
        """Area by area, step by step; then the decoder's."""
        areas = [Site(area, step) for area in self.steps for step in self._steps(area)]
        return [*areas, *(Site(POOLED, step) for step in self._steps(self._last)), Site(LOGITS)]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The region's area at the step that answers for the time bin (ms after onset; None: 70 to 170)."""
        layer = self.regions.get(region, region)
        if isinstance(layer, Site):
            return layer
        if layer == POOLED:
            return Site(POOLED, step_for(self.intervals[self._last], time_bin))
        if layer == LOGITS and region in self.regions:
            return Site(LOGITS)
        if layer not in self.intervals:
            raise CornetError(f"{self.name} has no region {region!r}; {nearby(region, self.intervals)}.")
        return Site(layer, step_for(self.intervals[layer], time_bin))

    def readout_site(self) -> Site:
        """The decoder's average-pooled features at the last step."""
        return Site(POOLED, self.steps[self._last] - 1)

    @property
    def _last(self) -> str:
        return list(self.steps)[-1]

    def _steps(self, area: str) -> range:
        return range(self.net.first_driven_step(area), self.steps[area])

    def _check_site(self, site: Site) -> None:
        # A step before the image arrives is no site to offer, but may be recorded: a constant.
        area = self._last if site.layer == POOLED else site.layer
        if area not in self.steps or not 0 <= site.step < self.steps[area]:
            super()._check_site(site)

    def _where(self) -> torch.device:
        return self._device or device_of(self.net)

    @contextlib.contextmanager
    def _listening(self, sites: Sequence[Site]) -> Iterator[tuple[Answer, torch.device]]:
        with ready(self.net, self._device) as (net, device):
            pixels = pixel_scale(self.mean, self.std, device, next(net.parameters()).dtype)
            mixed = self._precision() == "bfloat16"

            def answer(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
                with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                    logits, states = net(images, return_states=True, times=self.times, pixels=pixels)
                found = {}
                for site in sites:
                    if site.layer == LOGITS:
                        found[site] = logits
                    elif site.layer == POOLED:
                        found[site] = states[self._last][site.step].float().mean(dim=(-2, -1))
                    else:
                        found[site] = states[site.layer][site.step].flatten(1)
                return found

            yield answer, device


@contextlib.contextmanager
def ready(net: nn.Module, wanted: torch.device | None) -> Iterator[tuple[nn.Module, torch.device]]:
    """The network in evaluation, on its own device or, where another is wanted, a copy of it there."""
    device = device_of(net)
    if wanted is not None and not same_device(wanted, device):
        net, device = copy.deepcopy(net).to(wanted), wanted
    with quietly(net, device):
        yield net, device


def same_device(one: torch.device, other: torch.device) -> bool:
    """Whether both name one device: "cuda" is the current one."""
    return one.type == other.type and (one.type != "cuda" or one.index in (None, other.index))


def device_of(net: nn.Module) -> torch.device:
    """Where a network's first parameter or buffer is; the CPU for one without any."""
    for tensors in (net.parameters(), net.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")
