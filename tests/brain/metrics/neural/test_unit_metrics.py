"""Reverse predictivity and matches as metrics of a bundle: as the functions, and nothing for shuffled responses."""

import numpy as np
import pytest

from cornet import brain
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.drawn_bundle import Drawn, assembly, write
from tests.helpers.brain.small_bundles import ids

UNIT_METRICS = ("reverse_pls", "one_to_one", "semi", "soft", "partial")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return str(write(tmp_path / "mine"))


def scored(folder, metric):
    (benchmark,) = open_benchmarks([folder], metric=metric)
    return benchmark, benchmark.run(Drawn())


def test_reverse_splits_are_drawn_in_the_order_of_the_stimulus_set(folder):
    """As in the reference, whose splitter walks the model's rows; the table is shuffled, the responses are sorted."""
    benchmark, score = scored(folder, "reverse_pls")
    data = benchmark.data
    responses = data.responses("V4")
    features = Drawn().record(data.stimuli, [Site("V4")])[Site("V4")]
    rows = [list(responses.stimulus_ids).index(one) for one in data.stimuli.ids]
    expected = brain.reverse_predictivity(features, responses.mean[rows])
    assert list(data.stimuli.ids) != list(responses.stimulus_ids) == list(ids(60))
    assert score.raw == pytest.approx(expected.raw, abs=1e-12)
    assert score.values.shape == (10,)
    ceiling = brain.reverse_ceiling(responses.repetitions)
    assert score.value == pytest.approx(expected.raw**2 / ceiling.raw, abs=1e-12)
    other = brain.reverse_predictivity(features[np.argsort(data.stimuli.ids)], responses.mean)
    assert other.raw != pytest.approx(expected.raw, abs=1e-6)


@pytest.mark.parametrize("metric", UNIT_METRICS[1:])
def test_matches_are_those_of_the_function(folder, metric):
    benchmark, score = scored(folder, metric)
    responses = benchmark.responses
    features = Drawn().features
    expected = brain.match_units(features, responses.mean, metric)
    half = brain.match_ceiling(responses.repetitions, metric).values
    assert benchmark.name == f"mine.V4-{metric}"
    assert score.raw == pytest.approx(expected.raw, abs=1e-12)
    assert score.ceiling == pytest.approx(np.mean(2 * half / (1 + half)), abs=1e-12)
    assert 0 < score.raw < 1


@pytest.mark.parametrize("metric", UNIT_METRICS)
def test_shuffled_responses_score_nothing(tmp_path, metric):
    data = assembly()
    shuffled = np.random.default_rng(3).permutation(60)
    names = {f"im{k:02d}": f"im{other:02d}" for k, other in enumerate(shuffled)}
    data = data.assign_coords(
        stimulus_id=("presentation", [names[one] for one in data.coords["stimulus_id"].values])
    )
    _, score = scored(str(write(tmp_path / "shuffled", data)), metric)
    assert abs(score.raw) < 0.15
    assert neural_metric(metric).has_suffix
