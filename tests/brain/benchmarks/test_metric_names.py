"""Neural benchmarks by one metric or several: names, shared data, notes, and real recordings."""

import logging

import numpy as np
import pytest

import cornet
from cornet import CornetError, brain
from cornet.brain.benchmarks import open_benchmarks, run_battery
from cornet.brain.benchmarks.registry import local_identity
from cornet.brain.data.bundle import Bundle
from cornet.brain.metrics.neural import registry
from cornet.brain.metrics.neural.linear_mappings import Predictivity
from cornet.brain.metrics.neural.registry import list_metrics, neural_metric, register
from cornet.brain.subjects.subject import NoLayer
from tests.helpers.brain import rdm_bundle
from tests.helpers.brain.drawn_bundle import NEUROIDS, STIMULI, Drawn, assembly, write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return str(write(tmp_path / "mine"))


def opened(*texts, **options):
    return {one.name: getattr(one, "metric", None) for one in open_benchmarks(texts, **options)}


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        ("pls", {"": "pls"}),
        ("ridge", {"": "ridge"}),
        ("cka", {"-cka": "cka"}),
        (["pls", "cka", "rdm"], {"": "pls", "-cka": "cka", "-rdm": "rdm"}),
        ("pls,cka", {"": "pls", "-cka": "cka"}),
        (["ridge", "pls"], {"-ridge": "ridge", "": "pls"}),
        (["ridge", "linear"], {"-ridge": "ridge", "-linear": "linear"}),
        (["ridge", "cka"], {"": "ridge", "-cka": "cka"}),
        (["cka", "cka"], {"-cka": "cka"}),
    ],
)
def test_similarities_and_further_mappings_have_a_suffix(folder, metric, names):
    for text, name in (
        (folder, "mine.V4"),
        (f"{folder}:V4", "mine.V4"),
        ("majajhong2015.IT", "majajhong2015.IT"),
    ):
        assert opened(text, metric=metric) == {f"{name}{suffix}": one for suffix, one in names.items()}


def test_a_name_with_a_suffix_gives_that_metric_alone(folder):
    assert opened("majajhong2015.IT-cka") == {"majajhong2015.IT-cka": "cka"}
    assert opened("majajhong2015-rdm", metric="ridge") == {
        "majajhong2015.V4-rdm": "rdm",
        "majajhong2015.IT-rdm": "rdm",
    }
    assert opened("majajhong2015.IT-pls") == {"majajhong2015.IT-pls": "pls"}
    assert opened(f"{folder}:V4-cka", f"{folder}-ridge") == {"mine.V4-cka": "cka", "mine.V4-ridge": "ridge"}
    assert opened("majajhong2015.IT", "majajhong2015.IT-cka", metric="ridge") == {
        "majajhong2015.IT": "ridge",
        "majajhong2015.IT-cka": "cka",
    }
    assert set(opened("simulated-cka")) == {f"simulated.{region}-cka" for region in ("V1", "V2", "V4", "IT")}


def test_benchmarks_without_neuroids_are_the_same_for_every_metric(tmp_path):
    folder = rdm_bundle.write(tmp_path / "mri", V4=rdm_bundle.dissimilarities(3))
    assert opened(str(folder), "rajalingham2018-i2n", metric=["pls", "cka"]) == {
        "mri.V4-rdm": None,
        "rajalingham2018-i2n": None,
    }
    assert opened(f"{folder}:V4-rdm") == {"mri.V4-rdm": None}
    with pytest.raises(
        CornetError, match="'simulated-i2n-cka' has no responses of neuroids, which the metric cka"
    ):
        opened("majajhong2015.IT", "simulated-i2n-cka")


def test_a_folder_may_be_called_like_a_metric(tmp_path):
    one, other = write(tmp_path / "study-cka"), write(tmp_path / "study")
    assert opened(str(one), str(other)) == {"study-cka.V4": "pls", "study.V4": "pls"}
    with pytest.raises(CornetError, match=r"lost-cka.* does not exist"):
        opened(str(tmp_path / "lost-cka"))


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        (
            ["majajhong2015.IT"],
            {"metric": ["pls", "ckaa"]},
            r"metric='ckaa' is unknown \(did you mean cka\?\); choose",
        ),
        (["majajhong2015.TI-cka"], {}, "is neither a benchmark nor a folder"),
        (["majajhong2015.IT-cka"], {"groups": "movie"}, "groups, stratify and ignore only apply to folders"),
    ],
)
def test_mistakes_are_refused(texts, options, words):
    with pytest.raises(CornetError, match=words):
        open_benchmarks(texts, **options)


