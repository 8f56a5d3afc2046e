"""Any network with named layers as a subject: from torchvision, timm, or your own."""

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from cornet.brain.subjects.base import ScreenSubject, suggestion
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.record.on_device import device_of, eval_on_device
from cornet.brain.subjects.record.recording import Extractor
from cornet.brain.subjects.record.sketch import sketch_rows
from cornet.brain.subjects.step_times import Interval, Intervals, check_intervals, layer_intervals, step_for
from cornet.brain.subjects.subject import NoLayer, Site
from cornet.errors import CornetError
from cornet.memory import out_of_memory
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD, check_normalisation, normalise
from cornet.stimuli.screen import grey_screens

__all__ = ["LayerSubject", "first_tensor"]

INPUT = ".input"
OUTPUT = "logits"
DEPTH = 2
SKIPPED = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten)


class LayerSubject(ScreenSubject):
    """A network whose layers are recorded with forward hooks.

    module: takes (batch, 3, size, size). layers: the layers that `sites` returns; None: all layers up to a depth of two
        names ("layer3.1"), in execution order, without those that do nothing in evaluation mode. Any other named
        layer can be recorded too; "NAME.input" is the input of a layer, "logits" the output of the network.
    regions: layer of each region (V1, V2, V4, IT): "features.9", or with a step "features.9[0]".
    readout: the layer for behaviour; None: the input of the last linear layer, or the last layer if none is linear.
    name, mean, std, size, degrees, device, precision: as in `NetworkSubject`.
    intervals: by layer or region, the (start, end) of each step in ms, for recurrent layers: each call in a forward
        pass is a step. A layer without intervals is compared at its last step at all times. `with_times` sets them.

    Features are flattened to (stimulus, feature); for a tuple or list, the first tensor is used. Recording leaves the
    network as it is: training flags, buffers, device, random state. A compiled network is recorded without compilation.
    Raises CornetError for unknown layers, and on first use for a layer whose output is not a tensor with one row per
    stimulus.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str] | None = None,
        regions: Mapping[str, str] | None = None,
        readout: str | None = None,
        name: str = "network",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int = 224,
        degrees: float = 8.0,
        device: torch.device | str | None = None,
        intervals: Intervals | None = None,
        precision: str = "auto",
    ):
        super().__init__(name, size, degrees, device, precision)
        self.module = module
        self.mean, self.std = check_normalisation(mean, std)
        self.intervals: dict[str, Sequence[Interval | None]] = dict(intervals or {})
        check_intervals(self.intervals)
        self.layers = None if layers is None else list(dict.fromkeys(layers))
        self.readout = readout
        self._call_counts: dict[str, int] | None = None
        self._default_layers: list[str] = []
        self._last_linear: str | None = None
        timed = [key for key in self.intervals if key not in (regions or {})]
        for layer in [*(self.layers or []), *timed, *([readout] if readout else [])]:
            self._check_layer(layer)
        if regions:
            self.regions = self.with_regions(regions).regions

    @property
    def identity(self) -> str:
        """Hash of weights, structure, code and preprocessing."""
        return module_identity(self.module, settings=[self.mean, self.std, *self._settings()])

    def sites(self) -> list[Site]:
        """The layers in execution order, with one step per call."""
        calls = self._calls()
        layers = self.layers if self.layers is not None else self._default_layers
        return [Site(layer, step) for layer in layers for step in range(calls.get(layer, 1))]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The layer assigned to a region, at the step for the time bin. Raises NoLayer if none is assigned."""
        layer = self.regions.get(region)
        if layer is None:
            assigned = ", ".join(f"{other}={site}" for other, site in self.regions.items()) or "none"
            raise NoLayer(
                f"{self.name} has no layer for region {region!r} (assigned: {assigned}); assign one, such as "
                f"{region}={self._example()}, or choose it on a separate bundle (auto)."
            )
        if isinstance(layer, Site):
            return layer
        if intervals := self._intervals(region, layer):
            return Site(layer, step_for(intervals, time_bin))
        return self._last(layer)

    def with_times(
        self, step_ms: float | Mapping[str, float], onset_ms: float | Mapping[str, float] | None = None
    ) -> Self:
        """Copy of the subject whose recurrent layers have times in ms, as in `layer_intervals`."""
        layers = {region: layer for region, layer in self.regions.items() if not isinstance(layer, Site)}
        calls = {region: self._calls()[layer] for region, layer in layers.items()}
        subject = copy.copy(self)
        subject.intervals = {**self.intervals, **layer_intervals(calls, step_ms, onset_ms)}
        return subject

    def region_sites(self) -> list[Site]:
        """The layers assigned to regions, at each of their steps."""
        calls = self._calls()
        layers = [site.layer if isinstance(site, Site) else site for site in self.regions.values()]
        return [Site(layer, step) for layer in dict.fromkeys(layers) for step in range(calls[layer])]

    def first_interval(self, region: str) -> Interval | None:
        layer = self.regions.get(region)
        return next(filter(None, self._intervals(region, layer)), None) if isinstance(layer, str) else None

    def _intervals(self, region: str, layer: str) -> Sequence[Interval | None]:
        return self.intervals.get(region) or self.intervals.get(layer, ())

    def _example(self) -> str:
        """The name of a layer late in the network, for messages."""
        self._calls()
        return (self._default_layers or ["layer3"])[len(self._default_layers) * 3 // 4]

    def readout_site(self) -> Site:
        """The layer for behaviour, at its last step."""
        self._calls()
        layer = self.readout
        if layer is None:
            layer = f"{self._last_linear}{INPUT}" if self._last_linear else self.sites()[-1].layer
        return self._last(layer)

    def _last(self, layer: str) -> Site:
        self._check_site(Site(layer))
        return Site(layer, self._calls()[layer] - 1)

    def _check_layer(self, layer: str) -> None:
        name = self._module_name(layer)
        if name not in dict(self.module.named_modules()):
            known = [name for name, _ in self.module.named_modules() if name]
            raise CornetError(f"{self.name} has no layer {layer!r}; {suggestion(layer, known)}")

    def _check_site(self, site: Site) -> None:
        self._check_layer(site.layer)
        calls = self._calls()
        if site.layer not in calls:
            raise CornetError(f"{self.name} does not call its layer {site.layer}; choose another.")
        if not 0 <= site.step < calls[site.layer]:
            raise CornetError(
                f"{site} does not exist: {site.layer} is called {calls[site.layer]} times per pass; count steps from 0."
            )

    def _module_name(self, layer: str) -> str:
        modules = dict(self.module.named_modules())
        if layer in modules:
            return layer
        if layer == OUTPUT:
            return ""
        return layer.removesuffix(INPUT)

    def _recording_device(self) -> torch.device:
        return self._device or device_of(self.module)

    def _calls(self) -> dict[str, int]:
        """Number of calls of each layer per forward pass, counted once with a blank screen."""
        if self._call_counts is not None:
            return self._call_counts
        counts: dict[str, int] = {}
        order: list[str] = []
        inner: dict[str, str] = {}
        latest: tuple[str, Tensor | None] = ("", None)
        linear: str | None = None

        def hook(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
            nonlocal latest, linear
            tensor = first_tensor(output)
            label = name or OUTPUT
            counts[label] = counts.get(label, 0) + 1
            counts[f"{name}{INPUT}"] = counts[label]
            if label not in order:
                order.append(label)
            if tensor is latest[1] and tensor is not None and latest[0].startswith(name and f"{name}."):
                inner[label] = latest[0]
            if isinstance(module, nn.Linear):
                linear = name
            latest = (name, tensor)

        with self._unchanged() as (net, device), contextlib.ExitStack() as hooks:
            for name, part in net.named_modules():
                hooks.callback(part.register_forward_hook(partial(hook, name)).remove)
            self._run(net, grey_screens(2, self.size).to(device), device)
        parts = dict(self.module.named_modules())
        defaults: list[str] = []
        for name in order:
            # Skip a block whose output is the output of its last part.
            eligible = name in parts and name.count(".") < DEPTH and not isinstance(parts[name], SKIPPED)
            if eligible and inner.get(name) not in defaults:
                defaults.append(name)
        self._default_layers = defaults
        self._last_linear, self._call_counts = linear, counts
        return counts

    def _run(self, net: nn.Module, images: Tensor, device: torch.device) -> Any:
        floating = (p.dtype for p in net.parameters() if p.is_floating_point())
        x = normalise(images, self.mean, self.std, next(floating, torch.float32))
        with torch.autocast(device.type, torch.bfloat16, enabled=self._precision() == "bfloat16"):
            try:
                return net(x)
            except (RuntimeError, AssertionError, ValueError) as error:
                if out_of_memory(error):
                    raise
                reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
                if "is missing the required" in reason:  # PyTorch's words
                    inside = next((name for name, _ in net.named_children()), "net")
                    raise CornetError(
                        f"{self.name} has no forward method, so it cannot be shown images; name the network inside it, "
                        f"such as network={inside!r}."
                    ) from error
                raise CornetError(
                    f"{self.name} does not accept images of (batch, 3, {self.size}, {self.size}): {reason}; give its "
                    "input size, or another network."
                ) from error

    @contextlib.contextmanager
    def _unchanged(self) -> Iterator[tuple[nn.Module, torch.device]]:
        """The network in evaluation mode, not compiled, whose buffers are restored on exit."""
        with contextlib.ExitStack() as held:
            net, device = held.enter_context(eval_on_device(self.module, self._device, inference=False))
            if any(module._compiled_call_impl is not None for module in net.modules()):
                held.enter_context(torch.compiler.set_stance("force_eager"))  # compiled code calls no hooks
            before = [(buffer, buffer.clone()) for buffer in net.buffers()]
            try:
                yield net, device
            finally:
                for buffer, value in before:
                    if not torch.equal(buffer, value):
                        buffer.copy_(value)

    @contextlib.contextmanager
    def _extractor(self, sites: Sequence[Site]) -> Iterator[tuple[Extractor, torch.device]]:
        wanted = set(sites)
        recorded: dict[Site, Tensor] = {}
        calls: dict[str, int] = {}

        def store(layer: str, value: Any, images: int) -> None:
            site = Site(layer, calls.get(layer, 0))
            calls[layer] = site.step + 1
            if site in wanted:
                recorded[site] = sketch_rows(self._rows(site, value, images), self.sketch)

        with self._unchanged() as (net, device), contextlib.ExitStack() as hooks:
            parts = dict(net.named_modules())
            count = 0

            def store_output(layer: str, module: nn.Module, inputs: Any, output: Any) -> None:
                store(layer, output, count)

            def store_input(layer: str, module: nn.Module, inputs: Any) -> None:
                store(layer, inputs, count)

            for layer in dict.fromkeys(site.layer for site in sites):
                name = self._module_name(layer)
                if layer not in parts and layer.endswith(INPUT):
                    hooks.callback(parts[name].register_forward_pre_hook(partial(store_input, layer)).remove)
                else:
                    hooks.callback(parts[name].register_forward_hook(partial(store_output, layer)).remove)

            def extract(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
                nonlocal count
                count = len(images)
                recorded.clear()
                calls.clear()
                self._run(net, images, device)
                if missing := [site for site in sites if site not in recorded]:
                    raise CornetError(
                        f"{self.name} did not call {missing[0]} for these images; choose another layer."
                    )
                return dict(recorded)

            yield extract, device

    def _rows(self, site: Site, value: Any, images: int) -> Tensor:
        """Output of a layer as (batch, feature), copied, as later layers may modify it in place."""
        tensor = first_tensor(value)
        if tensor is None or tensor.ndim == 0 or len(tensor) != images:
            output = "no tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
            raise CornetError(
                f"{site} of {self.name} gives {output} for {images} stimuli, but must give one row per stimulus; "
                "choose another layer."
            )
        self._shapes[site] = tuple(tensor.shape[1:])
        return (
            tensor.flatten(1).to(torch.float32, copy=True)
            if tensor.ndim > 1
            else tensor[:, None].float().clone()
        )


def first_tensor(value: Any) -> Tensor | None:
    """The value, or the first tensor of a nested tuple, list or dict; None without a tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((tensor for item in value if (tensor := first_tensor(item)) is not None), None)
    return None
