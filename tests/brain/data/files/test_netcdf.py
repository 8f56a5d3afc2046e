"""Reading assemblies: today's and older files, and what is none."""

import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from cornet.brain.data.assembly import average_repetitions
from cornet.brain.data.files.hdf5 import text_problem
from cornet.brain.data.files.netcdf import load_assembly
from cornet.brain.data.selection import select
from cornet.errors import CornetError
from tests.helpers.brain.small_bundles import make_assembly, write_assembly, write_bundle


def test_what_was_written_is_read(tmp_path):
    assembly = make_assembly(bins=3).assign_attrs(identifier="test.this")
    for place in (write_assembly(assembly, tmp_path / "any-name.nc"), write_bundle(tmp_path / "b", assembly)):
        got = load_assembly(place)
        xr.testing.assert_equal(got, assembly)
        assert got.name == "test.assembly"
        assert got.attrs["identifier"] == "test.this"
        assert [*got.coords] == [*assembly.coords]  # the order decides that of the averaged stimuli
        assert got.coords["region"].dtype.kind == "U"


def test_old_names_and_coordinates_that_stand_as_data(tmp_path):
    old = make_assembly().rename(stimulus_id="image_id").to_dataset(name="x")
    old["x"] = old["x"].transpose("neuroid", "presentation", "time_bin")
    old = old.reset_coords(["image_id", "region", "repetition"])
    old["time_bin_start"].attrs["units"] = "milliseconds"  # which must stay numbers
    old.to_netcdf(tmp_path / "assy_old.nc", engine="h5netcdf")
    got = load_assembly(tmp_path)
    assert got.dims == ("neuroid", "presentation", "time_bin")
    with h5py.File(tmp_path / "assy_old.nc") as file:
        names = [name for name in file if name != "x" and name not in got.dims]
    assert {*names} == {*old.variables} - {"x"}
    assert [*got.coords] == ["stimulus_id" if name == "image_id" else name for name in names]
    assert got.coords["time_bin_start"].dtype.kind == "i"
    expected = make_assembly()
    np.testing.assert_array_equal(got.transpose(*expected.dims).values, expected.values)
    np.testing.assert_array_equal(got.stimulus_id.values, expected.stimulus_id.values)


def test_text_of_any_length_and_bytes_become_text(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w", track_order=True) as file:
        file["presentation"] = np.arange(3)
        file["presentation"].make_scale("presentation")
        file["neuroid"] = np.arange(2)
        file["neuroid"].make_scale("neuroid")
        for name, values in {
            "stimulus_id": np.array(["a", "bc", "d"], object),
            "object_name": np.array([b"x", b"yz", b"x"]),
            "x": np.ones((3, 2)),
        }.items():
            file.create_dataset(
                name, data=values, dtype=h5py.string_dtype() if values.dtype == object else None
            )
            file[name].dims[0].attach_scale(file["presentation"])
        file["x"].dims[1].attach_scale(file["neuroid"])
    got = load_assembly(tmp_path / "a.nc")
    assert got.stimulus_id.values.tolist() == ["a", "bc", "d"]
    assert got.object_name.values.tolist() == ["x", "yz", "x"]
    assert got.stimulus_id.dtype.kind == got.object_name.dtype.kind == "U"


def test_choices_have_one_dimension(tmp_path):
    choices = make_assembly().isel(neuroid=0, time_bin=0, drop=True)
    choices = choices.copy(data=np.where(choices.repetition.values > 1, "face", "car"))
    got = load_assembly(write_assembly(choices, tmp_path / "a.nc"))
    assert got.dims == ("presentation",)
    assert got.values[:3].tolist() == choices.values[:3].tolist()


def test_numbers_as_ids_become_text(tmp_path):
    assembly = make_assembly().assign_coords(stimulus_id=("presentation", np.arange(24) % 6))
    assert load_assembly(write_assembly(assembly, tmp_path / "a.nc")).stimulus_id.values[7] == "1"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>404</html>", r"is not a netCDF file \(it starts with b'<htm'\); fetch it again"),
        (b"", r"is not a netCDF file \(it starts with b''\)"),
        (b"\x89HDF\r\n\x1a\n", "cannot be read"),
    ],
)
def test_what_is_no_netcdf_is_refused(tmp_path, content, why):
    (tmp_path / "assembly.nc").write_bytes(content)
    with pytest.raises(CornetError, match=why) as error:
        load_assembly(tmp_path)
    assert str(tmp_path / "assembly.nc") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_netcdf_3_is_read_as_netcdf_4_is(tmp_path, format):
    assembly = make_assembly(bins=3).assign_attrs(identifier="test.this")
    assembly.to_netcdf(tmp_path / "a.nc", engine="scipy", format=format)
    got = load_assembly(tmp_path / "a.nc")
    same = load_assembly(write_assembly(assembly, tmp_path / "b.nc"))
    assert [*got.coords] == [*same.coords]
    assert got.coords["region"].dtype == same.coords["region"].dtype
    xr.testing.assert_identical(got.drop_attrs(), same.drop_attrs())
    assert got.attrs["identifier"] == "test.this"
    xr.testing.assert_equal(
        average_repetitions(select(got, "IT", (70, 100))), average_repetitions(select(same, "IT", (70, 100)))
    )


