"""The page docs/how-scores-are-computed.md: its equations in NumPy give cornet's values, and what it names exists."""

import re

import numpy as np
import pytest

from cornet import brain
from cornet.brain.metrics.neural.registry import list_metrics
from cornet.brain.metrics.splits import half_splits, make_splits
from cornet.brain.scales import SCALES
from cornet.brain.subjects.step_times import network_intervals
from cornet.models import create_model
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs/how-scores-are-computed.md").read_text()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 20))
    repetitions = features @ rng.standard_normal((20, 7)) + 4 * rng.standard_normal((6, 60, 7))
    return features, repetitions


def correlate(a, b):
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))


def test_the_equations_of_ridge_its_ceiling_and_the_scale(data):
    features, repetitions = data
    responses = repetitions.mean(axis=0)
    r = []
    for train, test in make_splits(60):
        x, y = (side[train] - side[train].mean(axis=0) for side in (features, responses))
        weights = np.linalg.solve(x.T @ x + np.eye(20), x.T @ y)
        r.append(correlate((features[test] - features[train].mean(axis=0)) @ weights, responses[test]))
    medians = np.median(r, axis=1)
    halves = [correlate(repetitions[a].mean(axis=0), repetitions[b].mean(axis=0)) for a, b in half_splits(6)]
    ceiling = np.median(2 * np.array(halves) / (1 + np.array(halves)), axis=1).mean()
    found = brain.neural_predictivity(features, responses, metric="ridge")
    found = found.with_ceiling(brain.internal_consistency(repetitions), "r^2/c")
    assert found.raw == pytest.approx(medians.mean(), abs=1e-12)
    assert found.error == pytest.approx(medians.std() / np.sqrt(10), abs=1e-12)
    assert found.ceiling == pytest.approx(ceiling, abs=1e-12)
    assert found.value == pytest.approx(medians.mean() ** 2 / ceiling, abs=1e-12)
    assert found.value_error == pytest.approx(2 * found.raw / ceiling * found.error, abs=1e-12)


def test_the_equation_of_cka(data):
    features, repetitions = data
    grams = []
    for patterns in (features, repetitions[0]):
        centred = patterns - patterns.mean(axis=0)
        grams.append(centred @ centred.T)
        np.fill_diagonal(grams[-1], 0)
    n = 60

    def hsic(k, m):
        total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * (k.sum(axis=0) @ m.sum(axis=0))) / (n * (n - 3))

    k, m = grams
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert brain.cka(features, repetitions[0]) == pytest.approx(expected, abs=1e-12)


def test_the_intervals_of_steps_are_those_of_the_networks():
    def row(name):
        (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
        return [cell.strip() for cell in line.strip("|").split("|")[1:]]

    for name, network in (("CORnet-S", "cornet_s"), ("CORnet-Z", "cornet_z")):
        intervals = network_intervals(create_model(network, num_classes=2, width=0.1).area_table)
        assert row(name) == [", ".join(f"{a:g}-{b:g}" for a, b in one) for one in intervals.values()]


def test_every_metric_and_scale_is_explained():
    missing = [name for name in [*list_metrics(), *SCALES] if f"`{name}`" not in PAGE]
    assert not missing


def test_the_files_that_it_names_exist():
    sources = [str(path) for path in ROOT.glob("cornet/**/*.py")]
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert len(named) > 20
    assert not [name for name in named if not any(path.endswith(f"/{name}") for path in sources)]
