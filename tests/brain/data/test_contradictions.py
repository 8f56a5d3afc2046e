"""Two statements about one stimulus are refused, not averaged; values that no measurement has are refused too."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cornet import CornetError, brain
from cornet.brain.benchmarks import ConsistencyBenchmark, NeuralBenchmark, open_benchmarks
from cornet.brain.data.columns import check_coordinates, check_one_value
from cornet.brain.data.responses import make_responses
from cornet.brain.subjects import LayerSubject, RecordedSubject
from tests.helpers.brain.small_bundles import make_assembly, make_table, write_bundle


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def test_a_stimulus_with_two_values_is_named_with_both_and_counted():
    ids, values = ["a", "b", "a", "c", "b", "b"], ["x", "y", "x", "z", "w", "y"]
    with pytest.raises(
        CornetError, match="two values of truth for 1 of 3 stimuli, such as 'y' and 'w' for 'b'"
    ):
        check_one_value(ids, values, "truth", "the table")
    check_one_value(ids, ["x", "y", "x", "x", "y", "y"], "truth", "the table")


def facts(ids, **coordinates):
    made = {"stimulus_id": ids, **coordinates}
    return xr.DataArray(
        np.zeros(len(ids)), {name: ("presentation", value) for name, value in made.items()}, ("presentation",)
    )


def test_numbers_are_compared_as_numbers_and_missing_entries_contradict_nothing():
    table = pd.DataFrame({"stimulus_id": ["a", "b", "c"], "movie": [1.0, np.nan, 12]})
    check_coordinates(facts(["a", "b", "b"], movie=[1, 7, 7]), table, "it")
    check_coordinates(facts(["a", "c"], movie=["1", "nan"]), table, "it")
    with pytest.raises(
        CornetError, match=r"it gives two values of movie for 1 of 2 .* '12\.0' and '13\.0' for 'c'"
    ):
        check_coordinates(facts(["a", "c"], movie=[1, 13]), table, "it")
    with pytest.raises(CornetError, match=r"such as '7\.0' and '8\.0' for 'b'"):
        check_coordinates(facts(["b", "b"], movie=[7, 8]), table, "it")


@pytest.mark.parametrize("name", ["truth", "sample_obj", "object_name"])
def test_the_object_is_that_of_the_stimulus_set_where_both_use_the_same_names(name):
    table = pd.DataFrame({"stimulus_id": ["a", "b"], "object_name": ["dog", "cat"]})
    check_coordinates(facts(["a", "b", "a"], **{name: ["dog", "cat", "dog"]}), table, "it")
    with pytest.raises(
        CornetError, match="two values of object_name for 1 of 2 stimuli, such as 'cat' and 'dog'"
    ):
        check_coordinates(facts(["a", "b", "a"], **{name: ["dog", "dog", "dog"]}), table, "it")
    if name != "object_name":
        check_coordinates(facts(["a", "b"], **{name: ["DOG", "CAT"]}), table, "it")


def test_an_assembly_that_contradicts_the_stimulus_set(tmp_path):
    table = make_table()
    brain.load_bundle(write_bundle(tmp_path / "good"))
    table.loc[2, "object_name"] = "bear"
    with pytest.raises(
        CornetError, match="two values of object_name for 1 of 6 stimuli, such as 'bear' and 'face'"
    ):
        brain.load_bundle(write_bundle(tmp_path / "bad", table=table))


def shape_choices(folder):
    return brain.load_bundle(folder / "geirhos2019-shape-behavior")


def score(bundle, **coordinates):
    """Of pixels, with some coordinates changed in the presentation 7."""
    assembly = bundle.assembly.copy(deep=True)
    for name, value in coordinates.items():
        values = assembly.coords[name].values.astype(object)
        values[7] = value
        assembly = assembly.assign_coords({name: ("presentation", values.astype(str))})
    changed = brain.Bundle("shape", bundle.stimuli, assembly, "")
    return ConsistencyBenchmark("shape", "", lambda: changed, degrees=None).run(brain.open_subject("pixels"))


@pytest.mark.slow
def test_one_wrong_entry_in_real_choices(shared_data):
    bundle = shape_choices(shared_data)
    whole = score(bundle)
    assert whole.details["subjects"].tolist() == [f"subject-{k:02d}" for k in range(1, 11)]
    for name, value, words in (
        (
            "condition",
            "silhouette",
            "two values of condition for 1 of 320 stimuli, such as 'edge' and 'silhouette'",
        ),
        ("truth", "bear", "two values of .* for 1 of 320 stimuli, such as"),
        ("subject", "", "has no subject in 1 of 3200 rows"),
        ("subject", "nan", "has no subject in 1 of 3200 rows"),
    ):
        with pytest.raises(CornetError, match=words):
            score(bundle, **{name: value})
    misspelt = score(bundle, subject="subject-O1")
    assert misspelt.notes[1].startswith(
        "skipped 1 of 11 subjects ('subject-O1'), who answered at most 1 stimuli"
    )
    assert misspelt.details["subjects"].tolist() == whole.details["subjects"].tolist()
    assert misspelt.value == pytest.approx(whole.value, abs=0.002)  # one answer is missing


def test_observers_are_left_out_below_half_of_the_most_answers():
    rng = np.random.default_rng(0)
    truth = np.tile(["a", "b"], 20)
    subjects = np.where(rng.random((5, 40)) < 0.7, truth, "a")
    model = np.where(rng.random(40) < 0.7, truth, "b")
    subjects[3, 20:] = ""  # answered half: stays
    alone = brain.error_consistency(model, subjects[:4], truth)
    subjects[4, 19:] = ""  # one fewer
    both = brain.error_consistency(model, subjects, truth, subject=list("vwxyz"))
    assert (both.raw, both.ceiling) == (alone.raw, alone.ceiling)
    assert (
        both.notes[0]
        == "skipped 1 of 5 subjects ('z'), who answered at most 19 stimuli, while another answered 40"
    )
    assert both.details["subjects"].tolist() == list("vwxy")
    with pytest.raises(CornetError, match=r"subject of shape \(1,\) does not match 5 subjects"):
        brain.error_consistency(model, subjects, truth, subject=["v"])


def test_a_stimulus_with_two_objects_is_not_decoded():
    counts = np.random.default_rng(0).poisson(3, (40, 3, 2))
    labels = np.tile(["a", "b"], 20)
    with pytest.raises(
        CornetError, match="two values of the object for 1 of 39 stimuli, such as 'a' and 'b' for 's0'"
    ):
        brain.decode_over_time(counts, labels, [0, 10], stimulus_ids=["s0", "s0", *map(str, range(38))])


@pytest.mark.parametrize(
    "edges", [(150, 50), (50, 50), (50, np.nan), (0, np.inf), (50,), (1, 2, 3), ("50", "150")]
)
def test_a_time_bin_must_end_after_its_start(edges, tmp_path):
    folder = str(write_bundle(tmp_path / "b"))
    bundle = brain.load_bundle(folder)
    for use in (
        lambda: open_benchmarks([folder], time_bin=edges),
        lambda: brain.select(make_assembly(), time_bin=edges),
        lambda: bundle.responses("IT", edges),
        lambda: NeuralBenchmark("b", "IT", "", lambda: bundle, response_bin=edges),
        lambda: NeuralBenchmark("b", "IT", "", lambda: bundle, step_bin=edges),
    ):
        with pytest.raises(CornetError, match="must be the start and end of a bin in ms after onset"):
            use()


def test_intervals_of_layers_are_time_bins(tmp_path):
    from torch import nn

    np.savez(tmp_path / "f.npz", stimulus_ids=["a", "b"], V4=np.zeros((2, 3)))
    for use in (
        lambda: RecordedSubject(tmp_path / "f.npz", intervals={"V4": [(150, 50)]}),
        lambda: LayerSubject(nn.Sequential(nn.Flatten()), intervals={"0": [None, (150, 50)]}),
    ):
        with pytest.raises(CornetError, match=r"interval of (V4|0)=\(150, 50\) must be the start and end"):
            use()


def test_bins_of_a_file_end_after_they_start():
    assembly = make_assembly(bins=4)
    ends = assembly.coords["time_bin_end"].values.copy()
    ends[2] = 60
    assembly = assembly.assign_coords(time_bin_end=("time_bin", ends))
    with pytest.raises(
        CornetError, match=r"1 of 4 time bins of the assembly .* do not end after they start \(90-60 ms\)"
    ):
        brain.select(assembly, time_bin=(70, 80))


@pytest.mark.parametrize("value", [3e38, -3e38, 9.96921e36, 1e20, 2e15])
def test_responses_of_a_size_that_nothing_has(value):
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((40, 4)), rng.standard_normal((40, 3))
    responses[5, 2] = value
    assembly = make_assembly()
    assembly.values[3, 1] = value
    for use in (
        lambda: brain.neural_predictivity(features, responses),
        lambda: brain.internal_consistency(np.stack([responses, responses])),
        lambda: make_responses(assembly),
        lambda: brain.decode_over_time(responses[..., None], ["a", "b"] * 20, [0]),
    ):
        with pytest.raises(
            CornetError,
            match=r"contain [12] values above 1e\+15 in magnitude, up to .*, which look like fill values",
        ):
            use()


def test_large_responses_are_compared_as_small_ones():
    rng = np.random.default_rng(0)
    features, responses = rng.standard_normal((40, 4)), rng.standard_normal((40, 3))
    for dtype in (np.float32, np.float64):
        given = responses.astype(dtype)
        small = brain.neural_predictivity(features, given)
        large = brain.neural_predictivity(features, given * dtype(2.0**48))
        np.testing.assert_allclose(large.values, small.values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("metric", ["pls", "ridge", "ridgecv", "linear", "neuron_to_neuron"])
@pytest.mark.parametrize("width", [12, 90])
def test_an_offset_of_features_in_float64_changes_nothing(metric, width, tmp_path):
    """At 1e9 float64 resolves 1.2e-7: what is left of the features' variation has seven digits."""
    rng = np.random.default_rng(0)
    ids = [f"s{k}" for k in range(60)]
    features = rng.standard_normal((60, width))
    responses = features[:, :3] + rng.standard_normal((60, 3))
    np.savez(tmp_path / "f.npz", stimulus_ids=ids, plain=features, offset=features + 1e9)
    subject = RecordedSubject(tmp_path / "f.npz")

    class Shown:
        name = "shown"

        def __init__(self):
            self.ids = np.array(ids)

        def __len__(self):
            return 60

    recording = subject.record(Shown(), subject.sites())
    plain, offset = (
        brain.neural_predictivity(recording[brain.Site(name)], responses, metric)
        for name in ("plain", "offset")
    )
    np.testing.assert_allclose(offset.values, plain.values, rtol=0, atol=1e-6)