def write_letters(path, **attributes):
    """As other programs write netCDF-3: presentations without limit, text as arrays of letters."""
    names = ["im0", "im10", "a"]
    with netcdf_file(path, "w", version=2) as file:
        file.createDimension("presentation", None)
        file.createDimension("neuroid", 2)
        file.createDimension("letters", 4)
        file.createVariable("stimulus_id", "c", ("presentation", "letters"))[:] = np.array(
            [list(name.ljust(4, "\0").encode()) for name in names], "u1"
        ).view("S1")
        file.createVariable("region", "c", ("neuroid", "letters"))[:] = np.array(
            [list("V4\0\0"), list("IT\0\0")], "S1"
        )
        file.createVariable("repetition", "i2", ("presentation",))[:] = [0, 1, 2]
        data = file.createVariable("x", "f4", ("presentation", "neuroid"))
        data[:] = np.array([[1, 2], [3, -99], [5, 9.969209968386869e36]], "f4")
        for name, value in attributes.items():
            setattr(data, name, value)
    return path


def test_letters_records_and_values_that_were_not_written(tmp_path):
    got = load_assembly(write_letters(tmp_path / "a.nc", _FillValue=np.float32(-99)))
    assert got.stimulus_id.values.tolist() == ["im0", "im10", "a"]
    assert got.region.values.tolist() == ["V4", "IT"]
    assert got.values[:2].tolist() == [[1, 2], pytest.approx([3, np.nan], nan_ok=True)]
    got = load_assembly(write_letters(tmp_path / "b.nc"))
    assert got.values.tolist() == [[1, 2], [3, -99], pytest.approx([5, np.nan], nan_ok=True)]
    assembly = make_assembly().fillna(9.969209968386869e36)
    assembly.encoding["_FillValue"] = None  # else xarray states NaN
    got = load_assembly(write_assembly(assembly, tmp_path / "c.nc"))
    assert np.isnan(got.values).sum() == np.isnan(make_assembly().values).sum() > 0