def test_several_metrics_are_scored_from_one_recording_and_the_same_responses(folder):
    benchmarks = open_benchmarks([folder], metric=list_metrics())
    subject = Drawn()
    results = {result.benchmark.name: result for result in run_battery([subject], benchmarks)}
    assert len(subject.shown) == 1
    assert len({id(one.responses) for one in benchmarks}) == len({id(one.data) for one in benchmarks}) == 1
    assert [result.row()["metric"] for result in results.values()] == list_metrics()
    for metric in list_metrics():
        name = "mine.V4" if metric == "pls" else f"mine.V4-{metric}"
        (alone,) = open_benchmarks([folder], metric=metric)
        score, row = alone.run(Drawn()), results[name].row()
        assert (row["raw"], row["ceiling"], row["value"]) == (score.raw, score.ceiling, score.value)
        assert results[name].benchmark.fingerprint == alone.fingerprint
    shared = {
        one.score.ceiling for one in results.values() if not neural_metric(one.row()["metric"]).has_suffix
    }
    assert len(shared) == 1  # of all mappings to neuroids


def test_two_metrics_of_one_file_have_cached_ceilings_of_their_own(folder, monkeypatch):
    monkeypatch.setattr(registry, "METRICS", dict(registry.METRICS))

    class First(Predictivity):
        def ceiling(self, repetitions, weights=None):
            return brain.Score.of_splits([0.9])

    class Second(Predictivity):
        def ceiling(self, repetitions, weights=None):
            return brain.Score.of_splits([0.7])

    register("first")(First)
    register("second")(Second)
    for _ in range(2):
        ceilings = [one.ceiling.raw for one in open_benchmarks([folder], metric="first,second")]
        assert ceilings == [0.9, 0.7]


def test_the_similarity_of_a_bundle_is_scored_as_by_hand(tmp_path):
    (benchmark,) = open_benchmarks(
        [str(write(tmp_path / "films", movie=np.arange(STIMULI) % 12))], metric="cka"
    )
    score = benchmark.run(Drawn())
    responses = benchmark.responses
    features = Drawn().features[[int(i[2:]) for i in responses.stimulus_ids]]
    metric, movies = brain.neural_metric("cka"), responses.table["movie"].to_numpy()
    by_hand = metric.score(features, responses.mean, [], groups=movies)
    expected = by_hand.with_ceiling(metric.ceiling(responses.repetitions), "r^2/c")
    assert (score.raw, score.error, score.value) == (expected.raw, expected.error, expected.value)
    assert score.raw == pytest.approx(brain.cka(features, responses.mean), abs=1e-10)
    assert score.error != metric.score(features, responses.mean, []).error
    assert benchmark.split_rule == "all stimuli, grouped by movie"
    assert any("splits are grouped by movie" in note for note in score.notes)
    assert 0.3 < score.value < 1


def test_notes_on_splits_are_for_metrics_that_split(folder):
    mapping, similarity = (one.run(Drawn()) for one in open_benchmarks([folder], metric="pls,rdm"))
    assert any("splits are random" in note for note in mapping.notes)
    assert not any("splits" in note for note in similarity.notes)
    assert similarity.details["metric"] == "rdm"


def test_a_bundle_too_small_to_split_has_similarities(tmp_path):
    data = assembly()
    few = data.isel(presentation=np.isin(data["stimulus_id"].values, [f"im{i:02}" for i in range(8)]))
    folder = str(write(tmp_path / "few", few))
    results = run_battery([Drawn()], open_benchmarks([folder], metric="pls,cka"), strict=False)
    failed, scored = results
    assert "8 stimuli give 7 for training and 1 for testing" in failed.failure
    assert np.isfinite(scored.score.value)


def test_averaged_responses_have_no_ceiling_whatever_the_metric(tmp_path):
    folder = str(write(tmp_path / "mean", assembly(repetitions=1)))
    for one in open_benchmarks([folder], metric="cka,rdm"):
        score = one.run(Drawn())
        assert (score.scale, score.value) == ("raw", score.raw)
        assert np.isfinite(score.error)
        assert "the responses are averaged already" in score.notes[-1]


