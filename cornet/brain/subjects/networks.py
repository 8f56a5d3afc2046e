"""Networks with areas as subjects: every area at every step, the decoder's pooled features, the logits."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cornet.brain.subjects.base import ScreenSubject, suggestion
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.inner_layers import InnerLayers
from cornet.brain.subjects.record.on_device import device_of, eval_on_device
from cornet.brain.subjects.record.recording import Extractor
from cornet.brain.subjects.record.sketch import sketch_rows
from cornet.brain.subjects.step_times import Interval, network_intervals, step_for
from cornet.brain.subjects.subject import NoLayer, Site
from cornet.errors import CornetError
from cornet.models.area_table import Times
from cornet.models.base import Network
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD, check_normalisation, pixel_scale

__all__ = ["NetworkSubject"]

POOLED = "decoder.avgpool"
LOGITS = "logits"


class NetworkSubject(ScreenSubject):
    """A `cornet.models.Network` as a subject.

    name: label in tables. mean, std: per channel, of images scaled to 0..1. size, degrees: pixels and degrees of visual
    angle per side of the input. device: where to record; None: the network's device; for another device it is copied.
    onset, step_length: in ms, as in `cornet.brain.subjects.step_times.network_intervals`.
    times: number of steps, as in `Network.forward`; None: as in training.
    precision: "bfloat16" (autocast), "float32", or "auto": bfloat16 on a GPU. In bfloat16 the error of a feature is
        about 1 part in 256 of its own size and of the terms in its sum.

    Sites: (area, step) for every step that the image reaches; ("decoder.avgpool", step) for the last area averaged
    over y and x at those steps; ("logits", 0). Modules inside can be recorded too, by their name and call:
    ("areas.V4.conv1", 2). A region is the area with this `region` in the network's table.
    Recording leaves training flags, device and random state of the network unchanged. The identity is computed from
    the weights on each access, so it changes during training.

    Raises CornetError for a network without three input channels, and for invalid arguments.
    """

    def __init__(
        self,
        net: Network,
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
        super().__init__(name, size, degrees, device, precision)
        if net.in_channels != 3:
            raise CornetError(
                f"{name} has in_channels={net.in_channels}, but stimuli have 3 (RGB); create it with in_channels=3."
            )
        self.net = net
        self.mean, self.std = check_normalisation(mean, std)
        self.areas = net.table_for(times)
        self.steps = {name: area.steps for name, area in self.areas.items()}
        self.times = None if times is None else self.steps
        self.intervals = network_intervals(self.areas, onset, step_length)
        self._inner_calls: dict[str, int] = {}  # counted on first use

    @property
    def identity(self) -> str:
        """Hash of weights, structure, code and preprocessing."""
        return module_identity(self.net, settings=[self.mean, self.std, self.times, *self._settings()])

    def sites(self) -> list[Site]:
        """Areas, each with its steps in order; then the decoder."""
        areas = [Site(area, step) for area in self.steps for step in self._steps(area)]
        return [*areas, *(Site(POOLED, step) for step in self._steps(self._last)), Site(LOGITS)]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The area of a region, at the step for the time bin (ms after onset; None: 70 to 170)."""
        own = {area.region: name for name, area in self.areas.items()}
        layer = self.regions.get(region, own.get(region, region))
        if isinstance(layer, Site):
            return layer
        if layer == POOLED:
            return Site(POOLED, step_for(self.intervals[self._last], time_bin))
        if layer == LOGITS and region in self.regions:
            return Site(LOGITS)
        if layer in self._modules():
            return self._inner()._last(layer)
        if layer not in self.intervals:
            raise NoLayer(
                f"{self.name} has no region {region!r}; {suggestion(region, {**own, **self.areas})}"
            )
        return Site(layer, step_for(self.intervals[layer], time_bin))

    def region_sites(self) -> list[Site]:
        return [site for site in self.sites() if site.layer in self.steps]

    def first_interval(self, region: str) -> Interval | None:
        intervals = self.intervals.get(self.site(region).layer, ())
        return next((interval for interval in intervals if interval is not None), None)

    def readout_site(self) -> Site:
        """What the decoder reads at the last step: in CORnet the average over y and x."""
        return Site(POOLED, self.steps[self._last] - 1)

    @property
    def _last(self) -> str:
        return list(self.steps)[-1]

    def _steps(self, area: str) -> range:
        return range(self.areas[area].first_driven_step, self.steps[area])

    def _check_site(self, site: Site) -> None:
        # `sites` leaves out steps before the image arrives, which are constant, but they can be recorded.
        if site.layer in self._modules():
            self._inner()._check_site(site)
            return
        area = self._last if site.layer == POOLED else site.layer
        if area not in self.steps or not 0 <= site.step < self.steps[area]:
            super()._check_site(site)

    def _modules(self) -> list[str]:
        """Names of the modules that can be recorded beside areas and decoder."""
        own = {*self.steps, POOLED, LOGITS, "decoder", ""}
        return [name for name, _ in self.net.named_modules() if name not in own]

    def _inner(self) -> InnerLayers:
        screen: Any = {"mean": self.mean, "std": self.std, "size": self.size, "degrees": self.degrees}
        place: Any = {"device": self._device, "precision": self.precision}
        inner = InnerLayers(self.net, self.steps, self._inner_calls, name=self.name, **screen, **place)
        inner.sketch, inner._shapes = self.sketch, self._shapes
        return inner

    def _recording_device(self) -> torch.device:
        return self._device or device_of(self.net)

    @contextlib.contextmanager
    def _extractor(self, sites: Sequence[Site]) -> Iterator[tuple[Extractor, torch.device]]:
        with eval_on_device(self.net, self._device) as (net, device), contextlib.ExitStack() as held:
            tensors = itertools.chain(
                net.parameters(), net.buffers()
            )  # HMAX without a decoder has no parameters
            pixels = pixel_scale(self.mean, self.std, device, next(tensors).dtype)
            mixed = self._precision() == "bfloat16"
            decoder_features: Any = net.decoder_features
            modules = self._modules()
            within = [site for site in sites if site.layer in modules]
            inner = self._inner()
            layers = held.enter_context(inner._extractor(within))[0] if within else None

            def extract(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
                features: dict[Site, Tensor] = {}
                if layers is not None:
                    features.update(layers(images, [site for site in sites if site in within]))
                    logits, states = inner.outputs
                else:
                    with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                        logits, states = net(images, return_states=True, times=self.times, pixels=pixels)
                for site in sites:
                    if site in within:
                        continue
                    if site.layer == LOGITS:
                        features[site] = logits
                    elif site.layer == POOLED:
                        features[site] = decoder_features(states[self._last][site.step].float())
                    else:
                        state = states[site.layer][site.step]
                        self._shapes[site] = tuple(state.shape[1:])
                        features[site] = sketch_rows(state.flatten(1), self.sketch)
                return features

            yield extract, device
