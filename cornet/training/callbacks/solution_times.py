"""Write and log the details behind object solution times: intervals, image counts, times per image."""

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
    """Writes and logs details of the solution times whenever `BrainScore` computes them.

    solution_times.csv holds the last ones: epoch, benchmark, simulated, stimulus_id, target_ms, tested (number of
    splits), predicted_ms; truth_ms for the simulated brain. Logged per benchmark: brain/<benchmark>/low and /high (95 %
    interval over images), /share_solved, /share_solved_first_bin, /images (in a split's correlation, on average),
    /untrained (raw score before training), and /accuracy_step<k> and /dprime_step<k> for every distinct state of IT.

    folder: where to write; None: the folder of `BrainScore`.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = folder

    def on_brain_scores(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, results: Sequence[Result], epoch: float
    ) -> None:
        if not trainer.is_global_zero:
            return
        tables = []
        for result in results:
            benchmark = result.benchmark
            if not isinstance(benchmark, TimesBenchmark) or result.failure:
                continue
            values = detail_metrics(benchmark.name, result.score, untrained(trainer, benchmark.name))
            for logger in trainer.loggers:
                logger.log_metrics({**values, "brain/epoch": epoch}, step=trainer.global_step)
            tables.append(times_table(benchmark, result.score, epoch))
        if tables:
            folder = self.folder or brain_callbacks(trainer)[0].path
            path = Path(folder) / "solution_times.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, csv_text(pd.concat(tables)))


def brain_callbacks(trainer: pl.Trainer) -> list[BrainScore]:
    return [callback for callback in trainer.callbacks if isinstance(callback, BrainScore)]  # type: ignore[attr-defined]


def untrained(trainer: pl.Trainer, name: str) -> float:
    """Return the benchmark's raw score before training; NaN if it was not computed or is undefined."""
    for brain in brain_callbacks(trainer):
        for row in brain.scores.rows if brain.scores else ():
            if row["benchmark"] == name and int(row["step"]) == 0:
                return float(row["raw"] or math.nan)
    return math.nan


def detail_metrics(name: str, score: Score, untrained: float) -> dict[str, float]:
    """Return the metrics of a score's details, without undefined ones."""
    details = score.details
    if not details:
        return {}
    low, high = details["interval"]
    values: dict[str, float] = {"low": low, "high": high, "untrained": untrained}
    values |= {key: details[key] for key in ("share_solved", "share_solved_first_bin")}
    values["images"] = float(np.mean(details["entering"]))
    for what in ("accuracy", "dprime"):
        states = np.unique(np.asarray(details[what]).round(12), return_index=True)[1]
        for step, first in enumerate(sorted(states)):
            values[f"{what}_step{step}"] = float(details[what][first])
    return {f"brain/{name}/{key}": float(value) for key, value in values.items() if math.isfinite(value)}


def times_table(benchmark: TimesBenchmark, score: Score, epoch: float) -> pd.DataFrame:
    """Return the target and predicted time of every image."""
    data = benchmark.data
    columns: dict[str, Any] = {
        "epoch": epoch,
        "benchmark": benchmark.name,
        "simulated": benchmark.simulated,
        "stimulus_id": data.stimuli.ids,
        "target_ms": data.ost,
        "tested": score.details.get("tested", np.nan),
        "predicted_ms": score.details.get("predicted_ost", np.full(len(data.ost), math.nan)),
    }
    if benchmark.simulated:
        from cornet.brain import simulated

        columns["truth_ms"] = simulated.solution_times().truth_ost
    return pd.DataFrame(columns)
