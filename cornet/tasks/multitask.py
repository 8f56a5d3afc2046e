"""Several tasks at once on one network, each with its own heads."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.base import Network, pooled
from cornet.stimuli.samples import IGNORED, ImageSource, input_shape
from cornet.tasks.base import Outputs, Targets, Task, check_targets
from cornet.tasks.classification import LABEL, Classification
from cornet.tasks.heads import TOP, Heads, run_trunk

__all__ = ["ClassHead", "Multitask"]

STORED = "tasks"  # key in checkpoints


class ClassHead(Classification):
    """Learns the class of each image by a linear head on an area instead of the network's decoder.

    area: the area that the head reads; None: the last one. target: the name of the class index among the targets of a
    batch; a name other than "label" needs data whose `target_classes` has it. Inputs with the class IGNORED count
    neither in the loss nor in the metrics. label_smoothing, metrics: as in `Classification`.

    Raises CornetError for data without this target.
    """

    shown = (("val/top1", "top-1"),)
    heads: Heads

    def __init__(self, area: str | None = None, label_smoothing: float = 0.0, target: str = LABEL) -> None:
        super().__init__(label_smoothing)
        self.area, self.target = area, target

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        classes = len(self.names(source))
        self.heads = Heads({LABEL: classes}, {LABEL: self.area})
        self.heads.attach(net, input_shape(source))
        self.build_metrics(classes, views)
        if readouts:
            self.read_every_step(net, self.area or list(net.steps)[-1])

    def names(self, source: Any) -> Sequence[str]:
        """The classes of the target."""
        if self.target == LABEL:
            return list(source.classes)
        known = {name: values for name, values in getattr(source, "target_classes", {}).items() if values}
        check_targets(type(self).__name__, [self.target], list(known))
        return list(known[self.target])

    def own(self, targets: Targets) -> Targets:
        """The class of each input under the name that `Classification` reads."""
        return targets if self.target == LABEL else {LABEL: targets[self.target].long()}

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        return self.heads(net, inputs, readouts, states, **arguments)

    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        if self.target == LABEL:
            return super().loss(predictions, targets)
        labels = self.own(targets)[LABEL]
        total = F.cross_entropy(
            predictions[LABEL],
            labels,
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return total / (labels != IGNORED).sum().clamp(min=1)  # a batch may have no input of this task

    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None:
        super().update_training(predictions, self.own(targets))

    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        super().update(outputs, self.own(targets), view)


class Multitask(Task):
    """Learns several tasks at once on one network: the network runs once, and each task has its own heads.

    tasks: by name, tasks with heads, such as {"category": ClassHead(), "pose": Regression(["yaw_sin", "yaw_cos"])}.
    weights: of their losses by name; 1 if not given. branch: the last area that all tasks share; None: they share all.
    Above it, the first task has the areas of the network, which brain scores record, and each other task has copies
    that start with the same weights.

    Metrics: those of each task with its name, such as val/category_top1 and val/pose_r2; val/loss, the weighted sum;
    val/mean, the mean of the monitored metrics.

    Raises CornetError for a task without heads, an unknown weight, and a branch point that the network cannot have.
    """

    monitor = "val/mean"

    def __init__(
        self,
        tasks: Mapping[str, Task],
        weights: Mapping[str, float] | None = None,
        branch: str | None = None,
    ) -> None:
        super().__init__()
        for name, task in tasks.items():
            if not isinstance(getattr(task, "heads", None), Heads) and not isinstance(task, ClassHead):
                raise CornetError(
                    f"task.tasks.{name} is a {type(task).__name__}, which has no heads of its own; use ClassHead or "
                    "Regression."
                )
        for name in weights or {}:
            if name not in tasks:
                raise CornetError(f"task.weights names {name!r}, but the tasks are {', '.join(tasks)}.")
        self.tasks = nn.ModuleDict(dict(tasks))
        self.weights = {name: float((weights or {}).get(name, 1.0)) for name in tasks}
        self.branch = branch
        self.branches = nn.ModuleDict()
        self.shown = [
            (named(metric, name), f"{name} {label}")
            for name, task in tasks.items()
            for metric, label in task.shown
        ]

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        self.chance = {}
        for name, task in self.parts:
            task.attach(net, source, views, readouts)
            self.chance |= {named(metric, name): value for metric, value in task.chance.items()}
        if self.branch is None:
            return
        if not isinstance(net, Network):
            raise CornetError(
                f"task.branch={self.branch!r} needs a network with areas, but model is a {type(net).__name__}; set "
                "task.branch=null, or choose a model of `cornet models`."
            )
        for name, _ in self.parts[1:]:
            self.branches[name] = net.branch(self.branch)

    @property
    def parts(self) -> list[tuple[str, Any]]:
        return list(self.tasks.items())

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        areas = list(dict.fromkeys(area for _, task in self.parts for area in task.heads.read_areas))
        states_needed = states or bool(self.branches)
        shared, held = run_trunk(net, inputs, areas, readouts, states_needed, **arguments)
        every: dict[str, Tensor] = {}
        for name, task in self.parts:
            features = dict(shared)
            if name in self.branches and held is not None:
                steps = arguments.get("times")
                features |= self.branch_features(net, name, held, readouts, steps)
            every |= {f"{name}/{head}": values for head, values in task.heads.read(features).items()}
        predictions = {key: values[-1] for key, values in every.items()}
        return Outputs(predictions, every if readouts else None, held if states else None)

    def branch_features(
        self, net: Any, name: str, states: Mapping[str, Tensor], readouts: bool, times: Any
    ) -> dict[str, Tensor]:
        """Run the areas that a task has for itself; return their features as `run_trunk` does."""
        first = net.first_driven_step(self.branch)
        outputs = [
            output if step >= first else output[:1]  # the same for all images
            for step, output in enumerate(states[str(self.branch)])
        ]
        history = self.branches[name](outputs, net.steps if times is None else net.steps_for(times))
        features = {
            area: torch.stack([pooled(output) for output in found[net.first_driven_step(area) :]])
            for area, found in history.items()
        }
        top = next(reversed(features.values()))
        return {**features, TOP: top if readouts else top[-1:]}

    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        losses = [
            self.weights[name] * task.loss(part_of(predictions, name), targets) for name, task in self.parts
        ]
        return torch.stack(losses).sum()

    def start_epoch(self) -> None:
        for _, task in self.parts:
            task.start_epoch()

    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None:
        for name, task in self.parts:
            task.update_training(part_of(predictions, name), targets)

    def training_metrics(self) -> dict[str, Tensor]:
        return {
            named(metric, name): value
            for name, task in self.parts
            for metric, value in task.training_metrics().items()
        }

    def on_save(self, checkpoint: dict[str, Any]) -> None:
        parts: dict[str, dict[str, Any]] = {name: {} for name, _ in self.parts}
        for name, task in self.parts:
            task.on_save(parts[name])
        checkpoint[STORED] = parts

    def on_load(self, checkpoint: dict[str, Any], first_rank: bool) -> None:
        for name, task in self.parts:
            task.on_load(checkpoint.get(STORED, {}).get(name, {}), first_rank)

    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        for name, task in self.parts:
            readouts = None if outputs.readouts is None else part_of(outputs.readouts, name)
            task.update(Outputs(part_of(outputs.predictions, name), readouts), targets, view)

    def metrics(self) -> dict[str, Tensor]:
        each = {name: task.metrics() for name, task in self.parts}
        losses = [self.weights[name] * found["val/loss"] for name, found in each.items()]
        monitored = [each[name][task.monitor].float() for name, task in self.parts]
        found = {"val/loss": torch.stack(losses).sum(), self.monitor: torch.stack(monitored).mean()}
        return found | {
            named(metric, name): value for name, part in each.items() for metric, value in part.items()
        }


def named(metric: str, task: str) -> str:
    """The name of a task's metric in the log: val/top1 of category is val/category_top1."""
    split, _, name = metric.partition("/")
    return f"{split}/{task}_{name}"


def part_of(values: Mapping[str, Tensor], task: str) -> dict[str, Tensor]:
    """The values of one task, by its own names of heads."""
    return {key.partition("/")[2]: value for key, value in values.items() if key.partition("/")[0] == task}