def test_a_region_without_a_layer_must_have_one_if_it_is_named(tmp_path, caplog):
    class NoIT(Drawn):
        def site(self, region, time_bin=None):
            if region == "IT":
                raise NoLayer("drawn has no layer for IT; name one.")
            return super().site(region, time_bin)

    folder = str(write(tmp_path / "two", assembly(("V4",) * (NEUROIDS - 4) + ("IT",) * 4)))
    options = {"metric": ["pls", "cka"]}
    names = [folder]
    with caplog.at_level(logging.WARNING):
        found = run_battery([NoIT()], open_benchmarks(names, **options), named=names)
        assert [one.benchmark.name for one in found] == ["two.V4", "two.V4-cka"]
    assert "two.IT, two.IT-cka are left out" in caplog.text
    for names in ([folder, f"{folder}:IT"], [folder, f"{folder}:IT-cka"]):
        with pytest.raises(NoLayer):
            list(run_battery([NoIT()], open_benchmarks(names, **options), named=names))


def test_the_content_of_a_bundle_identifies_a_name_with_a_suffix(folder):
    plain = local_identity(folder)
    assert local_identity(f"{folder}-cka") == f"{plain}-cka"
    assert local_identity(f"{folder}:V4-cka") == f"{plain}:V4-cka"
    assert local_identity("majajhong2015.IT-cka") is None
    assert local_identity("simulated-cka") is None


def test_a_table_of_several_metrics(folder):
    table = cornet.score(Drawn(), on=folder, metric=["pls", "cka", "rdm"])
    assert table["benchmark"].tolist() == ["mine.V4", "mine.V4-cka", "mine.V4-rdm"]
    assert table["metric"].tolist() == ["pls", "cka", "rdm"]
    assert table["value"].gt(0.3).all()
    assert table["value_error"].gt(0).all()


@pytest.mark.slow  # records 1,200 stimuli
@pytest.mark.parametrize("name", ["cowley2023-V4-190925", "cowley2023-V4-210325"])
def test_real_v4_is_like_gabors_and_not_when_shuffled(shared_data, name):
    benchmarks = open_benchmarks([str(shared_data / name)], metric="pls,cka,rdm")
    gabor = brain.open_subject("gabor")
    results = {result.benchmark.metric: result.score for result in run_battery([gabor], benchmarks)}
    averaged = benchmarks[0].responses.repetitions is None
    assert averaged == (name == "cowley2023-V4-190925")
    for metric, score in results.items():
        assert 0.05 < score.raw < 0.7, metric
        assert 0 < score.error < 0.05, metric
        assert score.scale == ("raw" if averaged else "r^2/c"), metric
        if averaged:
            assert "the ceiling is unknown" in score.notes[-1], metric
        else:
            assert 0.7 < score.ceiling < 0.9, metric
    bundle = benchmarks[0].data
    order = np.random.default_rng(0).permutation(len(bundle.stimuli))
    renamed = dict(zip(bundle.stimuli.ids, bundle.stimuli.ids[order], strict=True))
    shown = bundle.assembly["stimulus_id"]
    shuffled = bundle.assembly.assign_coords(
        stimulus_id=("presentation", [renamed[one] for one in shown.values.astype(str)])
    )
    for benchmark in benchmarks:
        other = brain.benchmarks.NeuralBenchmark(
            "shuffled",
            "V4",
            "",
            lambda: Bundle("shuffled", bundle.stimuli, shuffled, ""),
            metric=benchmark.metric,
            degrees=benchmark.degrees,
        )
        assert abs(other.run(gabor).raw) < 0.06, benchmark.metric


@pytest.mark.slow  # records 480 stimuli
def test_real_v1_of_movies(shared_data):
    """The movies are few: the error by movies is larger than one by frames."""
    folder = str(shared_data / "henaff2021-V1-ay3_u001")
    for grouped, single in zip(
        *(open_benchmarks([folder], metric="cka,rdm", groups=groups) for groups in ("movie", "none")),
        strict=True,
    ):
        gabor = brain.open_subject("gabor")
        score, other = grouped.run(gabor), single.run(gabor)
        assert score.raw == other.raw > 0.1
        assert 0.85 < score.ceiling < 0.95
        assert score.error > 1.3 * other.error
