"""A metric that counts the training steps of an epoch and can resume within it."""

from collections.abc import Mapping

from torch import Tensor
from torchmetrics import Metric

__all__ = ["Counter"]


class Counter(Metric):
    """A torchmetrics metric whose state is sums over images, so that a checkpoint can hold it."""

    def held(self) -> dict[str, Tensor]:
        """Return the sums over all images of all ranks."""
        with self.sync_context():
            return {name: value.clone() for name, value in self.metric_state.items()}  # type: ignore[union-attr]

    def restore(self, held: Mapping[str, Tensor]) -> None:
        """Continue from sums that `held` returned."""
        self.reset()
        self._update_count = 1  # otherwise torchmetrics warns that nothing was counted
        for name, value in held.items():
            getattr(self, name).copy_(value.reshape(getattr(self, name).shape))
