"""The best checkpoint by a brain score, beside the best by accuracy."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["BestCheckpoint"]


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, for a monitor that may be a brain score: judged only in epochs that took a new one.

    optional: with no brain scores at all, nothing is kept.
    """

    def __init__(
        self,
        dirpath: str | Path,
        filename: str = "best",
        monitor: str = "val/top1",
        mode: str = "max",
        enable_version_counter: bool = False,
        optional: bool = False,
    ) -> None:
        counter = enable_version_counter
        super().__init__(dirpath, filename, monitor, mode=mode, enable_version_counter=counter)
        self.optional = optional

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of this run, whose folder may have been moved since: Lightning would then forget what was best."""
        old, new = str(state_dict.get("dirpath")), str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): score for key, score in value.items()}
            ours = isinstance(value, str) and value.startswith(old)
            return new + value.removeprefix(old) if ours else value

        super().load_state_dict({key: moved(value) for key, value in state_dict.items()})

    def _save_topk_checkpoint(self, trainer: pl.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        if self.monitor is not None and self.monitor.startswith("brain/") and not self._taken(trainer):
            return
        super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _should_remove_checkpoint(self, trainer: pl.Trainer, previous: str, current: str) -> bool:
        """Only a file that lies in this folder itself: `previous` may have come from a checkpoint that was given."""
        inside = Path(previous).resolve().parent == Path(str(self.dirpath)).resolve()
        return inside and super()._should_remove_checkpoint(trainer, previous, current)

    def _taken(self, trainer: pl.Trainer) -> bool:
        """Whether this very network has a score by that name."""
        brains = [callback for callback in trainer.callbacks if isinstance(callback, BrainScore)]  # type: ignore[attr-defined]
        return any(brain.taken_at == trainer.global_step and self.monitor in brain.taken for brain in brains)
