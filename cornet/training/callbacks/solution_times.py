"""What object solution times rest on: an interval, how many images, the untrained start, every image's times."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl

from cornet.brain.benchmarks import Result, TimesBenchmark
from cornet.brain.score import Score
from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["ObjectSolutionTimes"]


class ObjectSolutionTimes(pl.Callback):
    """Tells more of the solution times whenever `BrainScore` takes them.

    Writes solution_times.csv of the last ones (epoch, benchmark, simulated, stimulus_id, target_ms, tested: in how many
    splits, predicted_ms; truth_ms for the simulated brain) and logs, per benchmark, brain/<benchmark>/low and /high
    (95 % over images), /share_solved, /share_solved_first_bin, /images (that enter a split's correlation, on average),
    /untrained (raw, of the first weights), and /accuracy_step<k> and /dprime_step<k> for every different state of IT.

    folder: the run's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "solution_times.csv"

    def on_brain_scores(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, results: Sequence[Result], epoch: float
    ) -> None:
        if not trainer.is_global_zero:
            return
        tables = []
        for result in results:
            one = result.benchmark
            if not isinstance(one, TimesBenchmark) or result.failure:
                continue
            found = told(one.name, result.score, untrained(trainer, one.name))
            for logger in trainer.loggers:
                logger.log_metrics({**found, "brain/epoch": epoch}, step=trainer.global_step)
            tables.append(times_of(one, result.score, epoch))
        if tables:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self.path, csv_text(pd.concat(tables)))


def untrained(trainer: pl.Trainer, name: str) -> float:
    """The benchmark's raw score with the first weights; NaN where it was not taken or is undefined."""
    for brain in trainer.callbacks:  # type: ignore[attr-defined]
        for row in brain.scores.rows if isinstance(brain, BrainScore) else ():
            if row["benchmark"] == name and int(row["step"]) == 0:
                return float(row["raw"] or math.nan)
    return math.nan


def told(name: str, score: Score, untrained: float) -> dict[str, float]:
    """The numbers beside a score; those that are not there are left out."""
    details = score.details
    if not details:
        return {}
    low, high = details["interval"]
    found: dict[str, float] = {"low": low, "high": high, "untrained": untrained}
    found |= {key: details[key] for key in ("share_solved", "share_solved_first_bin")}
    found["images"] = float(np.mean(details["entering"]))
    for what in ("accuracy", "dprime"):
        states = np.unique(np.asarray(details[what]).round(12), return_index=True)[1]
        for step, first in enumerate(sorted(states)):
            found[f"{what}_step{step}"] = float(details[what][first])
    return {f"brain/{name}/{key}": float(value) for key, value in found.items() if math.isfinite(value)}


def times_of(one: TimesBenchmark, score: Score, epoch: float) -> pd.DataFrame:
    """Every image's target and predicted time."""
    data = one.data
    columns: dict[str, Any] = {
        "epoch": epoch,
        "benchmark": one.name,
        "simulated": one.simulated,
        "stimulus_id": data.stimuli.ids,
        "target_ms": data.ost,
        "tested": score.details.get("tested", np.nan),
        "predicted_ms": score.details.get("predicted_ost", np.full(len(data.ost), math.nan)),
    }
    if one.simulated:
        from cornet.brain import simulated

        columns["truth_ms"] = simulated.solution_times().truth_ost
    return pd.DataFrame(columns)
