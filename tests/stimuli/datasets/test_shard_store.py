"""Room for fetched shards is made of those alone."""

import os
from pathlib import Path

import pytest

from cornet.errors import CornetError
from cornet.stimuli.datasets.shard_store import MARKER, ShardStore, SizeLimited

DIGEST = "0123456789abcdef"
ONE, TWO = f"train/chunk-0-0.{DIGEST}.bin", f"val/chunk-0-12.{DIGEST}.bin"


def stored(cache: Path, gigabytes: float) -> ShardStore:
    """A store with two fetched shards of 100 bytes."""
    store = ShardStore("s3://bucket/photographs", cache, gigabytes)
    for age, name in enumerate((ONE, TWO)):
        with store._lock(name):
            (store.base / name).write_bytes(bytes(100))
            os.utime(store.base / name, (1000 - age, 1000 - age))
    return store


def shards(store: ShardStore) -> list[str]:
    return sorted(path.relative_to(store.base).as_posix() for path in store.base.glob("*/chunk*.bin"))


def test_files_of_the_user_stay(tmp_path):
    store = stored(tmp_path, 0.0)
    others = [
        *(tmp_path / name for name in ("mine.bin", "deep/er/mine.bin", ONE, "cornet-shards/mine.bin")),
        *(
            store.base / name
            for name in ("mine.bin", "train/mine.bin", "train/chunk-0-0.bin", f"test/chunk-0-0.{DIGEST}.bin")
        ),
        store.base / f"{ONE}.bin",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    link = f"train/chunk-0-5.{DIGEST}.bin"
    (store.base / link).symlink_to(others[0])
    store._free_space(50)
    assert shards(store) == sorted(
        [f"test/chunk-0-0.{DIGEST}.bin", "train/chunk-0-0.bin", f"{ONE}.bin", link]
    )
    assert all(path.stat().st_size == 1000 for path in others)


def test_the_least_recently_used_goes_first(tmp_path):
    store = stored(tmp_path, 160e-9)
    store._free_space(50)
    assert shards(store) == [ONE]


def test_nothing_is_removed_from_a_folder_that_is_not_marked(tmp_path):
    store = stored(tmp_path, 0.0)
    (store.base / MARKER).unlink()
    store._free_space(50)
    assert len(shards(store)) == 2


def test_addresses_have_folders_of_their_own(tmp_path):
    one, two = (ShardStore(f"s3://bucket/{name}", tmp_path) for name in "ab")
    assert one.base != two.base
    assert one.base.parent == two.base.parent == tmp_path / "cornet-shards"
    assert ShardStore(tmp_path).base == tmp_path


@pytest.mark.parametrize("odd", ["pipe", "link", "folder"])
def test_something_else_in_the_place_of_a_shard(tmp_path, odd):
    store = stored(tmp_path, 0.0)
    path = store.base / ONE
    path.unlink()
    {"pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("/dev/zero"), "folder": path.mkdir}[
        odd
    ]()
    with pytest.raises(CornetError, match=f"{path} cannot be used"):
        store.item("train/chunk-0-0.bin", 0, 100, DIGEST)


def test_a_storage_without_end(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        limited = SizeLimited(file, 10)
        assert limited.write(bytes(10)) == 10
        with pytest.raises(ValueError, match="sent more than the maximum of 10 bytes"):
            limited.write(b"x")