def test_an_offset_changes_no_other_comparison():
    rng = np.random.default_rng(0)
    labels = np.tile(["a", "b", "c"], 20)
    features, others = rng.standard_normal((60, 30)), rng.standard_normal((60, 20))
    features[:, 0] += labels == "a"
    for compare in (
        lambda given: brain.rdm_similarity(given, others),
        lambda given: brain.cka(given, others),
        lambda given: brain.held_out_probabilities(given, labels)[0],
    ):
        np.testing.assert_allclose(compare(features + 1e9), compare(features), rtol=0, atol=1e-6)


def test_recorded_numbers_are_kept_as_exactly_as_they_come(tmp_path):
    arrays = {"V1": np.float64, "V2": np.float32, "V4": np.int64, "IT": np.uint8}
    given = {name: (np.arange(6).reshape(2, 3) + 2**20).astype(dtype) for name, dtype in arrays.items()}
    np.savez(tmp_path / "f.npz", stimulus_ids=["a", "b"], **given)
    found = RecordedSubject(tmp_path / "f.npz")._features
    kept = {site.layer: array.dtype.name for site, array in found.items()}
    assert kept == {"V1": "float64", "V2": "float32", "V4": "float64", "IT": "float32"}
    for site, array in found.items():
        np.testing.assert_array_equal(array, given[site.layer])
