"""Benchmarks on real files: local bundles, the battery that shows each stimulus once, the registry."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from cornet import CornetError, brain
from cornet.brain.benchmarks import GROUPS, NeuralBenchmark, list_benchmarks, open_benchmarks, run_battery
from cornet.brain.metrics.splits import make_splits
from cornet.brain.scales import SCALES
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.drawn_bundle import NEUROIDS, STIMULI, Drawn, assembly, write
from tests.helpers.brain.small_bundles import ids

OBJECTS = np.array(["bear", "car", "face"])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def test_local_bundle_is_scored_as_by_hand(tmp_path):
    folder = write(tmp_path / "mine", object_name=np.tile(OBJECTS, 20))
    (benchmark,) = open_benchmarks([str(folder)])
    assert (benchmark.name, benchmark.region, benchmark.simulated) == ("mine.V4", "V4", False)
    assert "stratified by object_name" in benchmark.split_rule
    score = benchmark.run(Drawn())
    responses = brain.load_bundle(folder).responses("V4")
    where = [list(ids(STIMULI)).index(i) for i in responses.stimulus_ids]
    by_hand = brain.neural_predictivity(
        Drawn().features[where], responses.mean, stratify=np.tile(OBJECTS, 20)[where]
    ).with_ceiling(brain.internal_consistency(responses.repetitions), "r^2/c")
    assert np.abs(score.values - by_hand.values).max() < 1e-9
    assert score.value == pytest.approx(by_hand.value, abs=1e-9)
    assert score.value > 0.7
    assert score.n == STIMULI


def test_ceilings_come_from_the_disk_the_second_time(tmp_path, monkeypatch):
    folder = write(tmp_path / "mine", object_name=np.tile(OBJECTS, 20))
    (first,) = open_benchmarks([str(folder)])
    score = first.run(Drawn())
    monkeypatch.setattr("cornet.brain.metrics.neural.linear_mappings.internal_consistency", None)
    (second,) = open_benchmarks([str(folder)])
    assert np.array_equal(second.run(Drawn()).values, score.values)
    assert second.ceiling.raw == first.ceiling.raw
    expected = make_splits(STIMULI, stratify=first.responses.table["object_name"].to_numpy())
    for (train, test), (a, b) in zip(expected, second.splits, strict=True):
        assert np.array_equal(train, a)
        assert np.array_equal(test, b)


def test_frames_of_a_movie_stay_together(tmp_path):
    (benchmark,) = open_benchmarks([str(write(tmp_path / "films", movie=np.arange(STIMULI) % 10))])
    movies = benchmark.responses.table["movie"].to_numpy()
    assert benchmark.split_rule.endswith("grouped by movie")
    assert all(not set(movies[train]) & set(movies[test]) for train, test in benchmark.splits)


def test_objects_of_few_images_are_not_stratified(tmp_path):
    names = np.array([f"object{i % 20}" for i in range(STIMULI)])
    (benchmark,) = open_benchmarks([str(write(tmp_path / "many", object_name=names))])
    assert benchmark.split_rule.endswith("at random")


def test_averaged_responses_have_no_ceiling_and_say_so(tmp_path):
    (benchmark,) = open_benchmarks([str(write(tmp_path / "mean", assembly(repetitions=1)))])
    score = benchmark.run(Drawn())
    assert score.scale == "raw"
    assert math.isnan(score.ceiling)
    assert score.value == score.raw > 0.3
    assert any("the ceiling is unknown" in note for note in score.notes)


def test_each_region_is_a_benchmark_and_one_recording_serves_all(tmp_path):
    folder = write(tmp_path / "two", assembly(("V4",) * 4 + ("IT",) * 4))
    benchmarks = open_benchmarks([str(folder)])
    assert [one.name for one in benchmarks] == ["two.IT", "two.V4"]
    assert [one.name for one in open_benchmarks([f"{folder}:V4"])] == ["two.V4"]
    subject = Drawn()
    it, v4 = run_battery([subject], benchmarks)
    assert subject.shown == [("two", (Site("IT"), Site("V4")), None)]
    assert v4.score.raw > 0.6 > 0.4 > abs(it.score.raw)  # its IT at the first step is noise
    assert json.loads(json.dumps(v4.row()))["benchmark"] == "two.V4"
    assert v4.row()["sites"] == "V4[0]"


def test_another_area_or_metric_may_be_compared(tmp_path):
    folder = str(write(tmp_path / "mine"))
    (other,) = open_benchmarks([folder], area=Site("IT", 1), metric="ridge", scale="r/c")
    score = other.run(Drawn())
    assert score.details["metric"] == "ridge"
    assert score.scale == "r/c"
    (noise,) = open_benchmarks([folder], area="IT")
    assert noise.run(Drawn()).raw < 0.4


def test_shuffled_responses_score_nothing(tmp_path):
    folder = write(tmp_path / "mine")
    bundle = brain.load_bundle(folder)
    shuffled = np.random.default_rng(0).permutation(bundle.assembly.values)
    bundle = brain.Bundle("shuffled", bundle.stimuli, bundle.assembly.copy(data=shuffled), "")
    benchmark = NeuralBenchmark("shuffled", "V4", "", lambda: bundle)
    score = benchmark.run(Drawn())
    assert abs(score.raw) < 0.35  # 6 test stimuli a split
    assert score.raw < 0.5 * open_benchmarks([str(folder)])[0].run(Drawn()).raw


def test_a_benchmark_that_fails_stops_all_or_says_why(tmp_path):
    good = str(write(tmp_path / "good"))
    alien = str(write(tmp_path / "alien", assembly(("V2",) * NEUROIDS)))
    benchmarks = open_benchmarks([alien, good, "majajhong2015.IT"])
    with pytest.raises(CornetError, match="cornet fetch majajhong2015"):
        list(run_battery([Drawn()], benchmarks))
    results = {r.benchmark.name: r for r in run_battery([Drawn()], benchmarks, strict=False)}
    assert "drawn has no region 'V2'" in results["alien.V2"].failure
    assert "cornet fetch majajhong2015" in results["majajhong2015.IT"].failure
    assert results["majajhong2015.IT"].subject == "drawn"
    assert not results["good.V4"].failure
    assert results["good.V4"].score.value > 0.5


def test_every_named_benchmark_knows_its_rules():
    benchmarks = {one.name: one for one in list_benchmarks()}
    for group in GROUPS.values():
        assert set(group) <= set(benchmarks)
    for name, one in benchmarks.items():
        assert one.simulated == name.startswith("simulated")
        assert ("simulated" in one.description) == one.simulated
        assert one.version >= 1
        assert one.region in ("V1", "V2", "V4", "IT", "behaviour")
        assert one.scale in SCALES
    assert benchmarks["majajhong2015.IT"].time_bin == (70, 170)
    assert benchmarks["freemanziemba2013.V1"].degrees == 4
    assert benchmarks["freemanziemba2013.V2"].stratify == "texture_type"
    assert benchmarks["kar2019-ost"].ceiling == 0.79


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("majajhong2015.TI", "did you mean majajhong2015.IT"),
        ("zzzz", "see `cornet benchmarks`"),
        ("majajhong2015.V4", "cornet fetch majajhong2015"),
        ("rajalingham2018-i2n", "cornet fetch rajalingham2018"),
        ("kar2019-ost", "cornet fetch kar2019"),
        ("geirhos-error-consistency", "put it there, or name its folder instead"),
    ],
)
def test_what_is_not_there_is_said(text, words):
    with pytest.raises(CornetError, match=words):
        list(run_battery([Drawn()], open_benchmarks([text])))


def test_wrong_options_are_refused(tmp_path):
    folder = str(write(tmp_path / "mine"))
    for options, words in (
        ({"metric": "lasso"}, "metric='lasso' is unknown"),
        ({"scale": "percent"}, "scale='percent' is unknown"),
    ):
        with pytest.raises(CornetError, match=words):
            open_benchmarks([folder], **options)
    with pytest.raises(CornetError, match="has no region 'V1', but V4"):
        open_benchmarks([f"{folder}:V1"])


def test_binary_choices_of_a_local_bundle(tmp_path):
    """As brainscore stores them: the values are the choices, sample_obj and dist_obj are coordinates."""
    rng = np.random.default_rng(0)
    truth = np.tile(OBJECTS, 20)
    stimulus = rng.integers(0, STIMULI, 4000)
    sample = truth[stimulus]
    distractor = np.array([rng.choice(OBJECTS[name != OBJECTS]) for name in sample])
    easy = Drawn().features[stimulus, 0] > 0
    choice = np.where(rng.random(4000) < np.where(easy, 0.95, 0.6), sample, distractor)
    coords = {"stimulus_id": ids(STIMULI)[stimulus], "sample_obj": sample, "dist_obj": distractor}
    data = xr.DataArray(
        choice, dims="presentation", coords={k: ("presentation", v) for k, v in coords.items()}
    )
    (benchmark,) = open_benchmarks([str(write(tmp_path / "people", data.rename("choices")))])
    assert benchmark.name == "people-i2n"
    score = benchmark.run(Drawn())
    assert (score.scale, score.n) == ("r/sqrt(c)", STIMULI)
    assert score.ceiling > 0.3
    assert np.isfinite(score.value)


def test_real_shape_choices_find_their_benchmark(shared_data):
    (benchmark,) = open_benchmarks([str(shared_data / "geirhos2019-shape-behavior")])
    score = benchmark.run(brain.open_subject("pixels"))
    assert score.ceiling == pytest.approx(0.397, abs=0.001)
    assert score.raw < 0.2
    assert any("read-out fitted on other images" in note for note in score.notes)


def test_real_v4_is_predicted_by_gabors_and_not_when_shuffled(shared_data):
    (benchmark,) = open_benchmarks([str(shared_data / "cowley2023-V4-210325")])
    gabor = brain.open_subject("gabor")
    score = benchmark.run(gabor)
    assert score.ceiling == pytest.approx(0.76, abs=0.01)
    assert 0.40 < score.raw < 0.56  # .476 by ridge in the data's own reference
    responses = benchmark.responses
    features = gabor.record(benchmark.stimuli, [gabor.site("V4")])[gabor.site("V4")]
    order = np.random.default_rng(0).permutation(len(responses.mean))
    shuffled = brain.neural_predictivity(features, responses.mean[order])
    assert abs(shuffled.raw) < 0.05
