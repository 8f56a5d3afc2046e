"""A torchvision network and a recurrent network in LightningModules of their own, scored on recorded V4 every epoch.

    python benchmarks/foreign_modules.py --images tiny-imagenet-75 --bundle cowley2023-V4-190925 --epochs 4

images: a folder with train/<class>/ and val/<class>/. Neither network nor its module uses anything of cornet but the
callbacks. Each network is trained with the true labels and, as a control, with labels that are shuffled once. At the
end, the trained network is compared with responses whose stimuli are shuffled: that must give zero. Writes
results/foreign_modules.json.
"""

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

import cornet
from cornet import brain
from cornet.brain.subjects.any_network import subject_of
from cornet.files import atomic_write
from cornet.runs.provenance import versions
from cornet.runs.scores import read_scores

RESULTS = Path(__file__).parent / "results"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Recurrent(nn.Module):
    """Two areas, each a convolution with lateral recurrence that runs four times in a forward pass."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 32, 7, 2, 3)
        self.v4 = nn.Conv2d(32, 64, 3, 2, 1)
        self.lateral = nn.Conv2d(64, 64, 3, 1, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(64) for _ in range(4))
        self.relu = nn.ReLU()
        self.head = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        drive = self.v4(F.max_pool2d(F.relu(self.early(images)), 2))
        state = torch.zeros_like(drive)
        for norm in self.norms:
            state = self.relu(norm(drive + self.lateral(state)))
        logits: Tensor = self.head(state.mean((2, 3)))
        return logits


class Own(pl.LightningModule):
    """A classifier as anyone writes it."""

    def __init__(self, net: nn.Module, rate: float) -> None:
        super().__init__()
        self.net, self.rate = net, rate

    def training_step(self, batch: Any, index: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def validation_step(self, batch: Any, index: int) -> None:
        images, labels = batch
        self.log("val/acc", (self.net(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.SGD(self.parameters(), self.rate, momentum=0.9, weight_decay=1e-4)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Shuffled(Dataset[Any]):
    """Images with labels that are shuffled once."""

    def __init__(self, images: ImageFolder) -> None:
        self.images = images
        self.labels = np.random.default_rng(0).permutation(images.targets)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.images[index][0], int(self.labels[index])


def trained(name: str, given: argparse.Namespace, shuffled: bool, folder: Path) -> dict[str, Any]:
    """Train one network and return its scores by epoch."""
    pl.seed_everything(given.seed, verbose=False)
    transform = Compose([Resize(given.size), ToTensor(), Normalize(MEAN, STD)])
    train, val = (ImageFolder(Path(given.images) / part, transform) for part in ("train", "val"))
    classes = len(train.classes)
    torchvision = name == "resnet18"
    module = Own(resnet18(num_classes=classes) if torchvision else Recurrent(classes), 0.05)
    options: dict[str, Any] = {} if torchvision else {"step_ms": 50, "onset_ms": 0}
    brain_score = cornet.BrainScore(
        [given.bundle],
        layers={"V4": "layer2" if torchvision else "relu"},
        network="net",
        size=given.size,
        task_metric="val/acc",
        metric=["pls", "cka", "rdm"],
        **options,
    )
    matrix = cornet.StepMatrix()
    trainer = pl.Trainer(
        max_epochs=given.epochs,
        callbacks=[brain_score, matrix],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    load: dict[str, Any] = {"batch_size": 32, "num_workers": given.workers}
    start = time.perf_counter()
    trainer.fit(
        module,
        DataLoader(Shuffled(train) if shuffled else train, shuffle=True, drop_last=True, **load),
        DataLoader(val, **load),
    )
    seconds = time.perf_counter() - start
    rows = read_scores(folder)
    columns = ["epoch", "benchmark", "metric", "task_value", "sites", "raw", "error", "notes"]
    found: dict[str, Any] = {"seconds": round(seconds), "rows": rows[columns].to_dict("records")}
    found["zero"] = zero(module, brain_score, given)
    if (folder / "step_matrix.csv").exists():
        steps = pd.read_csv(folder / "step_matrix.csv")
        steps = steps[~steps["benchmark"].str.contains("-(?:cka|rdm)$")]
        found["by_step"] = dict(
            zip(steps["area"] + steps["step"].map("[{}]".format), steps["raw"], strict=True)
        )
    return found


def zero(module: Own, scored: Any, given: argparse.Namespace) -> dict[str, float]:
    """The raw scores, by metric, for responses whose stimuli are shuffled."""
    benchmark = scored.benchmarks[0]
    subject = subject_of(module.net, scored.layers, size=given.size)
    subject.caches = False
    responses = benchmark.responses
    (site,) = benchmark.sites(subject)
    recording = subject.record(benchmark.stimuli, [site], benchmark.degrees)
    rows = benchmark.stimuli.positions(list(responses.stimulus_ids))
    order = np.random.default_rng(1).permutation(len(responses.mean))
    features, shuffled = recording[site][rows], responses.mean[order]
    found = {}
    for name in ("pls", "cka", "rdm"):
        metric = brain.neural_metric(name)
        found[name] = float(
            metric.score(features, shuffled, benchmark.splits if metric.is_mapping else []).raw
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--networks", nargs="+", default=["resnet18", "recurrent"])
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for name in given.networks:
        for labels in ("true", "shuffled"):
            with tempfile.TemporaryDirectory() as folder:
                found = trained(name, given, labels == "shuffled", Path(folder))
            results[f"{name}, {labels} labels"] = found
            accuracy = found["rows"][-1]["task_value"]
            print(f"{name}, {labels} labels: accuracy {accuracy:.3f}, {found['seconds']} s", flush=True)
            for metric, shuffled in found["zero"].items():
                raw = [row["raw"] for row in found["rows"] if row["metric"] == metric]
                course = " ".join(f"{value:.3f}" for value in raw)
                print(f"  {metric} by epoch: {course}; stimuli shuffled: {shuffled:.3f}", flush=True)
            print(f"  pls by step: {found.get('by_step')}", flush=True)
    settings = {key: getattr(given, key) for key in ("epochs", "size", "seed")}
    settings |= {"bundle": Path(given.bundle).name, "images": Path(given.images).name}
    content = {"date": datetime.date.today().isoformat(), "settings": settings, "versions": versions()}
    RESULTS.mkdir(exist_ok=True)
    atomic_write(
        RESULTS / "foreign_modules.json", json.dumps({**content, "results": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
