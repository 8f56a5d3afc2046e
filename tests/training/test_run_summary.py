"""What a finished run says was best."""

import math

import pandas as pd
import pytest

from cornet.training.run_summary import best_of

METRICS = pd.DataFrame(
    {
        "epoch": [math.nan, 0, 1, 2, math.nan],
        "val/top1": [math.nan, 0.1, 0.4, 0.3, math.nan],
        "brain/IT": [0.9, math.nan, math.nan, math.nan, 0.2],
        "brain/epoch": [0.0, math.nan, math.nan, math.nan, 3.0],
        "brain/V4": [math.nan] * 5,
    }
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("val/top1", (0.4, 2)), ("brain/IT", (0.2, 3))],  # an untrained network has no checkpoint
)
def test_best_of(name, expected):
    assert best_of(METRICS, name) == expected


@pytest.mark.parametrize("name", ["brain/V4", "brain/V2", "val/top7"])
def test_nothing_to_be_best_of(name):
    assert all(map(math.isnan, best_of(METRICS, name)))
