"""Each input of a benchmark is changed in turn: the scores are then those of an empty cache, bit for bit."""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cornet import brain
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.data.bundle import load_bundle
from cornet.brain.data.responses import make_responses
from cornet.errors import CornetError
from tests.helpers.brain.changed_bundle import (
    BASE,
    FILMS,
    KINDS,
    REPETITIONS,
    SHUFFLED,
    STIMULI,
    alike,
    responses,
    score,
    table,
    write,
)
from tests.helpers.brain.small_bundles import ids

pytestmark = pytest.mark.usefixtures("caches")  # of its own for every test


CHANGES = {
    "the column movie": {"rows": table(movie=np.arange(STIMULI) % 10)},
    "one value of movie": {"rows": table(movie=np.where(np.arange(STIMULI) == 7, 9, FILMS))},
    "the column that splits are drawn by": {"rows": table(object_name=KINDS)},
    "degrees": {"rows": table(movie=FILMS, degrees=4.0)},
    "responses": {"data": responses(1)},
    "one response": {"data": responses().where(np.arange(STIMULI * REPETITIONS)[:, None, None] != 5, 3.0)},
    "regions": {"data": responses(region=("neuroid", ["V4", "IT", "V4", "V4"]))},
    "repetitions": {"data": responses(repetition=("presentation", SHUFFLED))},
    "stimuli of presentations": {
        "data": responses(stimulus_id=("presentation", np.tile(ids(STIMULI), REPETITIONS)))
    },
    "images": {"seed": 1},
    "order of the table": {"rows": table(movie=FILMS).iloc[::-1]},
    "time bin": {"time_bin": (80.0, 90.0)},
}


@pytest.mark.slow  # scores after each change
@pytest.mark.parametrize("what", CHANGES)
def test_a_score_after_a_change_is_that_of_an_empty_cache(tmp_path, caches, what):
    """In one process, so that what it holds in memory of files counts as well."""

    def taken(rows, data, time_bin, seed=0):
        return score(write(tmp_path / "bundle", rows, data, seed), time_bin)

    first = taken(**BASE)
    changed = taken(**BASE | CHANGES[what])
    kept = caches("empty")
    assert not kept.exists()
    fresh = taken(**BASE | CHANGES[what])
    assert alike(changed, fresh)
    assert changed[0].fingerprint == fresh[0].fingerprint != first[0].fingerprint
    caches("kept")
    again = taken(**BASE)  # and back
    assert alike(again, first)
    assert again[0].fingerprint == first[0].fingerprint


def test_what_does_not_matter_shares_all_entries_and_the_fingerprint(tmp_path, caches):
    kept = caches("kept")
    first = score(write(tmp_path / "bundle", table(movie=FILMS), responses()), (70, 80))
    entries = sorted(kept.rglob("*.*"))
    (tmp_path / "bundle").rename(tmp_path / "moved")
    (tmp_path / "moved" / "stimulus_set.csv").write_text(
        table(note="new", movie=FILMS).to_csv(index=False)  # a column that nothing uses
    )
    second = score(tmp_path / "moved", (70, 80))
    assert alike(first, second)
    assert sorted(kept.rglob("*.*")) == entries
    assert {path.parent.name for path in entries} == {"responses", "ceilings", "recordings", "same-images"}
    assert first[0].fingerprint == second[0].fingerprint


def test_an_assembly_changed_in_memory_is_not_what_was_kept(tmp_path):
    folder = write(tmp_path / "bundle", table(), responses())
    before = load_bundle(folder).responses("V4", (70, 80))
    bundle = load_bundle(folder)
    bundle.assembly[{"presentation": 3, "neuroid": 0}] = 100.0
    expected = responses()
    expected[{"presentation": 3, "neuroid": 0}] = 100.0
    found = bundle.responses("V4", (70, 80)).mean
    assert np.array_equal(found, make_responses(expected, region="V4", time_bin=(70, 80)).mean)
    assert not np.array_equal(found, before.mean)
    for regions in (["V4", "V4", "IT", "IT"], ["V4", "V4", "V4", "V4"]):
        bundle = load_bundle(folder)
        bundle.assembly["region"] = ("neuroid", regions)
        assert bundle.responses("V4", (70, 80)).mean.shape[1] == regions.count("V4")
    other = dataclasses.replace(load_bundle(folder), assembly=responses(1))
    expected = make_responses(responses(1), region="V4", time_bin=(70, 80))
    assert np.array_equal(other.responses("V4", (70, 80)).mean, expected.mean)


