"""Learning curves: the picture holds what the numbers say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cornet.report.curves import epoch_length, plot_curves


def metrics(epochs: int = 4, per_epoch: int = 10, **views: float) -> pd.DataFrame:
    """A log as training writes it: a loss at some steps, accuracies at each epoch's last."""
    rows = [
        {"epoch": s // per_epoch, "step": s, "train/loss": 5.0 - 0.1 * s}
        for s in range(0, epochs * per_epoch, 2)
    ]
    for epoch in range(epochs):
        last = {"epoch": epoch, "step": (epoch + 1) * per_epoch - 1, "val/loss": 5.0 - epoch}
        rows.append(last | {f"val/{name}": top * (epoch + 1) / epochs for name, top in views.items()})
    return pd.DataFrame(rows).sort_values("step")


def test_an_epochs_length_is_read_from_the_log():
    assert epoch_length(metrics(per_epoch=10, top1=0.5)) == 10
    assert epoch_length(metrics(per_epoch=10).drop(columns="val/loss")) == 40


@pytest.mark.parametrize("runs", [1, 3])
def test_the_picture_is_drawn_at_its_size_with_a_colour_a_run(runs: int, tmp_path: Path):
    logs = {f"run{k}": metrics(top1=0.3 + 0.2 * k, top1_squash=0.2) for k in range(runs)}
    plot_curves(logs, tmp_path / "curves.png", chance=0.1, title="Curves")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    assert pixels.shape[:2] == (480, 1200 if runs == 1 else 1350)
    for k, colour in enumerate(((0x1B, 0x6C, 0xA8), (0xD1, 0x49, 0x5B), (0x3C, 0x8D, 0x53))):
        drawn = (np.abs(pixels - colour).sum(-1) < 30).sum()
        assert (drawn > 200) == (k < runs)


def test_a_log_without_validation_can_be_drawn(tmp_path: Path):
    plot_curves({"run": metrics().drop(columns="val/loss")}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
