"""Regression: numbers about each image, such as where an object is, read by a linear head."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, ImageSource
from cornet.tasks.base import Outputs, Targets, Task, check_targets
from cornet.tasks.counter import Counter
from cornet.tasks.heads import Heads

__all__ = ["R2", "Regression"]

HEAD = "numbers"


class R2(Counter):
    """Coefficient of determination of each target, 1 - (residual / total sum of squares), over all images and ranks.

    targets: their number. Images with NaN in `wanted` are not counted. NaN for a target that does not vary.
    """

    images: Tensor
    sum: Tensor
    squares: Tensor
    residual: Tensor

    def __init__(self, targets: int) -> None:
        super().__init__()
        for name in ("images", "sum", "squares", "residual"):
            self.add_state(name, torch.zeros(targets, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, wanted: Tensor) -> None:
        """predicted, wanted: (batch, target)."""
        valid = wanted.isfinite()
        y = torch.where(valid, wanted, 0.0).double()
        self.images += valid.sum(dim=0)
        self.sum += y.sum(dim=0)
        self.squares += y.square().sum(dim=0)
        self.residual += torch.where(valid, predicted.double() - y, 0.0).square().sum(dim=0)

    def compute(self) -> Tensor:
        total = self.squares - self.sum.square() / self.images
        return torch.where(total > 1e-12 * self.squares, 1 - self.residual / total, torch.nan)


class Regression(Task):
    """Learns numbers about each image: a linear head on an area predicts the targets, scaled to mean 0 and variance 1.

    targets: names of targets that the data have. area: the area that the head reads; None: the last one.

    The loss is the mean squared error of the scaled targets. Metrics: val/loss, val/r2 (mean over targets) and
    val/r2_<target> of the first validation view, val/r2_<view> of others, train/r2; with readouts val/r2_step<k>.
    Raises CornetError for targets that the data do not have.
    """

    monitor = "val/r2"
    shown = (("val/r2", "R2"),)

    def __init__(self, targets: Sequence[str], area: str | None = None) -> None:
        super().__init__()
        if not targets or len(set(targets)) < len(targets):
            raise CornetError(
                f"targets={list(targets)} of a regression must be different names, at least one."
            )
        self.targets = list(targets)
        self.heads = Heads({HEAD: len(self.targets)}, {HEAD: area}, scaled=True)
        self.mean: Tensor
        self.std: Tensor

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        scales: dict[str, tuple[float, float]] = getattr(source, "target_scales", dict)()
        check_targets("regression", self.targets, list(scales))
        for position, name in enumerate(("mean", "std")):
            values = torch.tensor([scales[target][position] for target in self.targets])
            self.register_buffer(name, values, persistent=False)
        self.heads.attach(net, source.size)
        self.views = tuple(views)
        count = len(self.targets)
        self.train_r2 = R2(count)
        self.view_r2 = nn.ModuleList(R2(count) for _ in self.views)
        area = self.heads.places[HEAD] or list(net.steps)[-1]
        self.first = net.first_driven_step(area)
        steps = net.steps[area] - self.first
        self.step_r2 = nn.ModuleList(R2(count) for _ in range(steps if readouts else 0))

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        return self.heads(net, inputs, readouts, states, **arguments)

    def output_names(self) -> dict[str, list[str]]:
        """The names of the outputs, by head."""
        return {HEAD: self.targets}

    def scaled(self, targets: Targets) -> Tensor:
        """The targets of a batch, (batch, target), scaled; NaN for unreadable images."""
        values = torch.stack([targets[name] for name in self.targets], dim=1)
        scaled = (values - self.mean) / self.std
        return torch.where((targets["label"] == IGNORED)[:, None], torch.nan, scaled)

    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        wanted = self.scaled(targets)
        valid = wanted.isfinite()
        errors = torch.where(valid, predictions[HEAD] - torch.where(valid, wanted, 0.0), 0.0).square()
        return errors.sum() / valid.sum().clamp(min=1)

    def start_epoch(self) -> None:
        self.train_r2.reset()

    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None:
        self.train_r2.update(predictions[HEAD].detach(), self.scaled(targets))

    def training_metrics(self) -> dict[str, Tensor]:
        return {"train/r2": self.train_r2.compute().nanmean().float()}

    def counters(self) -> dict[str, Counter]:
        return {"train_r2": self.train_r2}

    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        wanted = self.scaled(targets)
        self.view_r2[self.views.index(view)].update(outputs.predictions[HEAD].float(), wanted)  # type: ignore[operator]
        if view != self.views[0]:
            return
        if outputs.readouts is not None:
            for metric, one in zip(self.step_r2, outputs.readouts[HEAD].float(), strict=True):
                metric.update(one, wanted)  # type: ignore[operator]

    def metrics(self) -> dict[str, Tensor]:
        first, *others = self.view_r2
        each: Tensor = first.compute()  # type: ignore[operator]
        found = {"val/loss": self.mean_error(first)}
        found["val/r2"] = each.nanmean().float()
        found |= {f"val/r2_{name}": value.float() for name, value in zip(self.targets, each, strict=True)}
        for view, metric in zip(self.views[1:], others, strict=True):
            found[f"val/r2_{view}"] = metric.compute().nanmean().float()  # type: ignore[operator]
        for step, metric in enumerate(self.step_r2, self.first):
            found[f"val/r2_step{step}"] = metric.compute().nanmean().float()  # type: ignore[operator]
        for metric in (*self.view_r2, *self.step_r2):
            metric.reset()
        return found

    def mean_error(self, metric: Any) -> Tensor:
        """Mean squared error of the scaled targets, over the images and ranks that a metric has seen."""
        with metric.sync_context():
            return (metric.residual.sum() / metric.images.sum().clamp(min=1)).float()
