"""Cowley2026: the reference on real responses, the mean over sessions, ceilings, and missing sessions."""

import numpy as np
import pytest

from cornet import CornetError, brain
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.cowley2026 import CowleyBenchmark
from cornet.brain.metrics.ceiling import even_odd_consistency
from cornet.brain.subjects.subject import Recording, Site
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.paths import GOLDEN


class Fixed:
    """A subject with these features for all stimuli."""

    name = "fixed"

    def __init__(self, features):
        self.features = features

    def site(self, region, time_bin=None):
        assert (region, time_bin) == ("V4", (50, 150))
        return Site("V4")

    def compare(self, benchmark):
        return benchmark.compare(Recording(benchmark.stimuli.ids, {Site("V4"): self.features}), self)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {name: file[name] for name in file.files if name.split("/")[0] in ("cowley", "reverse")}


def test_equal_to_the_reference_on_a_real_session(golden, shared_data):
    benchmark = open_benchmarks([f"cowley2026.V4-pls:{shared_data}"])[0]
    score = Fixed(golden["cowley/210225/features"].astype(np.float32)).compare(benchmark)
    row = score.details["by_session"].iloc[0]
    assert (row["session"], row["neurons"], row["images"]) == ("210225", 55, 1200)
    for key in ("raw", "error", "ceiling"):
        assert row[key] == pytest.approx(float(golden[f"cowley/210225/{key}"]), abs=1e-8)
    assert score.value == pytest.approx(float(golden["cowley/210225/score"]), abs=1e-8)
    assert any("the leaderboard has 190923, 201025, 210225, 211022" in note for note in score.notes)
    assert "210225: ceiling as published" in score.notes


def test_ceilings_of_even_and_odd_repetitions(golden):
    repetitions, counts = golden["reverse/Y_rep"].copy(), golden["cowley/n_repetitions"]
    repetitions[np.arange(5) >= counts[:, None]] = np.nan
    found = even_odd_consistency(repetitions.transpose(1, 0, 2))
    assert found.raw == pytest.approx(float(golden["cowley/ceiling_even_odd"]), abs=1e-9)
    np.testing.assert_allclose(found.values[0], golden["cowley/ceiling_even_odd_raw"][0], atol=1e-9)
    two = even_odd_consistency(golden["reverse/Y_rep"][:, :2].transpose(1, 0, 2))
    assert two.raw == pytest.approx(float(golden["cowley/ceiling_two_repetitions"]), abs=1e-9)
    repetitions[:3, 1:] = np.nan
    assert (
        "skipped 3 of 80 stimuli with one repetition"
        in even_odd_consistency(repetitions.transpose(1, 0, 2)).notes[0]
    )


def test_sessions_are_scored_alone_and_averaged(tmp_path):
    """One with repetitions, one averaged and known, one averaged and unknown."""
    for k, (name, repetitions) in enumerate((("210225", 1), ("190923", 6), ("300101", 1))):
        data = assembly(repetitions=repetitions)
        data.values += k
        write(tmp_path / f"cowley-{name}", data)
    benchmark = CowleyBenchmark(tmp_path, ["190923", "210225", "300101"])
    assert len(benchmark.stimuli) == 180
    assert len(np.unique(benchmark.stimuli.ids)) == 180
    features = np.random.default_rng(0).standard_normal((180, 30)).astype(np.float32)
    score = Fixed(features).compare(benchmark)
    table = score.details["by_session"].set_index("session")
    assert list(table.index) == ["190923", "210225", "300101"]
    for number, one in enumerate(benchmark.data.sessions):
        rows = benchmark.stimuli.positions(benchmark.data.ids(one))
        assert rows.min() == 60 * number
        alone = brain.neural_predictivity(features[rows], one.responses.mean, "pls")
        assert table["raw"][one.name] == pytest.approx(alone.raw, abs=1e-9)
    assert table["ceiling"]["190923"] == pytest.approx(
        even_odd_consistency(benchmark.data.sessions[0].responses.repetitions).raw
    )
    assert table["ceiling"]["210225"] == 0.67
    assert np.isnan(table["value"]["300101"])
    assert score.value == pytest.approx(table["value"].mean())
    assert score.error == pytest.approx(np.sqrt((table["error"] ** 2).sum()) / 3)
    assert any(note.startswith("300101: no ceiling") for note in score.notes)
    picture = benchmark.stimuli.pictures[65]
    assert (picture == benchmark.data.sessions[1].bundle.stimuli.pictures[5]).all()


def test_what_is_missing(tmp_path):
    with pytest.raises(CornetError, match="needs bundles of its sessions below"):
        CowleyBenchmark(tmp_path).prepare()
    with pytest.raises(CornetError, match="has no folder that ends in 210225"):
        CowleyBenchmark(tmp_path, ["210225"]).prepare()
