"""What tests of killed runs ask: whether a run has begun, whether two ended alike."""

from pathlib import Path

import pandas as pd
import torch

from tests.helpers.training.small_runs import SPEED, checkpoint, weights


def same(whole: Path, ours: Path) -> None:
    """Weights, average, optimiser, metrics and scores, to the last bit, but for what tells times, and of the code."""
    for which in ("last", "best", "best_brain"):
        expected, found = weights(whole, which), weights(ours, which)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected), which
    one, two = checkpoint(whole), checkpoint(ours)
    assert torch.equal(one["random_state"]["torch"], two["random_state"]["torch"])
    raw, mine = one["raw_weights"]["weights"], two["raw_weights"]["weights"]
    assert all(torch.equal(raw[key], mine[key]) for key in raw)
    for name, times in {
        "metrics.csv": [*SPEED, "brain/seconds"],
        "scores.csv": ["seconds", "commit", "versions"],
        "step_matrix.csv": [],
    }.items():
        tables = [pd.read_csv(run / name).drop(columns=times) for run in (whole, ours)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)


def has_begun(folder: Path) -> bool:
    return any(folder.glob("**/seed*/metrics.jsonl"))
