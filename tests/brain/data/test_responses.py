"""Responses of a bundle: what they are, that they are kept, and what they say of poor neuroids."""

import multiprocessing

import numpy as np
import pytest

from cornet.brain.data import responses as module
from cornet.brain.data.assembly import average_repetitions, by_repetition
from cornet.brain.data.bundle import load_bundle
from cornet.brain.data.responses import make_responses
from cornet.brain.data.selection import select
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import make_assembly, make_table, write_bundle


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "responses"


def assert_same(one, other) -> None:
    for name in ("mean", "repetitions", "weights", "stimulus_ids", "neuroid_ids"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.table.equals(other.table)
    assert (one.region, one.time_bin, one.notes) == (other.region, other.time_bin, other.notes)


def test_a_regions_responses(tmp_path):
    responses = load_bundle(write_bundle(tmp_path / "b", make_assembly(bins=3))).responses("IT", (70, 90))
    selected = select(make_assembly(bins=3), "IT", (70, 90))
    mean = average_repetitions(selected)
    np.testing.assert_array_equal(responses.mean, mean.values)
    assert responses.mean.dtype == np.float64
    np.testing.assert_array_equal(responses.repetitions, by_repetition(selected).values)
    assert responses.stimulus_ids.tolist() == mean.stimulus_id.values.tolist()
    assert responses.neuroid_ids.tolist() == ["n2", "n3", "n4"]
    assert (responses.region, responses.time_bin, responses.weights) == ("IT", (70, 90), None)
    assert [*responses.table] == ["stimulus_id", "filename", "object_name"]
    assert responses.table["filename"].tolist() == [f"{name}.png" for name in responses.stimulus_ids]
    assert str(responses).startswith("IT: 6 stimuli x 3 neuroids, 4 repetitions, 70-90 ms")


def test_all_regions_and_the_only_one(tmp_path):
    bundle = load_bundle(write_bundle(tmp_path / "b"))
    assert bundle.responses().region is None
    assert bundle.responses().mean.shape == (6, 5)
    only = make_assembly().assign_coords(region=("neuroid", ["V4"] * 5))
    assert load_bundle(write_bundle(tmp_path / "c", only)).responses().region == "V4"


def test_what_only_the_assembly_knows_goes_to_the_table():
    assembly = make_assembly()
    assembly = assembly.assign_coords(size=("presentation", np.char.str_len(assembly.object_name.values) / 2))
    responses = make_responses(assembly)
    assert [*responses.table] == ["object_name", "stimulus_id", "size"]
    by_id = make_table().set_index("stimulus_id").loc[responses.stimulus_ids, "object_name"]
    assert responses.table["size"].tolist() == [len(name) / 2 for name in by_id]


def test_one_repetition_is_none(tmp_path):
    single = make_responses(make_assembly(repetitions=1))
    assert single.repetitions is None
    assert make_responses(make_assembly(repetitions=1).drop_vars("repetition")).repetitions is None
    assert str(single).endswith("averaged, 70-80 ms" + "".join(f"; {note}" for note in single.notes))


def test_trials_can_be_averaged_over(tmp_path):
    assembly = make_assembly().assign_coords(trial=("presentation", np.arange(24)))
    bundle = load_bundle(write_bundle(tmp_path / "b", assembly))
    with pytest.raises(CornetError, match="'trial' varies within 6 of 6 stimuli"):
        bundle.responses()
    assert "trial" not in bundle.responses(ignore=["trial"]).table
    np.testing.assert_array_equal(
        bundle.responses(ignore=["trial"]).mean, make_responses(make_assembly()).mean
    )


def test_poor_neuroids_stay_and_are_counted():
    assembly = make_assembly(neuroids=6).fillna(0.5)
    assembly[{"neuroid": 0}] = np.nan
    assembly[{"neuroid": [1, 2]}] = 3.0
    assembly[{"neuroid": 3, "presentation": np.flatnonzero(assembly.stimulus_id.values == "im02")}] = np.nan
    responses = make_responses(assembly)
    assert responses.notes == (
        "skipped 28 of 144 responses that are missing for some neuroids",
        "skipped 1 of 6 neuroids without responses",
        "skipped 2 of 6 neuroids with constant responses",
        "1 of 6 neuroids lack responses to some stimuli (1 of 36 responses) and are compared on the others",
    )
    assert responses.mean.shape == (6, 6)
    assert np.isnan(responses.mean[:, 0]).all()
    assert (responses.mean[:, 1:3] == 3).all()
    assert np.isnan(responses.mean[:, 3]).sum() == 1


def test_infinite_responses_are_refused():
    assembly = make_assembly()
    assembly[{"presentation": 3, "neuroid": 1}] = np.inf
    with pytest.raises(CornetError, match="contain 1 infinite values, but must be finite, or NaN"):
        make_responses(assembly)


def test_the_second_time_they_are_read(tmp_path, kept, monkeypatch):
    folder = write_bundle(tmp_path / "b")
    first = load_bundle(folder).responses("IT")
    assert len(list(kept.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "_compute", lambda *_: pytest.fail("computed again"))
        assert_same(load_bundle(folder).responses("IT"), first)
    other = load_bundle(folder).responses("V4")
    assert other.mean.shape == (6, 2)
    assert len(list(kept.iterdir())) == 2
    # Other content in the same place is not what was kept.
    changed = load_bundle(write_bundle(folder, make_assembly(seed=5))).responses("IT")
    assert not np.array_equal(changed.mean, first.mean)
    assert_same(changed, make_responses(make_assembly(seed=5), load_bundle(folder).stimuli, "IT"))


def test_weights_are_kept_too(tmp_path):
    pairs = make_assembly().repetition.values // 2
    repeated = make_assembly().fillna(0.5).assign_coords(repetition=("presentation", pairs))
    bundle = load_bundle(write_bundle(tmp_path / "b", repeated))
    first = bundle.responses()
    assert first.weights.max() > 1
    assert first.notes[-1] == "averaged several presentations for 12 pairs of stimulus and repetition"
    assert_same(bundle.responses(), first)


def test_damaged_entries_are_made_again(tmp_path, kept):
    bundle = load_bundle(write_bundle(tmp_path / "b"))
    first = bundle.responses()
    (path,) = kept.iterdir()
    path.write_bytes(path.read_bytes()[:500])
    assert_same(bundle.responses(), first)
    assert path.stat().st_size > 500


def test_without_an_identity_nothing_is_kept(kept):
    make_responses(make_assembly())
    assert not kept.exists()


def _in_process(folder) -> float:
    return float(np.nansum(load_bundle(folder).responses("IT").mean))


def test_two_processes_at_once(tmp_path, kept):
    folder = write_bundle(tmp_path / "b")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        sums = pool.map(_in_process, [folder] * 12, chunksize=1)
    assert len(set(sums)) == 1
    assert len(list(kept.iterdir())) == 1
