"""Bundles whose bundle.json states subjects, limits, ceilings and further test sets: as the reference scores them."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cornet import brain
from cornet.brain.benchmarks.battery import Result
from cornet.brain.metrics.ceiling import stated_ceiling
from cornet.brain.ranking import compared
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import ids, make_zip, write_assembly
from tests.helpers.paths import GOLDEN

SITE = Site("layer")
RULE = {"fixed_by": "split", "subject_by": "subject"}
LIMIT = {"keep_above": {"reliability": 0.3}}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        return {name.removeprefix("bench/"): file[name] for name in file.files if name.startswith("bench/")}


@pytest.fixture(scope="module")
def folder(golden, tmp_path_factory):
    """Single training presentations and repeated test presentations, in a random order."""
    path = tmp_path_factory.mktemp("fixed")
    train, tested = golden["Y_train"], golden["Y_test_rep"]
    stimuli, repetitions = len(train) + len(tested), tested.shape[1]
    names = ids(stimuli)
    split = np.array(["train"] * len(train) + ["test"] * len(tested))
    table = pd.DataFrame(
        {"stimulus_id": names, "filename": [f"{name}.png" for name in names], "split": split}
    )
    table.to_csv(path / "stimulus_set.csv", index=False)
    make_zip(path / "stimuli.zip", stimuli)
    values = np.concatenate([train, tested.reshape(-1, tested.shape[2])])
    shown = np.concatenate([names[: len(train)], np.repeat(names[len(train) :], repetitions)])
    number = np.concatenate([np.zeros(len(train), int), np.tile(np.arange(repetitions), len(tested))])
    order = np.random.default_rng(0).permutation(len(values))
    subject = golden["subject"]
    neuroid = np.array(
        [(subject[:k] == one).sum() for k, one in enumerate(subject)]
    )  # restarts in each subject
    coordinates = {
        "stimulus_id": ("presentation", shown[order]),
        "repetition": ("presentation", number[order]),
        "neuroid_id": ("neuroid", neuroid),
        "subject": ("neuroid", subject),
        "region": ("neuroid", ["V4"] * len(subject)),
        "reliability": ("neuroid", golden["reliability"]),
    }
    assembly = xr.DataArray(values[order], coordinates, ("presentation", "neuroid"), "fixed")
    write_assembly(assembly, path / "assembly.nc")
    return path


def scored(folder, golden, rule, metric="ridgecv", change=None):
    """The benchmark of a folder with this rule, and its score of the golden features."""
    (folder / "bundle.json").write_text(json.dumps(rule))
    table = pd.read_csv(folder / "stimulus_set.csv")
    if change is not None:
        table["split"] = change(table["split"].to_numpy(str))
        table.to_csv(folder / "stimulus_set.csv", index=False)
    (benchmark,) = brain.open_benchmarks([str(folder)], metric=metric)
    benchmark = benchmark.with_site(SITE)
    return benchmark, benchmark.compare({SITE: golden["X"]}, None)


@pytest.mark.parametrize("name", ["all", "filtered"])
def test_subjects_are_scored_as_in_the_reference(folder, golden, name):
    benchmark, score = scored(folder, golden, RULE | (LIMIT if name == "filtered" else {}))
    table, prefix = score.details["by_subject"], f"{name}/by_subject/explained"
    assert score.value == pytest.approx(float(golden[f"{prefix}/score"]), abs=1e-9)
    assert score.ceiling == pytest.approx(float(golden[f"{name}/ceiling"]), abs=1e-9)
    assert score.raw == pytest.approx(float(golden[f"{prefix}/raw"].mean()), abs=1e-9)
    for column in ("raw", "ceiling"):
        np.testing.assert_allclose(table[column], golden[f"{prefix}/{column}"], atol=1e-9)
    np.testing.assert_allclose(table["value"], golden[f"{prefix}/scores"], atol=1e-9)
    np.testing.assert_array_equal(table["alpha"], golden[f"{prefix}/alpha"])
    assert [note for note in score.notes if note.startswith("error:")] == ["error: bootstrap over subjects"]
    assert 0 < score.error < 0.1
    left = len(golden["subject"]) - len(golden[f"{name}/keep"])
    assert any(f"skipped {left} of 14 neuroids" in note for note in score.notes) == bool(left)
    assert benchmark.responses.repetitions.shape[1] == len(golden["Y_test_rep"])


def test_without_subjects_all_neuroids_share_a_penalty(folder, golden):
    _, score = scored(folder, golden, {"fixed_by": "split"})
    assert score.value == pytest.approx(float(golden["all/pooled/score"]), abs=1e-9)
    np.testing.assert_allclose(score.values[0], golden["all/pooled/r"], atol=1e-9)
    assert "error: bootstrap over test stimuli" in score.notes
    assert 0 < score.error < 0.2


@pytest.mark.parametrize("metric", ["pls", "ridge", "cka", "rdm"])
def test_every_metric_scores_subjects_alone(folder, golden, metric):
    """The subjects of a bundle have the scores that they have alone."""
    _, score = scored(folder, golden, RULE, metric)
    for name, one in score.details["subjects"].items():
        own = golden["subject"] == name
        part = dict(golden, subject=golden["subject"][own])
        assembly = xr.load_dataarray(folder / "assembly.nc").isel(neuroid=own)
        alone = folder.parent / f"alone-{metric}-{name}"
        alone.mkdir()
        for file in ("stimulus_set.csv", "stimuli.zip"):
            (alone / file).write_bytes((folder / file).read_bytes())
        write_assembly(assembly, alone / "assembly.nc")
        _, expected = scored(alone, part, {"fixed_by": "split"}, metric)
        assert one.raw == pytest.approx(expected.raw, abs=1e-9)
        assert one.value == pytest.approx(expected.value, abs=1e-9)
    assert score.value == pytest.approx(np.mean([one.value for one in score.details["subjects"].values()]))


def test_one_split_without_predictions_has_no_error(folder, golden):
    _, score = scored(folder, golden, {"fixed_by": "split"}, "semi")
    assert np.isnan(score.error)
    assert "error: unknown, since there is one split" in score.notes
    assert np.isfinite(score.value)


def test_draws_for_a_ranking_are_means_over_subjects(folder, golden):
    benchmark, score = scored(folder, golden, RULE)
    found = compared(Result("made-up", benchmark, score, (SITE,)), None)
    assert found.value == score.value
    assert np.median(found.draws) == pytest.approx(score.value, abs=0.1)


@pytest.mark.parametrize("metric", ["ridgecv", "pls", "semi", "cka"])
def test_a_further_test_set_has_its_numbers_in_the_same_row(folder, golden, metric):
    """Half of the test stimuli as another distribution: each half as if it were the only test set."""

    def half(split):
        tested = np.flatnonzero(split == "test")
        split[tested[::2]] = "ood"
        return split

    def only(kept):
        return lambda split: np.where(split == kept, "test", np.where(split == "train", "train", "ood-left"))

    copies = {}
    for name, change in (("both", None), ("test", only("test")), ("ood", only("ood"))):
        copies[name] = folder.parent / f"ood-{metric}-{name}"
        copies[name].mkdir()
        for file in ("stimulus_set.csv", "stimuli.zip", "assembly.nc"):
            (copies[name] / file).write_bytes((folder / file).read_bytes())
        _, found = scored(copies[name], golden, RULE, metric, half)
        if change is not None:
            _, found = scored(copies[name], golden, RULE, metric, change)
        copies[name] = found
    both = copies["both"]
    row = both.row()
    assert (row["value"], row["raw"]) == (both.value, both.raw)
    if metric != "cka":  # which compares the training stimuli too
        assert row["value"] == pytest.approx(copies["test"].value, abs=1e-9)
        assert row["ood"] == pytest.approx(copies["ood"].value, abs=1e-9)
        assert row["ood_raw"] == pytest.approx(copies["ood"].raw, abs=1e-9)
    assert row["ood_raw"] != row["raw"]
    assert both.details["ood"]["ood"].n == 12


def test_stated_ceilings_are_those_of_the_reference():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        ceiling = stated_ceiling(file["li/reliability"])
        assert ceiling.raw == pytest.approx(float(file["li/ceiling"]), abs=1e-12)
        assert ceiling.error == pytest.approx(float(file["li/error"]), abs=1e-12)
    assert any("1 of 40 neuroids" in note for note in ceiling.notes)


def test_stated_ceilings_serve_where_repetitions_are_missing(folder, golden):
    _, score = scored(folder, golden, RULE | {"ceiling_by": "reliability"})
    for name, one in score.details["subjects"].items():
        expected = np.median(golden["reliability"][golden["subject"] == name])
        assert one.ceiling == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ({"random": True, "subject_by": "animal"}, "subject_by names 'animal'"),
        ({"random": True, "ceiling_by": "subject"}, "have no numbers of that name"),
        ({"random": True, "keep_above": {"snr": 1}}, "keep_above names 'snr'"),
        ({"random": True, "keep_above": {"reliability": 2}}, "none of 14 neuroids"),
        ({"random": True, "keep_above": 0.3}, "it must be numbers by coordinate"),
        ({"random": True, "keep_above": {"reliability": "high"}}, "it must be numbers by coordinate"),
        ({"random": True, "subject_by": 1}, "it must be a column name"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, golden, rule, what):
    with pytest.raises(CornetError, match=what):
        scored(folder, golden, rule)


def test_a_further_test_set_needs_two_stimuli(folder, golden):
    copy = folder.parent / "one-ood"
    copy.mkdir()
    for file in ("stimulus_set.csv", "stimuli.zip", "assembly.nc"):
        (copy / file).write_bytes((folder / file).read_bytes())

    def one(split):
        split[-1] = "ood"
        return split

    with pytest.raises(CornetError, match="one stimulus with 'ood'"):
        scored(copy, golden, RULE, change=one)


def test_subjects_with_fewer_repetitions_are_counted(folder, golden):
    """Subject b was shown the test images half as often: its ceiling is that of its own repetitions."""
    copy = folder.parent / "fewer"
    copy.mkdir()
    for file in ("stimulus_set.csv", "stimuli.zip"):
        (copy / file).write_bytes((folder / file).read_bytes())
    assembly = xr.load_dataarray(folder / "assembly.nc")
    late = assembly.coords["repetition"].values >= 3
    b = assembly.coords["subject"].values == "b"
    assembly.values[np.ix_(late, b)] = np.nan
    write_assembly(assembly, copy / "assembly.nc")
    _, whole = scored(folder, golden, RULE)
    _, fewer = scored(copy, golden, RULE)
    one, other = (score.details["by_subject"].set_index("subject") for score in (whole, fewer))
    assert one.loc["a", "value"] == pytest.approx(other.loc["a", "value"], abs=1e-12)
    assert np.isfinite(other.loc["b", "value"])
    assert other.loc["b", "ceiling"] < one.loc["b", "ceiling"]
    assert any("missing in one half" in note for note in fewer.notes)


def test_a_limit_of_training_stimuli_is_the_same_each_time(folder, golden):
    """Only the drawn stimuli are shown and read; the score is that of a bundle that never had the others."""
    (folder / "bundle.json").write_text(json.dumps({"fixed_by": "split", "train_limit": 40}))
    (benchmark,) = brain.open_benchmarks([str(folder)], metric="ridgecv")
    assert len(benchmark.stimuli) == 40 + len(golden["Y_test_rep"])
    assert any("fitted on 40 of 60 training stimuli" in note for note in benchmark.exclusions())
    again = brain.open_benchmarks([str(folder)], metric="ridgecv")[0]
    assert list(again.stimuli.ids) == list(benchmark.stimuli.ids)
    rows = [int(one[2:]) for one in benchmark.stimuli.ids]
    score = benchmark.with_site(SITE).compare({SITE: golden["X"][rows]}, None)
    train = [row for row in rows if row < 60]
    expected = brain.fixed_split_predictivity(
        golden["X"][[*train, *range(60, 84)]],
        golden["Y_train"][train],
        golden["Y_test_rep"].transpose(1, 0, 2),
    )
    np.testing.assert_allclose(score.values, expected.values, atol=1e-10)
    assert score.value == pytest.approx(expected.value, abs=1e-10)


def test_a_limit_ends_with_the_fixed_split(folder, golden):
    (folder / "bundle.json").write_text(json.dumps({"fixed_by": "split", "train_limit": 40}))
    (benchmark,) = brain.open_benchmarks([str(folder)], metric="ridgecv", stratify="split")
    assert len(benchmark.stimuli) == 84
    assert len(benchmark.splits) == 10


def test_a_limit_needs_a_fixed_split(folder, golden):
    with pytest.raises(CornetError, match="has train_limit, but no fixed split"):
        scored(folder, golden, {"random": True, "train_limit": 40})
    with pytest.raises(CornetError, match="must be a number of at least 2"):
        scored(folder, golden, {"fixed_by": "split", "train_limit": True})
