"""Align an area to recorded responses while a network learns its task.

    train.py losses=recordings losses.recordings.bundle=my-bundle:V4

As in Dapello et al. (2023, ICLR), "Aligning model and macaque inferior temporal cortex representations". At each step
the network also sees some stimuli of the bundle. Some stimuli and neuroids are held out: with the brain scores, the
mapping from the area to held-in and to held-out neuroids is fitted on held-in stimuli and tested on held-out ones
(brain/<bundle>.<region>.held-in-neuroids and held-out-neuroids).
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.brain.benchmarks import Benchmark
from cornet.brain.metrics.similarity import unbiased_hsic
from cornet.brain.subjects.any_network import subject_of
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError, check_choice
from cornet.losses.base import Loss
from cornet.losses.recorded_target import RecordedTarget, open_recorded
from cornet.models.base import Network
from cornet.sizes import check_positive_int
from cornet.stimuli.draws import bits
from cornet.stimuli.normalisation import pixel_scale
from cornet.stimuli.samples import Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["RecordingAlignment", "cka_distance"]

Measure = Literal["cka", "regression"]


class RecordingAlignment(Loss):
    """1 - CKA of an area and recorded neuroids, or the error of a linear read-out that is trained with the network.

    bundle: a folder with a bundle, with its region if it has several (my-bundle:V4), or the name of a neural benchmark.
    area: an area, or a layer of a network of your own; None: the area of the bundle's region. step: its step, from 0;
        None: that of the bundle's time bin.
    measure: "cka" (unbiased, linear) or "regression" (of z-scored responses; 1 for predicting their mean).
    train_stimuli, train_neuroids: shares that training may see (of the stimuli in whole groups; if bundle.json fixes a
        split, that split is used instead). split_seed: of that division, the same for all seeds of a training.
    batch_size: stimuli shown in each step. time_bin: ms, of bundles with several. groups: column of stimuli that stay
        together; None: as the bundle states. degrees: visual angle of the network's screen.
    metric: comparison of the held-out scores. shuffled: align to responses of other stimuli, as a control.
    weight: 0 trains the plain twin, with the same held-out scores.

    The pass over the stimuli is in evaluation mode, so that norms keep the statistics of the task's images. Missing
    responses count as the neuroid's mean for CKA, and are left out of the regression. Raises CornetError for data that
    cannot be divided, and for an area or step that the network does not have.
    """

    def __init__(
        self,
        bundle: str,
        weight: float = 1.0,
        *,
        area: str | None = None,
        step: int | None = None,
        measure: Measure = "cka",
        train_stimuli: float = 0.8,
        train_neuroids: float = 0.8,
        split_seed: int = 0,
        batch_size: int = 64,
        time_bin: Sequence[float] | None = None,
        groups: str | None = None,
        degrees: float = 8.0,
        metric: str = "pls",
        shuffled: bool = False,
    ) -> None:
        super().__init__(weight)
        check_choice("measure", measure, ("cka", "regression"))
        check_positive_int("batch_size", batch_size)
        if batch_size < 8:
            raise CornetError(f"batch_size={batch_size} stimuli are too few to compare; give at least 8.")
        times = None if time_bin is None else (float(time_bin[0]), float(time_bin[1]))
        shares: dict[str, Any] = {"stimuli": train_stimuli, "neuroids": train_neuroids, "seed": split_seed}
        self.target: RecordedTarget = open_recorded(bundle, **shares, time_bin=times, groups=groups)
        self.area, self.step, self.measure, self.degrees = area, step, measure, degrees
        self.split_seed, self.batch_size = split_seed, min(batch_size, len(self.target.stimuli[0]))
        self.metric = metric
        # Not buffers, which several ranks would broadcast at every step.
        self.recorded: dict[str, Tensor] = {"responses": self.target.responses(shuffled, split_seed)}
        self.readout: nn.Linear | None = None
        self.site: Site | None = None

    def attach(self, net: Any, source: Any) -> None:
        inner = net if isinstance(net, Network) else net.net
        size = int(source.size)
        subject = subject_of(inner, None, size=size, mean=source.mean, std=source.std, degrees=self.degrees)
        region = self.target.benchmark.region
        if self.area is None:
            site = subject.site(region, self.target.benchmark.step_bin)
        else:
            last = [one for one in subject.sites() if one.layer == self.area][-1:] or [Site(self.area)]
            site = last[0]
        self.site = site if self.step is None else Site(site.layer, self.step)
        subject._check_site(self.site)
        if isinstance(net, Network) and self.site.layer in net.steps:
            first = net.first_driven_step(self.site.layer)
            if self.site.step < first:
                raise CornetError(
                    f"the image has not reached {self.site.layer} at step {self.site.step}; align a step of {first} or "
                    "later."
                )
        self.recorded["screens"] = self.target.screens(size, self.degrees)
        self.recorded["mean"], self.recorded["std"] = pixel_scale(source.mean, source.std)
        if self.measure == "regression":
            with torch.no_grad(), evaluating(net):
                width = self.features(net, self.recorded["screens"][:2]).shape[1]
            self.readout = nn.Linear(width, self.recorded["responses"].shape[1])
            nn.init.zeros_(self.readout.weight)
            nn.init.zeros_(self.readout.bias)

    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        device = batch.inputs.device
        self.recorded = {name: one.to(device) for name, one in self.recorded.items()}
        shown = torch.from_numpy(self.drawn()).to(device)
        with evaluating(net):
            features = self.features(net, self.recorded["screens"][shown])
        responses = self.recorded["responses"][shown]
        with torch.autocast(features.device.type, enabled=False):
            wide = torch.promote_types(features.dtype, torch.float32)
            features, responses = features.to(wide), responses.to(wide)
            known = torch.isfinite(responses)
            responses = responses.where(known, 0)
            if self.readout is None:
                return cka_distance(features, responses)
            # Scaled so that a learning rate below 1 is stable for every width and number of neuroids.
            scaled = F.normalize(features - features.mean(dim=0), dim=1) * responses.shape[1] ** 0.5
            error = (self.readout(scaled) - responses).square() * known
            return error.sum() / known.sum().clamp(min=1)

    def benchmarks(self) -> Sequence[Benchmark[Any]]:
        return self.target.benchmarks(self.site, self.metric)

    def drawn(self) -> NDArray[np.int64]:
        """Positions of the stimuli of this step, which depend only on the position in the training and the rank."""
        ready = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if ready else (0, 1)
        count = len(self.recorded["responses"])
        places = (self.position * world + rank) * self.batch_size + np.arange(self.batch_size)
        turns = places // count
        found = [
            order_of(count, self.split_seed, int(turn))[places[turns == turn] % count]
            for turn in np.unique(turns)
        ]
        return np.unique(np.concatenate(found))

    def features(self, net: nn.Module, screens: Tensor) -> Tensor:
        """States of the site, (stimulus, feature), of screens (stimulus, 3, y, x) uint8."""
        assert self.site is not None
        pixels = (self.recorded["mean"], self.recorded["std"])
        if isinstance(net, Network) and self.site.layer in net.steps:
            _, states = net(screens, return_states=True, pixels=pixels)
            found: Tensor = states[self.site.layer][self.site.step]
            return found.flatten(1)
        return recorded(net, self.site, lambda: net(screens, pixels=pixels)).flatten(1)


def cka_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - the unbiased linear CKA of (stimulus, feature) and (stimulus, neuroid), a scalar; 1 if either is constant.

    Kornblith et al. (2019), with the estimator of Song et al. (2012); see `cornet.brain.metrics.similarity.cka`.
    """
    grams = [(x - x.mean(dim=0)) @ (x - x.mean(dim=0)).T for x in (a, b)]
    both, own_a, own_b = unbiased_hsic(*(one / one.diagonal().mean().clamp(min=1e-12) for one in grams))
    product = own_a.clamp(min=0) * own_b.clamp(min=0)
    return 1 - torch.where(product > 0, both / product.clamp(min=1e-12).sqrt(), 0.0)


def recorded(net: nn.Module, site: Site, run: Any) -> Tensor:
    """The output of a module's call, by its name inside a network of the user's own."""
    inner, calls, found = getattr(net, "net", net), 0, []

    def store(module: nn.Module, given: Any, output: Tensor) -> None:
        nonlocal calls
        if calls == site.step:
            found.append(output)
        calls += 1

    hook = inner.get_submodule(site.layer).register_forward_hook(store)
    try:
        with torch.compiler.set_stance("force_eager"):  # compiled code calls no hooks
            run()
    finally:
        hook.remove()
    output: Tensor = found[0]
    return output


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """A context with the network in evaluation mode."""
    flags = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


@lru_cache(maxsize=8)
def order_of(count: int, seed: int, turn: int) -> NDArray[np.int64]:
    """A random order of the stimuli, another for each turn through them."""
    return np.argsort(bits(seed, "aligned stimuli", turn, np.arange(count)), kind="stable")