def test_netcdf_3_that_claims_more_than_it_holds(tmp_path):
    path = write_letters(tmp_path / "a.nc")
    whole = path.read_bytes()
    for length in np.linspace(4, len(whole) - 9, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(CornetError, match="cannot be read"):
            load_assembly(path)
    with netcdf_file(path, "w") as file:
        file.createDimension("presentation", 1000)
        for k in range(30):
            file.createVariable(f"c{k:02d}", "f8", ("presentation",))[:] = k
    content = path.read_bytes()
    with netcdf_file(path, mmap=False) as file:
        first = len(content) - 30 * 8000
    places = [(first + 8000 * k).to_bytes(4, "big") for k in range(30)]
    for place in places[1:]:
        assert content[:first].count(place) == 1
        content = content[:first].replace(place, places[0]) + content[first:]
    path.write_bytes(content[: first + 8000])
    with pytest.raises(CornetError, match="its variables declare 240,000 bytes, but it has"):
        load_assembly(path)


def test_cdf_5_and_single_letters_are_refused(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"CDF\x05" + bytes(100))
    with pytest.raises(CornetError, match="is CDF-5, which is not supported"):
        load_assembly(tmp_path / "a.nc")
    with netcdf_file(tmp_path / "b.nc", "w") as file:
        file.createDimension("presentation", 3)
        file.createVariable("side", "c", ("presentation",))[:] = np.array(list("abc"), "S1")
    with pytest.raises(CornetError, match="'side' has one letter for each presentation, not text"):
        load_assembly(tmp_path / "b.nc")


@pytest.mark.parametrize("compress", [False, True])
def test_further_groups_are_skipped_and_said(tmp_path, caplog, compress):
    """As brainio packages an assembly with `extras=`: each is appended as a group of its own."""
    path, assembly = tmp_path / "a.nc", make_assembly().assign_attrs(identifier="lab.Set2020")
    for group, mode in ((None, "w"), ("mask", "a"), ("reliability", "a")):
        dataset = assembly.to_dataset(name="data")
        encoding = {name: {"zlib": True, "complevel": 1} for name in dataset.variables} if compress else {}
        dataset.to_netcdf(path, mode=mode, group=group, engine="h5netcdf", encoding=encoding)
    got = load_assembly(path)
    xr.testing.assert_equal(got, assembly)
    assert got.attrs["identifier"] == "lab.Set2020"
    assert "skipping groups: mask, reliability" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f8", "S8"])
def test_a_small_file_with_many_unwritten_coordinates_takes_little_memory(tmp_path, dtype):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        size = 2**26 // np.dtype(dtype).itemsize
        for name, length in (("presentation", size), ("neuroid", 1)):
            file.create_dataset(name, (length,), "i1", chunks=True).make_scale(name)
        shapes = {"x": (size, 1)} | {f"c{k}": (size,) for k in range(26)}
        for name, shape in shapes.items():
            made = file.create_dataset(name, shape, "i1" if name == "x" else dtype, chunks=True)
            for place, scale in zip(made.dims, ("presentation", "neuroid"), strict=False):
                place.attach_scale(file[scale])
    assert path.stat().st_size < 40_000
    code = """
import resource, sys
import cornet.brain.data.bundle, xarray, h5netcdf
from cornet.brain.data.files.netcdf import load_assembly
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_assembly(sys.argv[1])
except cornet.errors.CornetError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    kilobytes, words = done.stdout.split(" ", 1)
    assert int(kilobytes) < 50_000
    assert "may be unwritten" in words or "would need" in words


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = write_assembly(make_assembly(), tmp_path / "a.nc")
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(CornetError, match=r"is not a netCDF file|cannot be read"):
            load_assembly(path)


def test_plain_hdf5_without_dimensions_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["x"] = np.ones((3, 2))
    with pytest.raises(
        CornetError, match="has the dimensions phony_dim_0, phony_dim_1, but must have presentation"
    ):
        load_assembly(tmp_path / "a.nc")


def test_there_must_be_one_data_variable(tmp_path):
    assembly = make_assembly()
    none = assembly.to_dataset(name="x").drop_vars("x")
    none.to_netcdf(tmp_path / "none.nc", engine="h5netcdf")
    with pytest.raises(CornetError, match="has no data variable, but needs one"):
        load_assembly(tmp_path / "none.nc")
    xr.Dataset({"x": assembly, "y": assembly}).to_netcdf(tmp_path / "two.nc", engine="h5netcdf")
    with pytest.raises(CornetError, match="has 2 data variables, such as 'x' and 'y', but must have one"):
        load_assembly(tmp_path / "two.nc")


def test_dimensions_and_ids_are_those_of_an_assembly(tmp_path):
    path = write_assembly(make_assembly().rename(presentation="trial"), tmp_path / "a.nc")
    with pytest.raises(
        CornetError, match=r"has the dimensions trial, neuroid, time_bin, but must have presentation"
    ):
        load_assembly(path)
    path = write_assembly(make_assembly().drop_vars("stimulus_id"), tmp_path / "b.nc")
    with pytest.raises(CornetError, match=r"has the coordinates object_name, .*, but stimulus_id along pres"):
        load_assembly(path)


def test_missing_folders_and_files_are_named(tmp_path):
    with pytest.raises(
        CornetError, match=r"the bundle .*nowhere does not exist; give a folder with stimulus_set.csv"
    ):
        load_assembly(tmp_path / "nowhere")
    with pytest.raises(CornetError, match=r"has no assembly; add assembly.nc or assy_\*.nc"):
        load_assembly(tmp_path)
    write_assembly(make_assembly(), tmp_path / "assembly.nc")
    write_assembly(make_assembly(), tmp_path / "assy_a.nc")
    with pytest.raises(
        CornetError, match=r"2 candidates for its assembly \(assembly.nc, assy_a.nc\); keep one"
    ):
        load_assembly(tmp_path)


def test_text_that_would_take_much_more_memory_than_its_file(tmp_path):
    """With a fill value xarray makes text of one length of it: the longest entry's room for all of them."""
    path = write_assembly(make_assembly(), tmp_path / "a.nc")
    with h5py.File(path, "r+") as file:
        for name, longest in (("short", 50), ("long", 300_000)):
            texts = np.array(["a"] * 200, object)
            texts[0] = "x" * longest
            made = file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
            made.attrs["_FillValue"] = ""
    with h5py.File(path) as file:
        assert text_problem({"short": file["short"]}) == ""
        assert text_problem(file).startswith(
            "has 'long' with a text of 300,000 bytes, which would need 240,000,000"
        )
    tracemalloc.start()
    with pytest.raises(CornetError, match="with a text of 300,000 bytes"):
        load_assembly(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_text_is_no_response(tmp_path):
    assembly = make_assembly()
    path = write_assembly(assembly.astype(str), tmp_path / "a.nc")
    with pytest.raises(
        CornetError, match=r"contains text along presentation, neuroid, .* responses must be numbers"
    ):
        load_assembly(path)
