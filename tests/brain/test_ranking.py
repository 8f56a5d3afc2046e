"""Ranking: known order and ties, letters, paired intervals, resuming, and what cannot be scored."""

import numpy as np
import pytest

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.ranking import letters, rank
from cornet.brain.subjects import open_subject
from cornet.errors import CornetError
from tests.helpers.brain.drawn_bundle import write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tmp_path):
    return str(write(tmp_path / "mine"))


def subjects(*names):
    return [open_subject(name, size=64) for name in names]


@pytest.mark.parametrize(
    ("order", "different", "expected"),
    [
        ("abc", [], {"a": "a", "b": "a", "c": "a"}),
        ("abc", ["ab", "ac", "bc"], {"a": "a", "b": "b", "c": "c"}),
        ("abc", ["ac"], {"a": "a", "b": "ab", "c": "b"}),
        ("abcd", ["ac", "ad", "bd"], {"a": "a", "b": "ab", "c": "bc", "d": "c"}),
        ("a", [], {"a": "a"}),
    ],
)
def test_letters(order, different, expected):
    assert letters(list(order), {(one[0], one[1]) for one in different}) == expected


def test_letters_are_shared_exactly_by_pairs_that_do_not_differ():
    rng = np.random.default_rng(0)
    order = [f"m{k}" for k in range(12)]
    pairs = [(a, b) for k, a in enumerate(order) for b in order[k + 1 :]]
    different = {pair for pair in pairs if rng.random() < 0.5}
    found = letters(order, different)
    for a, b in pairs:
        assert bool(set(found[a]) & set(found[b])) == ((a, b) not in different)


def test_a_ranking(bundle):
    """Names and their differences; a model and itself cannot be told apart."""
    names = ("pixels", "gabor", "cornet_z?untrained&width=0.1&num_classes=4&seed=1")
    benchmarks = open_benchmarks([bundle], metric=["ridge", "cka"])
    found = rank(subjects(*names), benchmarks)
    assert sorted(found.models) == sorted(names)
    assert found.averaged == found.benchmarks == ["mine.V4", "mine.V4-cka"] or len(found.averaged) == len(
        found.benchmarks
    )
    values = [found.value(model) for model in found.models]
    assert values == sorted(values, reverse=True)
    best, second, _ = found.models
    gap = found.gap(best, second)
    assert gap.low < gap.value < gap.high
    assert found.gap(second, best).value == -gap.value
    table = found.table()
    assert table["rank"].tolist() == [1, 2, 3]
    assert (table["low"] < table["mean"]).all()
    assert (table["high"] > table["mean"]).all()
    one = benchmarks[0].run(subjects(best)[0])
    assert found.value(best, benchmarks[0].name) == pytest.approx(one.value, abs=1e-9)


def test_it_goes_on_where_it_was_stopped(bundle, monkeypatch):
    benchmarks = open_benchmarks([bundle], metric="ridge")
    first = rank(subjects("pixels"), benchmarks)
    compared = []
    original = NeuralBenchmark.score
    monkeypatch.setattr(
        NeuralBenchmark, "score", lambda *given: (compared.append(given[2].name), original(*given))[1]
    )
    second = rank(subjects("pixels", "gabor"), open_benchmarks([bundle], metric="ridge"))
    assert set(compared) == {"gabor"}
    name = first.benchmarks[0]
    assert second.value("pixels", name) == first.value("pixels", name)
    assert (second.draws("pixels", name) == first.draws("pixels", name)).all()
    assert second.scores["pixels", name].row["n"] == first.scores["pixels", name].row["n"]
    compared.clear()
    rank(subjects("pixels"), open_benchmarks([bundle], metric="pls"))  # another metric is another comparison
    assert set(compared) == {"pixels"}


def test_what_cannot_be_scored_is_named(bundle, tmp_path):
    text = "torchvision:resnet18?untrained"
    found = rank(subjects("pixels", text), open_benchmarks([bundle], metric="ridge"))
    assert text not in found.models
    assert "no layer" in next(iter(found.failures.values()))
    with pytest.raises(CornetError, match="no model could be scored"):
        rank(subjects(text), open_benchmarks([bundle], metric="ridge"))
    with pytest.raises(CornetError, match="two models are named 'pixels'"):
        rank(subjects("pixels", "pixels"), open_benchmarks([bundle], metric="ridge"))
