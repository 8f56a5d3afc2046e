"""Arrays kept on disk: found again, made again where they are damaged, never a half of them."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from cornet.brain.cache import cached_arrays, file_hash

KEY = {"assembly": "abc", "region": "IT", "time_bin": [70.0, 170.0], "version": 1}
ARRAYS = {
    "mean": np.arange(12.0).reshape(3, 4),
    "ids": np.array(["a", "bb"]),
    "repetitions": np.full((2, 3), np.nan, np.float32),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "responses"


class Compute:
    """Gives the arrays and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return ARRAYS


def assert_same(arrays) -> None:
    assert {*arrays} == {*ARRAYS}
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_the_second_call_reads(folder):
    compute = Compute()
    for _ in range(3):
        assert_same(cached_arrays("responses", KEY, compute))
    assert compute.calls == 1
    assert [path.suffix for path in folder.iterdir()] == [".npz"]  # and nothing left aside


@pytest.mark.parametrize(
    "change", [{"assembly": "abd"}, {"region": None}, {"time_bin": [70, 171]}, {"version": 2}]
)
def test_another_key_is_another_result(change):
    compute = Compute()
    cached_arrays("responses", KEY, compute)
    cached_arrays("responses", KEY | change, compute)
    cached_arrays("halves", KEY, compute)
    assert compute.calls == 3


def test_a_truncated_entry_is_made_again(folder):
    compute = Compute()
    cached_arrays("responses", KEY, compute)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for length in range(0, len(whole), 29):
        path.write_bytes(whole[:length])
        calls = compute.calls
        assert_same(cached_arrays("responses", KEY, compute))
        assert compute.calls == calls + 1
    assert path.read_bytes()[-22:] == whole[-22:]


@pytest.mark.slow  # reads many files
def test_any_flipped_byte_gives_the_arrays(folder):
    compute = Compute()
    cached_arrays("responses", KEY, compute)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        data = bytearray(whole)
        data[position] ^= 0x55
        path.write_bytes(bytes(data))
        assert_same(cached_arrays("responses", KEY, compute))
    assert compute.calls > len(whole) / 6


def test_an_entry_under_a_wrong_name_is_not_taken(folder):
    cached_arrays("responses", KEY, Compute())
    (path,) = folder.iterdir()
    other = KEY | {"region": "V4"}
    cached_arrays("responses", other, lambda: {"mean": np.zeros(1)})
    for entry in folder.iterdir():
        entry.write_bytes(path.read_bytes())
    assert cached_arrays("responses", other, lambda: {"mean": np.zeros(1)})["mean"].shape == (1,)


def test_a_pickle_in_the_place_of_an_entry_is_not_read(folder):
    cached_arrays("responses", KEY, Compute())
    (path,) = folder.iterdir()
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    assert_same(cached_arrays("responses", KEY, Compute()))


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "file"))
    compute = Compute()
    for _ in range(2):
        assert_same(cached_arrays("responses", KEY, compute))
    assert compute.calls == 2


def test_arrays_of_objects_are_refused():
    with pytest.raises(TypeError, match="object arrays cannot be cached"):
        cached_arrays("responses", KEY, lambda: {"table": np.array([{}], object)})


def _in_process(number: int) -> bool:
    arrays = cached_arrays("responses", {"number": number % 3}, lambda: {"x": np.full(20_000, number % 3)})
    return bool((arrays["x"] == number % 3).all())


def test_many_processes_at_once(folder):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.map(_in_process, range(60), chunksize=1))
    assert len(list(folder.iterdir())) == 3


def test_a_file_that_changed_has_another_hash(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = file_hash(path)
    assert file_hash(path) == first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_hash(path) != first
