"""Regions and time bins out of an assembly, in memory and out of a file."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from cornet.brain.data import selection as module
from cornet.brain.data.files.netcdf import load_assembly
from cornet.brain.data.selection import select
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import make_assembly, write_assembly


def plain(assembly: xr.DataArray, region: str, bins: slice) -> np.ndarray:
    some = assembly.isel(neuroid=np.flatnonzero(assembly.region.values == region), time_bin=bins)
    return some.astype(float).mean("time_bin", skipna=True).transpose("presentation", "neuroid").values


@pytest.mark.parametrize("block", [2**26, 500, 1])
@pytest.mark.parametrize(
    "dims",
    ["presentation neuroid time_bin", "neuroid presentation time_bin", "time_bin neuroid presentation"],
)
@pytest.mark.parametrize("stored", [True, False])
def test_a_region_in_a_window_is_the_mean_of_its_bins(tmp_path, monkeypatch, block, dims, stored):
    monkeypatch.setattr(module, "BLOCK", block)
    assembly = make_assembly(neuroids=7, bins=10).transpose(*dims.split())
    mixed = ["V4", "IT", "IT", "V1", "IT", "V4", "V1"]  # a region's neuroids need not stand together
    assembly = assembly.assign_coords(region=("neuroid", mixed))
    source = load_assembly(write_assembly(assembly, tmp_path / "a.nc")) if stored else assembly
    for region, neuroids in (("V4", ["n0", "n5"]), ("IT", ["n1", "n2", "n4"])):
        got = select(source, region, (90, 130))
        assert got.dims == ("presentation", "neuroid")
        assert got.dtype == np.float64
        assert got.neuroid_id.values.tolist() == neuroids
        np.testing.assert_allclose(got.values, plain(assembly, region, slice(2, 6)), rtol=1e-12)
        assert (got.time_bin_start, got.time_bin_end) == (90, 130)
        np.testing.assert_array_equal(got.stimulus_id.values, assembly.stimulus_id.values)
    one = select(source, "IT", (100, 110))
    assert one.dtype == np.float32  # as it stands
    np.testing.assert_array_equal(one.values, plain(assembly, "IT", slice(3, 4)).astype(np.float32))
    assert select(source, None, (70, 170)).shape == (24, 7)


def test_the_only_bin_is_taken():
    assembly = make_assembly()
    np.testing.assert_array_equal(select(assembly).values, assembly.values[:, :, 0])
    np.testing.assert_array_equal(select(assembly, time_bin=(70, 80)).values, assembly.values[:, :, 0])
    bare = assembly.isel(time_bin=0)
    np.testing.assert_array_equal(select(bare).values, bare.values)
    assert select(bare).time_bin_end == 80
    nameless = bare.drop_vars(["time_bin_start", "time_bin_end"])
    np.testing.assert_array_equal(select(nameless).values, bare.values)


@pytest.mark.parametrize("time_bin", [(70, 75), (75, 95), (60, 100), (70, 200), (0, 10)])
def test_a_bin_that_cannot_be_filled_names_those_there_are(time_bin):
    with pytest.raises(
        CornetError, match=r"^time_bin=\(.*\) is not a bin .* 70-80, 80-90, 90-100, 100-110 \(ms after"
    ):
        select(make_assembly(bins=4), time_bin=time_bin)


def test_bins_that_overlap_are_not_averaged():
    assembly = make_assembly(bins=3).assign_coords(time_bin_end=("time_bin", [90, 100, 110]))
    assert select(assembly, time_bin=(80, 100)).shape == (24, 5)
    with pytest.raises(CornetError, match="not covered by bins of equal width"):
        select(assembly, time_bin=(70, 110))


def test_one_of_several_bins_must_be_chosen():
    with pytest.raises(CornetError, match=r"has 10 time bins \(.*70-80, .* \.\.\., 140-150"):
        select(make_assembly(bins=10))


def test_bins_without_their_times_cannot_be_chosen():
    assembly = make_assembly(bins=2).drop_vars("time_bin_end")
    with pytest.raises(CornetError, match="not the coordinates time_bin_start and time_bin_end"):
        select(assembly, time_bin=(70, 80))


def test_times_that_are_no_numbers():
    assembly = make_assembly(bins=2)
    text = assembly.assign_coords(time_bin_start=("time_bin", ["70", "80"]))
    assert select(text, time_bin=(70, 80)).shape == select(assembly, time_bin=(70, 80)).shape
    for wrong in ("1970-01-01", "x" * 500_000):
        tracemalloc.start()
        with pytest.raises(
            CornetError, match=r"has '.{1,40} in time_bin_start, which is not a number; write the times"
        ):
            select(assembly.assign_coords(time_bin_start=("time_bin", [wrong, "80"])), time_bin=(70, 80))
        assert tracemalloc.get_traced_memory()[1] < 50e6
        tracemalloc.stop()


def test_an_unknown_region_names_those_there_are():
    with pytest.raises(
        CornetError, match=r"^region='V2' is not in the assembly test.assembly; it has IT, V4\.$"
    ):
        select(make_assembly(), "V2")
    with pytest.raises(CornetError, match="has no coordinate region; omit it"):
        select(make_assembly().drop_vars("region"), "V4")


def test_text_is_no_response():
    text = xr.DataArray(np.full((24, 5), "face"), dims=("presentation", "neuroid"), name="choices")
    choices = text.isel(neuroid=0, drop=True)
    for assembly in (text, choices):
        with pytest.raises(
            CornetError, match=r"^the assembly choices contains text \(<U4\) along .* must be numbers"
        ):
            select(assembly)


def test_values_that_are_damaged_in_the_file_are_no_zeros(tmp_path):
    path = tmp_path / "a.nc"
    packed = {"test.assembly": {"zlib": True, "chunksizes": (100, 5, 4)}}
    make_assembly(60, 20, 40, 4).to_dataset().to_netcdf(path, engine="h5netcdf", encoding=packed)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(bytes(data))
    with pytest.raises(CornetError, match=r"the assembly test.assembly cannot be read \(.*damaged"):
        select(load_assembly(path), time_bin=(70, 110))


@pytest.mark.parametrize("dims", ["presentation neuroid time_bin", "neuroid presentation time_bin"])
def test_a_large_file_is_read_in_blocks(tmp_path, monkeypatch, dims):
    monkeypatch.setattr(module, "BLOCK", 2**18)
    rng = np.random.default_rng(0)
    assembly = make_assembly(50, 20, 20).isel(time_bin=0, drop=True)
    assembly = assembly.expand_dims(time_bin=100, axis=2).copy(data=rng.random((1000, 20, 100), np.float32))
    times = {"time_bin_start": ("time_bin", np.arange(100)), "time_bin_end": ("time_bin", np.arange(1, 101))}
    stored = assembly.assign_coords(times).transpose(*dims.split())
    path = write_assembly(stored, tmp_path / "a.nc")
    stored = load_assembly(path)
    tracemalloc.start()
    got = select(stored, "IT", (50, 100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 4
    np.testing.assert_allclose(got.values, assembly.values[:, 2:, 50:].mean(axis=2, dtype=float), rtol=1e-12)
