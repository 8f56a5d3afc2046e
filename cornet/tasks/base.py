"""Base class of tasks: what a network learns, and how that is measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.samples import ImageSource
from cornet.tasks.counter import Counter

__all__ = ["Outputs", "Targets", "Task"]

Targets = Mapping[str, Tensor]
"""The targets of a batch by name, such as label (batch,) or position (batch, 2)."""


class Outputs(NamedTuple):
    """What a network and the heads of a task give for a batch.

    predictions: by head, (batch, ...), at the last step. readouts: by head, (step, batch, ...), at every step at which
    the image has reached the area of the head; None unless they were asked for. states: {area: (time, batch, channel,
    y, x)}; None unless they were asked for. images: the normalised images (batch, channel, y, x) that all of these are
    differentiable functions of; None unless a loss needs them.
    """

    predictions: Mapping[str, Tensor]
    readouts: Mapping[str, Tensor] | None = None
    states: Mapping[str, Tensor] | None = None
    images: Tensor | None = None


class Task(nn.Module, ABC):
    """What a network learns. A subclass owns the heads, the loss and the metrics.

    A task is made with plain arguments; then `attach` fits it to a network and its images.

    monitor: the metric that chooses the best checkpoint; higher is better. shown: (metric, label) pairs for the
    progress line and tables, the most important first. chance: what guessing gives, by metric.
    """

    monitor: str
    shown: Sequence[tuple[str, str]] = ()
    chance: Mapping[str, float] = {}

    def attach(self, net: Any, source: ImageSource, views: Sequence[str], readouts: bool = False) -> None:
        """Build heads and metrics for a network.

        net: the network, which may get another decoder here. views: names of the validation protocols; the first one
        is monitored. readouts: whether outputs at every step are measured, too. Raises CornetError if the network or
        the images do not fit the task.
        """

    @abstractmethod
    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool = False, states: bool = False, **arguments: Any
    ) -> Outputs:
        """Run the network and the heads on inputs (batch, channel, y, x).

        readouts, states: what `Outputs` must hold besides the predictions. arguments: for the network.
        """

    @abstractmethod
    def loss(self, predictions: Mapping[str, Tensor], targets: Targets) -> Tensor:
        """Return the training loss of predictions, a mean over the batch."""

    @abstractmethod
    def start_epoch(self) -> None:
        """Reset the metrics of the training."""

    @abstractmethod
    def update_training(self, predictions: Mapping[str, Tensor], targets: Targets) -> None:
        """Count the predictions of a training step, without waiting for the device."""

    @abstractmethod
    def training_metrics(self) -> dict[str, Tensor]:
        """Return the metrics of the training in this epoch, by their names in the log."""

    @abstractmethod
    def update(self, outputs: Outputs, targets: Targets, view: str) -> None:
        """Count the outputs of a validation step."""

    @abstractmethod
    def metrics(self) -> dict[str, Tensor]:
        """Return the metrics of the validation, by their names in the log (val/loss first), and reset them."""

    def counters(self) -> dict[str, Counter]:
        """Return the metrics of the training, by the key under which checkpoints hold their counts."""
        return {}

    def on_save(self, checkpoint: dict[str, Any]) -> None:
        """Store the counts of the training's metrics, so that a training can resume within an epoch."""
        checkpoint.update({key: counter.held() for key, counter in self.counters().items()})

    def on_load(self, checkpoint: dict[str, Any], first_rank: bool) -> None:
        """Restore what `on_save` stored. Stored counts are sums over the ranks: only the first rank takes them."""
        for key, counter in self.counters().items():
            if first_rank and key in checkpoint:
                counter.restore(checkpoint[key])


def check_targets(task: str, names: Sequence[str], available: Sequence[str]) -> None:
    """Raise CornetError for a target that the data do not have."""
    for name in names:
        if name not in available:
            raise CornetError(
                f"the task {task} needs the target {name!r}, but the data have {', '.join(available) or 'none'}; "
                "choose other data, or other targets."
            )
