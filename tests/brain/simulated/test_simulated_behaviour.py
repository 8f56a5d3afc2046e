"""The simulated observer's choices and solution times: the comparisons find what is true of them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from cornet.brain import i2n, i2n_ceiling, object_solution_times
from cornet.brain.simulated import SimulatedBrain
from cornet.brain.simulated.linear_readout import cross_validated
from cornet.brain.simulated.randomness import uniform
from cornet.stimuli.objects import CATEGORIES
from tests.helpers.brain.simulated_brain import fresh_brain

pytestmark = pytest.mark.slow  # renders 640 images


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBrain]:
    yield from fresh_brain(tmp_path_factory)


@pytest.fixture(scope="module")
def trials(brain: SimulatedBrain) -> pd.DataFrame:
    return brain.trials()


def test_trials_hold_every_image_against_every_other_category(brain, trials):
    assert list(trials.columns) == ["stimulus_id", "sample", "distractor", "choice"]
    assert len(trials) == 640 * 7 * 60
    assert set(trials.groupby(["stimulus_id", "distractor"]).size()) == {60}
    shown = trials["stimulus_id"].map(brain.stimuli.table.set_index("stimulus_id")["category_name"])
    assert (shown == trials["sample"]).all()
    assert ((trials["choice"] == trials["sample"]) | (trials["choice"] == trials["distractor"])).all()
    assert brain.trials().equals(trials)


def test_errors_are_as_frequent_as_their_probabilities_say(brain, trials):
    p = brain.choice_probabilities
    np.testing.assert_allclose(p.sum(1), 1)
    truth = pd.Index(CATEGORIES).get_indexer(brain.stimuli.table["category_name"])
    right = p[np.arange(640), truth][:, None]
    expected = p / (p + right)
    wrong = trials.assign(wrong=trials["choice"] != trials["sample"])
    found = (
        wrong.pivot_table(index="stimulus_id", columns="distractor", values="wrong")
        .loc[brain.stimuli.ids, list(CATEGORIES)]
        .to_numpy(float)
    )
    there = np.isfinite(found)
    assert there.sum() == 640 * 7
    z = (found - expected)[there] / np.sqrt((expected * (1 - expected))[there] / 60)
    assert abs(z.mean()) < 0.05
    assert z.std() == pytest.approx(1, abs=0.05)


def test_i2n_of_the_truth_is_high_of_shuffled_images_nothing(brain, trials):
    p, ids = brain.choice_probabilities, brain.stimuli.ids
    ceiling = i2n_ceiling(trials)
    assert 0.4 < ceiling.raw < 0.8
    true = i2n(p, CATEGORIES, ids, trials)
    # The truth is compared with one noisy half, the halves with each other.
    assert true.raw == pytest.approx(np.sqrt(ceiling.raw), abs=0.06)
    assert true.with_ceiling(ceiling, "r/sqrt(c)").value == pytest.approx(1, abs=0.1)
    order = np.random.default_rng(0).permutation(80)
    truth = brain.stimuli.table["category_name"].to_numpy()
    shuffled = p.copy()
    for name in CATEGORIES:  # within a category, so that only what images differ in is lost
        rows = np.flatnonzero(truth == name)
        shuffled[rows] = p[rows[order]]
    assert abs(i2n(shuffled, CATEGORIES, ids, trials).raw) < 0.06


def test_spikes_recover_the_solution_times(brain):
    times = brain.solution_times()
    assert times.spikes.shape == (60, 640, 60, 18)
    both = np.isfinite(times.truth_ost) & np.isfinite(times.target_ost)
    assert both.mean() > 0.9
    assert spearmanr(times.truth_ost[both], times.target_ost[both])[0] > 0.93
    assert np.ptp(np.percentile(times.truth_ost[both], [5, 95])) > 25
    table = brain.stimuli.table
    size = table["size"].to_numpy()[both]
    assert spearmanr(times.truth_ost[both], size)[0] < -0.1  # smaller is later


@pytest.mark.slow
def test_the_benchmark_recovers_them_from_spikes_too(brain):
    times = brain.solution_times()
    first = slice(0, 10)  # all are solved by 170 ms

    def compared(features):
        return object_solution_times(
            features,
            times.labels,
            times.truth_ost,
            times.threshold_i1,
            times.time_bin_start[first],
            decoder="optimum",
            stimulus_ids=times.stimuli.ids,
            bootstrap=0,
        )

    spikes = times.spikes[..., first].mean(0)
    assert compared(spikes).raw > 0.9
    assert np.isnan(
        compared(np.repeat(spikes[..., 9:], 10, axis=2)).raw
    )  # an answer that stands still has no time


def test_readout_is_the_optimum_that_scikit_learn_finds():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = rng.normal(size=(90, 5)) + 0.8 * np.eye(5)[labels]
    penalty = 0.05
    found = cross_validated(features, labels, penalty, seed=0)
    order = np.lexsort((uniform(0, "folds", np.arange(90)), labels))
    fold = np.empty(90, int)
    fold[order] = np.arange(90) % 10
    for k in range(10):
        train, test = fold != k, fold == k
        mean, spread = features[train].mean(0), features[train].std(0)
        z = np.concatenate([(features - mean) / spread, np.ones((90, 1))], axis=1)
        oracle = LogisticRegression(
            C=1 / (penalty * train.sum()), fit_intercept=False, tol=1e-10, max_iter=5000
        ).fit(z[train], labels[train])
        np.testing.assert_allclose(found[test], oracle.predict_log_proba(z[test]), atol=1e-4)
