"""A finished run in numbers."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cornet.training.build import Training
from cornet.training.csv_logger import read_metrics

__all__ = ["summarise"]


def summarise(training: Training, config: DictConfig, folder: Path) -> dict[str, Any]:
    """The run in numbers, read back from what it logged."""
    metrics = read_metrics(folder / "metrics.csv")
    epochs = metrics.dropna(subset=["val/top1"]).groupby("epoch").last()
    best = int(epochs["val/top1"].idxmax())
    rates = metrics.get("train/images_per_second")
    return {
        "network": config.model.name,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "steps": list(training.net.steps.values()),
        "data": training.source.name,
        "classes": len(training.source.classes),
        "train_images": len(training.data.train_images),
        "val_images": len(training.data.val_images),
        "epochs": training.module.recipe.epochs,
        "best": float(epochs["val/top1"][best]),
        "best_epoch": best + 1,
        "last": {name: float(epochs[name].iloc[-1]) for name in epochs.columns if name.startswith("val/")},
        "chance": 1 / len(training.source.classes),
        "images_per_second": None if rates is None else float(rates.median()),
        "bad_files": (folder / "bad_files.csv").exists(),
    }
