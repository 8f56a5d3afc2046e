"""A callback of your own: any callback of Lightning; this one also hears of brain scores.

cd examples
python ../train.py +callbacks.mine._target_=own_callback.BestRegion
"""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from cornet.brain.benchmarks import Result


class BestRegion(pl.Callback):
    """Prints which benchmark gained most since the scores before training."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}

    def on_brain_scores(
        self, trainer: pl.Trainer, pl_module: Any, results: Sequence[Result], epoch: float
    ) -> None:
        """Called after every evaluation, on all ranks. epoch: epochs trained."""
        values = {result.benchmark.name: result.score.value for result in results if not result.failure}
        self.first = self.first or values
        gains = {name: value - self.first[name] for name, value in values.items() if name in self.first}
        if epoch and gains and trainer.is_global_zero:
            best = max(gains, key=lambda name: gains[name])
            print(f"after epoch {epoch:g}, {best} has gained most: {gains[best]:+.3f}")
