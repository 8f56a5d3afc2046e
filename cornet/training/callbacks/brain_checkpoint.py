"""Keep the best checkpoint by a brain score, next to the best by accuracy."""

import contextlib
import copy
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from cornet.errors import CornetError
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.learner import Learner

__all__ = ["BestCheckpoint"]


class BestCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint whose monitor may be a brain score: then it only compares epochs with a new score.

    optional: do nothing if no brain scores are computed. Raises CornetError if the monitor is not measured: a metric of
    the task at the start, others at the first comparison.
    """

    def __init__(
        self,
        dirpath: str | Path,
        filename: str = "best",
        monitor: str | None = None,
        mode: str = "max",
        enable_version_counter: bool = False,
        optional: bool = False,
    ) -> None:
        counter = enable_version_counter
        super().__init__(dirpath, filename, monitor, mode=mode, enable_version_counter=counter)
        self.optional = optional

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        own = [
            one for one in callbacks if not type(one).__module__.startswith(("cornet.", "pytorch_lightning."))
        ]
        known = task_metrics(pl_module)
        if known and str(self.monitor).startswith("val/") and self.monitor not in known and not own:
            raise CornetError(self.unknown(known))

    def unknown(self, known: Iterable[str]) -> str:
        key = "brain.monitor" if self.optional else "monitor"
        return f"{key}={self.monitor} was not measured; choose one of {', '.join(sorted(known))}."

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state, with paths moved to this folder; Lightning drops the best score if the folder has changed."""
        old, new = str(state_dict.get("dirpath")), str(self.dirpath)

        def relocated(value: Any) -> Any:
            if isinstance(value, dict):
                return {relocated(key): score for key, score in value.items()}
            inside = isinstance(value, str) and value.startswith(old)
            return new + value.removeprefix(old) if inside else value

        super().load_state_dict({key: relocated(value) for key, value in state_dict.items()})

    def _save_topk_checkpoint(self, trainer: pl.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        brains = [one for one in trainer.callbacks if isinstance(one, BrainScore)]  # type: ignore[attr-defined]
        if str(self.monitor).startswith("brain/") and (brains or self.optional):
            if not any(b.last_step == trainer.global_step and self.monitor in b.last_metrics for b in brains):
                return  # no new score
        elif self.monitor not in monitor_candidates:
            raise CornetError(self.unknown(name for name in monitor_candidates if "/" in name))
        super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _should_remove_checkpoint(self, trainer: pl.Trainer, previous: str, current: str) -> bool:
        """Allow removal only in this folder: `previous` may come from a checkpoint of another run."""
        inside = Path(previous).resolve().parent == Path(str(self.dirpath)).resolve()
        return inside and super()._should_remove_checkpoint(trainer, previous, current)


def task_metrics(module: pl.LightningModule) -> list[str]:
    """Names of the metrics of a Learner's task; empty where a task of the user cannot compute them without images."""
    if not isinstance(module, Learner):
        return []
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(copy.deepcopy(module.task).metrics())
    return []
