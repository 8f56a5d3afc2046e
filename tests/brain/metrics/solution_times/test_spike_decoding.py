"""The decode over time from spikes: made-up neurons with known onsets, and recorded ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from cornet import brain
from cornet.brain.metrics.solution_times.decoding import PENALTY
from cornet.errors import CornetError

OBJECTS = ["car", "face", "hand"]
STARTS = np.arange(-50, 200, 10)


def made_up(trials: int = 40, neurons: int = 30, onset: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Poisson counts; from the onset, ms, an object drives its own third of the neurons."""
    rng = np.random.default_rng(0)
    labels = np.repeat(OBJECTS, trials)
    rate = np.full((len(labels), neurons, len(STARTS)), 0.5)
    for k, name in enumerate(OBJECTS):
        rate[np.ix_(labels == name, np.arange(neurons) % 3 == k, onset <= STARTS)] = 2.0
    order = rng.permutation(len(labels))
    return rng.poisson(rate)[order].astype(float), labels[order]


@pytest.mark.parametrize("onset", [60, 120])
@pytest.mark.slow  # decodes many bins
def test_objects_are_solved_soon_after_the_onset(onset: int) -> None:
    result = brain.decode_over_time(*made_up(onset=onset), STARTS, window=30, threshold=1.5)
    assert result.objects.tolist() == OBJECTS
    assert (result.solution_time > onset).all()
    assert (result.solution_time < onset + 30).all()
    before = result.end <= onset
    assert abs(result.accuracy[before].mean() - 1 / 3) < 0.05
    assert result.accuracy[-1] > 0.9
    for middle, interval in (
        (result.accuracy, result.accuracy_interval),
        (result.solution_time, result.solution_interval),
        (result.stimulus_i1, result.stimulus_interval),
    ):
        assert (interval[..., 0] <= middle).all()
        assert (middle <= interval[..., 1]).all()
    assert (result.solved == 1).all()


@pytest.mark.slow  # decodes many bins
def test_accuracy_as_the_measure() -> None:
    counts, labels = made_up()
    result = brain.decode_over_time(counts, labels, STARTS, measure="accuracy", threshold=1.01)
    chosen = result.objects[result.probabilities.argmax(-1)]
    for k, name in enumerate(result.objects):
        share = (chosen == labels)[:, labels == name].mean(1)
        np.testing.assert_allclose(result.object_curve[k], share, atol=1e-12)
    assert np.isnan(result.solution_time).all()  # nothing exceeds 1
    assert (result.solved == 0).all()


def test_one_window_equals_scikit_learn() -> None:
    counts, labels = made_up()
    counts = counts[:, :, 10:]
    counts[3, 2, 4] = np.nan
    result = brain.decode_over_time(counts, labels, STARTS[10:], window=150, folds=5, seed=3)
    assert result.notes == (
        "1 of 120 presentations have missing counts and are filled with the training mean",
    )
    summed = counts.sum(2)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=3).split(summed, labels):
        x = np.where(np.isnan(summed), np.nanmean(summed[train], axis=0), summed)
        z = np.c_[StandardScaler().fit(x[train]).transform(x), np.ones(len(x))]
        model = LogisticRegression(
            C=1 / (PENALTY * len(train)), fit_intercept=False, tol=1e-11, max_iter=1000, solver="newton-cg"
        ).fit(z[train], labels[train])
        np.testing.assert_allclose(
            result.probabilities[0, test], model.predict_proba(z[test]), rtol=0, atol=1e-7
        )
    complete = brain.decode_over_time(counts, labels, STARTS[10:], window=150, folds=5, missing="complete")
    assert len(complete.kept) == 119
    assert 3 not in complete.kept


def test_without_resampling_there_is_no_interval() -> None:
    counts, labels = made_up(trials=12, neurons=9)
    result = brain.decode_over_time(counts, labels, STARTS, window=50, step=50, bootstrap=0)
    assert np.isnan(result.accuracy_interval).all()
    assert np.isfinite(result.accuracy).all()


BAD = [
    ({"labels": ["car"]}, "labels of shape"),
    ({"counts": np.zeros((4, 5))}, "must be .presentation, neuroid, time"),
    ({"time_bin_start": STARTS[::-1]}, "equal steps"),
    ({"window": 15}, "must be a multiple"),
    ({"window": 1000}, "longer than the recording"),
    ({"measure": "d"}, "choose one of i1, accuracy"),
    ({"missing": "drop"}, "choose one of mean, complete"),
    ({"folds": 41}, "41 folds need"),
    ({"search_from": 500}, "after all windows"),
    ({"decoder": "svm"}, "choose one of"),
    ({"counts": np.full((120, 30, 25), np.nan)}, "30 neurons have no counts"),
    ({"counts": np.full((120, 30, 25), np.nan), "missing": "complete"}, "need at least 2 objects"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes(change: dict[str, Any], message: str) -> None:
    counts, labels = made_up()
    with pytest.raises(CornetError, match=message):
        brain.decode_over_time(**{"counts": counts, "labels": labels, "time_bin_start": STARTS} | change)


@pytest.fixture
def recorded(shared_data: Path) -> dict[str, np.ndarray]:
    path = shared_data / "zhang2011-IT-spikes" / "assembly.nc"
    if not path.is_file():
        pytest.skip("the IT spikes are not here")
    with xr.open_dataset(path, engine="h5netcdf") as data:
        return {
            "counts": data["zhang2011.IT.objects"].values,
            "labels": data["object_name"].values,
            "time_bin_start": data["time_bin_start"].values,
            "stimulus_ids": data["stimulus_id"].values,
        }


def test_recorded_population_in_three_windows(recorded: dict[str, np.ndarray]) -> None:
    result = brain.decode_over_time(**recorded, window=100, step=100)
    accuracy = dict(zip(result.start, result.accuracy, strict=True))
    assert accuracy[-100] == pytest.approx(1 / 7, abs=0.045)  # 2.6 standard errors of 420 trials
    assert accuracy[0] == pytest.approx(1 / 7, abs=0.045)
    assert 0.80 < accuracy[100] < 0.88
    assert result.stimulus_i1.shape == (21, 5)


@pytest.mark.slow
def test_recorded_objects_are_solved_between_100_and_160_ms(recorded: dict[str, np.ndarray]) -> None:
    result = brain.decode_over_time(**recorded, window=50, step=10)
    assert (result.solution_time > 100).all()
    assert (result.solution_time < 165).all()
    assert np.ptp(result.solution_time) > 15
    assert (result.solved == 1).all()
