"""What a finished run says of itself."""

from pathlib import Path

import pytest

from cornet.report.run.closing import print_summary_table, summary_line

SUMMARY = {
    "network": "cornet_s",
    "data": "objects",
    "parameters": 1234,
    "steps": [1, 2, 4, 2],
    "train_images": 64,
    "val_images": 32,
    "epochs": 6,
    "images_per_second": 1000.0,
    "monitor": "val/top1",
    "best": 0.5,
    "best_epoch": 5,
    "chance": 0.125,
    "last": {"val/top1": 0.25},
    "bad_files": False,
}
BRAIN = {"brain_monitor": "brain/mean", "brain_best": 0.375, "brain_best_epoch": 4}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "best top-1 0.500 (epoch 5), 6 epochs; written to runs/x"),
        (
            BRAIN,
            "best top-1 0.500 (epoch 5), best mean brain score 0.375 (epoch 4), 6 epochs; written to runs/x",
        ),
        (
            {"best": None, "best_epoch": None, "stopped_early": 2},
            "2 of 6 epochs, stopped early; written to runs/x",
        ),
    ],
)
def test_one_of_many_runs_says_a_line(more, said):
    assert summary_line(SUMMARY | more, Path("runs/x")) == said


def test_the_table_tells_of_a_run_that_was_stopped_early(tmp_path, capsys):
    print_summary_table(SUMMARY | BRAIN | {"stopped_early": 2}, tmp_path)
    rows = {
        line.split("\u2502")[1].strip(): line
        for line in capsys.readouterr().out.splitlines()
        if "\u2502" in line
    }
    assert "2 of 6 epochs, stopped early" in rows["trained for"]
    assert "0.375 (epoch 4)" in rows["best mean brain score"]
    assert "0.500 (epoch 5)" in rows["best top-1"]
    assert "0.250" in rows["top-1"]


def test_matrices_are_named_where_there_are_some(tmp_path, capsys):
    print_summary_table(SUMMARY, tmp_path)
    assert "matrix" not in capsys.readouterr().out
    (tmp_path / "time_matrix.csv").write_text("")
    print_summary_table(SUMMARY, tmp_path)
    assert "time_matrix.csv                    scores of every step" in capsys.readouterr().out
