"""Summarise a finished run."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from cornet.runs.metrics import read_metrics
from cornet.training.build import Training
from cornet.training.sweeps.halving import stopped_early

__all__ = ["best_of", "summarise"]


def summarise(training: Training, config: DictConfig, folder: Path) -> dict[str, Any]:
    """Return the run's numbers, read from its logs.

    best, best_epoch: of `monitor`; brain_best, brain_best_epoch: of `brain.monitor`, None without brain scores. areas:
    whose steps they are. inputs: "images", or what else the network is shown. stopped_early: number of epochs after
    which successive halving stopped the run. Epochs are counted from 1.
    """
    metrics = read_metrics(folder / "metrics.csv")
    task = training.module.task
    epochs = metrics.dropna(subset=[task.monitor]).groupby("epoch").last()
    best, best_epoch = best_of(metrics, config.monitor)
    brain, brain_epoch = best_of(metrics, config.brain.monitor)
    rates = metrics.get("train/images_per_second")
    return {
        "network": config.model.name,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "steps": list(training.net.steps.values()),
        "areas": list(training.net.steps),
        "data": training.source.name,
        "inputs": "images" if len(training.source.mean) else training.source.name,
        "classes": len(training.source.classes),
        "train_images": len(training.data.train_images),
        "val_images": len(training.data.val_images),
        "epochs": training.module.recipe.epochs,
        "monitor": config.monitor,
        "best": best,
        "best_epoch": best_epoch,
        "brain_monitor": config.brain.monitor,
        "brain_best": None if math.isnan(brain) else brain,
        "brain_best_epoch": None if math.isnan(brain) else brain_epoch,
        "last": {name: float(epochs[name].iloc[-1]) for name in epochs.columns if name.startswith("val/")},
        "task": type(task).__name__,
        "task_metric": task.monitor,
        "chance": task.chance.get(task.monitor),
        "images_per_second": None if rates is None else float(rates.median()),
        "bad_files": (folder / "bad_files.csv").exists(),
        **stopped_early(training.trainer.callbacks),  # type: ignore[attr-defined]
    }


def best_of(metrics: pd.DataFrame, name: str) -> tuple[float, float]:
    """Return a metric's highest value after training began, and its epoch counted from 1; NaN without values."""
    brain = name.startswith("brain/")
    counter = "brain/epoch" if brain else "epoch"
    if name not in metrics or counter not in metrics:
        return math.nan, math.nan
    rows = metrics.dropna(subset=[name, counter])
    rows = rows[rows["brain/epoch"] >= 1] if brain else rows  # checkpoints are written after whole epochs
    if not len(rows):
        return math.nan, math.nan
    row = rows.loc[rows[name].idxmax()]
    return float(row[name]), int(row[counter]) + (0 if brain else 1)
