"""Bundles as folders: stimuli and responses that belong together; the real ones for development where they are."""

import numpy as np
import pytest
import xarray as xr

from cornet import brain
from cornet.brain.data.bundle import load_bundle
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import ids, make_assembly, make_table, write_assembly, write_bundle


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def test_a_folder_is_stimuli_and_an_assembly(tmp_path):
    bundle = brain.load_bundle(write_bundle(tmp_path / "mine"))
    assert bundle.name == "test.assembly"
    assert bundle.stimuli.name == "mine"
    assert bundle.assembly.dims == ("presentation", "neuroid", "time_bin")
    assert len(bundle.identity) == 64


def test_the_names_as_downloaded(tmp_path):
    folder = write_bundle(tmp_path / "b", make_assembly().rename("__xarray_dataarray_variable__"))
    (folder / "stimulus_set.csv").rename(folder / "stimulus_hvm-public.csv")
    (folder / "stimuli.zip").rename(folder / "stimulus_hvm-public.zip")
    (folder / "assembly.nc").rename(folder / "assy_dicarlo_MajajHong2015_public.nc")
    bundle = load_bundle(folder)
    assert bundle.name == "dicarlo_MajajHong2015_public"
    assert bundle.stimuli.name == "hvm-public"


def test_names_from_the_file_or_else_the_folder(tmp_path):
    named = make_assembly().assign_attrs(identifier="lab.Set2020")
    assert load_bundle(write_bundle(tmp_path / "a", named)).name == "lab.Set2020"
    assert load_bundle(write_bundle(tmp_path / "b", make_assembly().rename(None))).name == "b"


def test_identity_is_of_the_content(tmp_path):
    identity = load_bundle(write_bundle(tmp_path / "a")).identity
    moved = tmp_path / "b"
    (tmp_path / "a").rename(moved)
    assert load_bundle(moved).identity == identity
    make_table().iloc[::-1].to_csv(moved / "stimulus_set.csv", index=False)
    assert load_bundle(moved).identity != identity
    write_bundle(moved, make_assembly(seed=1))
    assert load_bundle(moved).identity != identity


def test_presented_stimuli_must_be_known(tmp_path):
    folder = write_bundle(tmp_path / "a", make_assembly(8))
    with pytest.raises(
        CornetError,
        match=r"^2 of the 8 stimuli presented in test.assembly, such as 'im0[67]', are missing from the 6 of the "
        r"stimulus set a, such as 'im00'; use the stimulus set of this assembly\.$",
    ):
        load_bundle(folder)


def test_stimuli_need_not_be_presented(tmp_path):
    responses = load_bundle(write_bundle(tmp_path / "a", make_assembly(4))).responses("IT")
    assert sorted(responses.stimulus_ids) == ids(4).tolist()
    assert responses.mean.shape == (4, 3)
    assert len(responses.table) == 4


def test_a_folder_without_an_assembly_has_stimuli_still(tmp_path):
    folder = write_bundle(tmp_path / "a")
    (folder / "assembly.nc").unlink()
    with pytest.raises(CornetError, match=r"has no assembly; .* \(load_stimuli reads stimuli alone\)\.$"):
        load_bundle(folder)
    assert len(brain.load_stimuli(folder)) == 6


def test_a_folder_without_stimuli_has_an_assembly_still(tmp_path):
    write_assembly(make_assembly(), tmp_path / "assembly.nc")
    with pytest.raises(CornetError, match="has no stimulus table"):
        load_bundle(tmp_path)
    assert brain.load_assembly(tmp_path).shape == (24, 5, 1)


def plain_means(assembly: xr.DataArray) -> xr.DataArray:
    return assembly.squeeze("time_bin").astype(float).groupby("stimulus_id").mean(skipna=True)


@pytest.mark.parametrize(
    ("name", "region", "shape", "repetitions"),
    [
        ("cowley2023-V4-210325", "V4", (640, 50), 10),
        ("cowley2023-V4-190925", "V4", (1200, 36), None),
        ("cowley2023-V4-210305", "V4", (400, 70), None),
        ("henaff2021-V1-ay3_u001", "V1", (480, 47), 50),
        ("henaff2021-V1-ay4_u001", "V1", (480, 13), 50),
    ],
)
def test_real_bundles(shared_data, name, region, shape, repetitions):
    bundle = load_bundle(shared_data / name)
    responses = bundle.responses(region)
    assert responses.mean.shape == shape
    assert responses.table["stimulus_id"].tolist() == responses.stimulus_ids.tolist()
    assert (None if responses.repetitions is None else len(responses.repetitions)) == repetitions
    if repetitions:
        assert responses.repetitions.shape[1:] == shape
        there = ~np.isnan(responses.repetitions)
        assert there.sum() == (~np.isnan(bundle.assembly.values)).sum()
    expected = plain_means(bundle.assembly).sel(stimulus_id=responses.stimulus_ids)
    np.testing.assert_array_equal(responses.mean, expected.transpose("stimulus_id", "neuroid").values)
    assert bundle.stimuli.pictures[len(bundle.stimuli) - 1].ndim == 3
    first = bundle.stimuli.table.set_index("stimulus_id").loc[responses.stimulus_ids[0]]
    assert responses.table.iloc[0]["filename"] == first["filename"]


def test_real_files_that_are_a_part_of_a_bundle(shared_data):
    assert len(brain.load_stimuli(shared_data / "kriegeskorte2008-92images")) == 92
    spikes = brain.load_assembly(shared_data / "zhang2011-IT-spikes")
    early = brain.select(spikes, "IT", (100, 200))
    bins = (spikes.time_bin_start.values >= 100) & (spikes.time_bin_end.values <= 200)
    assert bins.sum() == 10
    expected = spikes.values[:, :, bins].mean(axis=2, dtype=float)
    np.testing.assert_allclose(early.values, expected, rtol=1e-12)
    choices = brain.load_assembly(shared_data / "geirhos2019-shape-behavior")
    assert choices.dims == ("presentation",)
    with pytest.raises(CornetError, match="responses must be numbers"):
        load_bundle(shared_data / "geirhos2019-shape-behavior").responses()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("region", "Region"),
        ("repetition", "repitition"),
        ("time_bin_start", "time_bin_starts"),
        ("time_bin_end", "timebin_end"),
    ],
)
def test_coordinates_that_are_nearly_right_are_refused(tmp_path, name, near):
    folder = write_bundle(tmp_path / "a", make_assembly().rename({name: near}))
    with pytest.raises(
        CornetError, match=f"has no '{name}' but '{near}'; did you mean '{name}'\\? Rename it"
    ):
        load_bundle(folder)


def test_times_in_seconds_are_refused(tmp_path):
    seconds = make_assembly().assign_coords(
        time_bin_start=("time_bin", [0.07]), time_bin_end=("time_bin", [0.17])
    )
    with pytest.raises(CornetError, match=r"\(0.07-0.17\) are shorter than 1 ms and look like seconds"):
        load_bundle(write_bundle(tmp_path / "a", seconds)).responses("IT")
    stated = make_assembly()
    stated.time_bin_start.attrs["units"] = "s"
    with pytest.raises(CornetError, match="has time_bin_start in 's'; write the times in ms"):
        load_bundle(write_bundle(tmp_path / "b", stated)).responses("IT")