def test_an_assembly_written_over_after_loading_is_refused(tmp_path):
    bundle = load_bundle(write(tmp_path / "bundle", table(), responses()))
    write(tmp_path / "bundle", table(), responses(1))
    with pytest.raises(CornetError, match=r"assembly.nc changed after it was loaded; load it again\.$"):
        bundle.responses("V4", (70, 80))


# --- Fingerprints of other benchmarks ---


def fingerprint(folder: Path) -> str:
    (benchmark,) = open_benchmarks([str(folder)])
    return benchmark.fingerprint


def observed(**changes) -> xr.DataArray:
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    facts = {"truth": truth, "condition": np.full(STIMULI, "plain"), "answers": truth[::-1].copy()} | changes
    coords = {
        "stimulus_id": ("presentation", np.tile(ids(STIMULI), 2)),
        "subject": ("presentation", np.repeat(["one", "two"], STIMULI)),
        "truth": ("presentation", np.tile(facts["truth"], 2)),
        "condition": ("presentation", np.tile(facts["condition"], 2)),
    }
    return xr.DataArray(np.tile(facts["answers"], 2), coords, ("presentation",), name="answers")


def test_a_fingerprint_of_answers_covers_truth_conditions_and_answers(tmp_path):
    where = np.arange(STIMULI) == 3
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    changes = [
        {},
        {"truth": np.where(where, "a", truth)},
        {"condition": np.where(where, "other", "plain")},
        {"answers": np.where(where, "c", truth[::-1])},
    ]
    found = [fingerprint(write(tmp_path / "b", table(), observed(**change))) for change in changes]
    assert len(set(found)) == len(changes)
    assert fingerprint(write(tmp_path / "b", table(), observed())) == found[0]


def trials(choice: str = "a", distractor: str = "b") -> xr.DataArray:
    truth = np.array(["a", "b"])[np.arange(STIMULI) % 2]
    other = np.where(truth == "a", "b", "a").astype("U1")
    other[0] = distractor
    made = truth.copy()
    made[0] = choice
    coords = {"stimulus_id": ids(STIMULI), "sample_obj": truth, "dist_obj": other}
    return xr.DataArray(
        made, {k: ("presentation", v) for k, v in coords.items()}, ("presentation",), name="trials"
    )


def test_a_fingerprint_of_choices_covers_every_trial(tmp_path):
    made = [trials(), trials(choice="b"), trials(distractor="c")]
    assert len({fingerprint(write(tmp_path / "b", table(), one)) for one in made}) == 3


def test_a_fingerprint_of_rdms_covers_every_value_and_the_degrees(tmp_path):
    folder = write(tmp_path / "b", table(), responses())
    rdms = np.random.default_rng(0).random((2, STIMULI, STIMULI))
    rdms = rdms + rdms.swapaxes(1, 2)
    rdms[:, np.arange(STIMULI), np.arange(STIMULI)] = 0
    found = []
    for change in (0.0, 1e-9):
        rdms[1, [3, 5], [5, 3]] += change
        np.savez(folder / "rdms.npz", stimulus_id=ids(STIMULI), IT=rdms)
        found.append(fingerprint(folder))
    (folder / "stimulus_set.csv").write_text(table(degrees=4.0).to_csv(index=False))
    assert len({*found, fingerprint(folder)}) == 3


@pytest.mark.slow
def test_real_v1_with_a_wrong_column_that_is_corrected(shared_data, tmp_path, caches):
    """Frames of one movie on both sides of a split are nearly the same stimulus: the score was .76, and is -.003."""
    shutil.copytree(shared_data / "henaff2021-V1-ay4_u001", folder := tmp_path / "v1")
    right = (folder / "stimulus_set.csv").read_bytes()
    wrong = pd.read_csv(io.BytesIO(right)).assign(movie=lambda rows: np.arange(len(rows)) % 10)

    def value():
        (benchmark,) = open_benchmarks([str(folder)])
        return benchmark.run(brain.open_subject("pixels")).value, benchmark.fingerprint

    wrong.to_csv(folder / "stimulus_set.csv", index=False)
    first = value()
    (folder / "stimulus_set.csv").write_bytes(right)
    second = value()
    caches("empty")
    assert value() == second
    assert first[0] > 0.7
    assert second[0] == pytest.approx(-0.003, abs=0.001)
    assert first[1] != second[1]
