"""Any network with named layers as a subject: torchvision's, timm's, your own."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cornet.brain.subjects.base import ScreenSubject, nearby
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.networks import device_of, ready
from cornet.brain.subjects.recording import Answer
from cornet.brain.subjects.step_times import Intervals, check_intervals, step_for
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.memory import out_of_memory
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD, check_normalisation, normalise
from cornet.stimuli.screen import grey_screens

__all__ = ["LayerSubject"]

INPUT = ".input"
OUTPUT = "logits"
DEPTH = 2
PASSING = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten)


class LayerSubject(ScreenSubject):
    """A network whose layers are read by forward hooks.

    module: takes (batch, 3, size, size). layers: the layers that `sites` offers; None: all down to a depth of two
        names ("layer3.1"), without those that change nothing in evaluation, in the order in which they run. Any
        other named layer may be recorded too; "NAME.input" is what goes into a layer, "logits" what comes out of
        the whole.
    regions: by region (V1, V2, V4, IT), its layer: "features.9", or with a step "features.9[0]".
    readout: the layer that behaviour is read from; None: what goes into the last linear layer, or without one the
        last layer.
    name, mean, std, size, degrees, device, precision: as in `NetworkSubject`.
    intervals: by layer, every step's (start, end) in ms, for a layer that is called several times in a pass (a
        recurrent one): each call is a step. Without, the last step answers for a region at every time.

    Features are (stimulus, feature), flattened; of a tuple or list the first tensor. Raises CornetError for layers
    that there are not, and at the first use for one that gives no tensor with one row a stimulus.
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
        super().__init__(name, size, degrees, device)
        if precision not in ("auto", "bfloat16", "float32"):
            raise CornetError(f"precision={precision!r} is unknown; choose auto, bfloat16 or float32.")
        self.module = module
        self.mean, self.std = check_normalisation(mean, std)
        self.intervals = dict(intervals or {})
        check_intervals(self.intervals)
        self.precision = precision
        self.layers = None if layers is None else list(dict.fromkeys(layers))
        self.readout = readout
        self._seen: dict[str, int] | None = None
        self._by_default: list[str] = []
        self._last_linear: str | None = None
        for layer in [*(self.layers or []), *self.intervals, *([readout] if readout else [])]:
            self._check_layer(layer)
        if regions:
            self.regions = self.with_regions(regions).regions

    @property
    def identity(self) -> str:
        """A hash of weights, structure, code and preprocessing."""
        return module_identity(self.module, settings=[self.mean, self.std, *self._settings()])

    def sites(self) -> list[Site]:
        """The offered layers in the order in which they run, each at every call."""
        calls = self._calls()
        layers = self.layers if self.layers is not None else self._by_default
        return [Site(layer, step) for layer in layers for step in range(calls.get(layer, 1))]

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The layer that was named for the region. Raises CornetError where none was."""
        layer = self.regions.get(region)
        if layer is None:
            told = f"only for {', '.join(self.regions)}" if self.regions else "for no region"
            raise CornetError(
                f"{self.name} was told {told} which layer it is, not for {region!r}; give its layer, or let it be "
                "chosen (auto)."
            )
        if isinstance(layer, Site):
            return layer
        if layer in self.intervals:
            return Site(layer, step_for(self.intervals[layer], time_bin))
        return Site(layer, self._calls()[layer] - 1)

    def readout_site(self) -> Site:
        """The layer that behaviour is read from, at its last step."""
        calls = self._calls()
        layer = self.readout
        if layer is None:
            layer = f"{self._last_linear}{INPUT}" if self._last_linear else self.sites()[-1].layer
        return Site(layer, calls[layer] - 1)

    def _check_layer(self, layer: str) -> None:
        name = self._module_name(layer)
        if name not in dict(self.module.named_modules()):
            known = [name for name, _ in self.module.named_modules() if name]
            raise CornetError(f"{self.name} has no layer {layer!r}; {nearby(layer, known)}.")

    def _check_site(self, site: Site) -> None:
        self._check_layer(site.layer)
        calls = self._calls()
        if site.layer not in calls:
            raise CornetError(f"{self.name} does not use its layer {site.layer}; choose another.")
        if not 0 <= site.step < calls[site.layer]:
            raise CornetError(
                f"{site} is not there: {site.layer} is called {calls[site.layer]} times in a pass; steps count from 0."
            )

    def _module_name(self, layer: str) -> str:
        modules = dict(self.module.named_modules())
        if layer in modules:
            return layer
        if layer == OUTPUT:
            return ""
        return layer.removesuffix(INPUT)

    def _where(self) -> torch.device:
        return self._device or device_of(self.module)

    def _calls(self) -> dict[str, int]:
        """How often each layer is called in a pass, found by showing an empty screen once."""
        if self._seen is not None:
            return self._seen
        seen: dict[str, int] = {}
        order: list[str] = []
        inner: dict[str, str] = {}
        latest: tuple[str, Tensor | None] = ("", None)
        linear: str | None = None

        def hook(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
            nonlocal latest, linear
            found = first_tensor(output)
            label = name or OUTPUT
            seen[label] = seen.get(label, 0) + 1
            seen[f"{name}{INPUT}"] = seen[label]
            if label not in order:
                order.append(label)
            if found is latest[1] and found is not None and latest[0].startswith(name and f"{name}."):
                inner[label] = latest[0]
            if isinstance(module, nn.Linear):
                linear = name
            latest = (name, found)

        with ready(self.module, self._device) as (net, device), contextlib.ExitStack() as hooks:
            for name, part in net.named_modules():
                hooks.callback(part.register_forward_hook(partial(hook, name)).remove)
            self._run(net, grey_screens(2, self.size).to(device), device)
        parts = dict(self.module.named_modules())
        offered: list[str] = []
        for name in order:
            # A block that only hands on what its last part gave is no layer beside that part.
            fits = name in parts and name.count(".") < DEPTH and not isinstance(parts[name], PASSING)
            if fits and inner.get(name) not in offered:
                offered.append(name)
        self._by_default = offered
        self._last_linear, self._seen = linear, seen
        return seen

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
                raise CornetError(
                    f"{self.name} cannot be shown images of (batch, 3, {self.size}, {self.size}): {reason}; give the "
                    "size that it takes."
                ) from error

    @contextlib.contextmanager
    def _listening(self, sites: Sequence[Site]) -> Iterator[tuple[Answer, torch.device]]:
        wanted = set(sites)
        heard: dict[Site, Tensor] = {}
        calls: dict[str, int] = {}

        def keep(layer: str, value: Any, images: int) -> None:
            site = Site(layer, calls.get(layer, 0))
            calls[layer] = site.step + 1
            if site in wanted:
                heard[site] = self._rows(site, value, images)

        with ready(self.module, self._device) as (net, device), contextlib.ExitStack() as hooks:
            parts = dict(net.named_modules())
            count = 0

            def outgoing(layer: str, module: nn.Module, inputs: Any, output: Any) -> None:
                keep(layer, output, count)

            def incoming(layer: str, module: nn.Module, inputs: Any) -> None:
                keep(layer, inputs, count)

            for layer in dict.fromkeys(site.layer for site in sites):
                name = self._module_name(layer)
                if layer not in parts and layer.endswith(INPUT):
                    hooks.callback(parts[name].register_forward_pre_hook(partial(incoming, layer)).remove)
                else:
                    hooks.callback(parts[name].register_forward_hook(partial(outgoing, layer)).remove)

            def answer(images: Tensor, sites: Sequence[Site]) -> dict[Site, Tensor]:
                nonlocal count
                count = len(images)
                heard.clear()
                calls.clear()
                self._run(net, images, device)
                if absent := [site for site in sites if site not in heard]:
                    raise CornetError(
                        f"{self.name} did not come by {absent[0]} with these images; choose another."
                    )
                return dict(heard)

            yield answer, device

    def _rows(self, site: Site, value: Any, images: int) -> Tensor:
        """A layer's (batch, feature), copied: what follows may work in place."""
        tensor = first_tensor(value)
        if tensor is None or tensor.ndim == 0 or len(tensor) != images:
            given = "no tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
            raise CornetError(
                f"{site} of {self.name} gives {given} for {images} stimuli, but needs one row a stimulus; choose "
                "another layer."
            )
        return (
            tensor.flatten(1).to(torch.float32, copy=True)
            if tensor.ndim > 1
            else tensor[:, None].float().clone()
        )


def first_tensor(value: Any) -> Tensor | None:
    """The value, or the first tensor of a tuple, list or dict; None where there is none."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((found for item in value if (found := first_tensor(item)) is not None), None)
    return None
