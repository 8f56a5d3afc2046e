"""How many unreadable files are too many."""

import pytest

from cornet.errors import CornetError
from cornet.stimuli.datasets.bad_files import BadFiles


def test_a_file_counts_once() -> None:
    bad = BadFiles({"train": 100, "val": 50})
    for _ in range(20):
        bad.add("train", ["cat/a.jpg", "cat/b.jpg"])
        bad.check()
    bad.add("val", [])
    assert bad.summary() == "2 of the 100 images of train could not be read: cat/a.jpg, cat/b.jpg"


def test_nothing_to_say() -> None:
    bad = BadFiles({"train": 100})
    bad.check()
    assert bad.summary() == ""


@pytest.mark.parametrize(("size", "allowed"), [(100, 10), (10_000, 10), (50_000, 50), (1_281_167, 1281)])
def test_limit(size: int, allowed: int) -> None:
    bad = BadFiles({"train": size, "val": 10})
    bad.add("train", (f"/data/train/cat/{i:05d}.jpg" for i in range(allowed)))
    bad.check()
    bad.add("train", ["/data/train/dog/last.jpg"])
    with pytest.raises(
        CornetError, match=f"{allowed + 1} of the {size} images of train .* at most {allowed}"
    ) as error:
        bad.check()
    assert "cat/00000.jpg, cat/00001.jpg, cat/00002.jpg, ..." in str(error.value)
    assert "replace or remove" in str(error.value)


def test_splits_are_counted_apart() -> None:
    bad = BadFiles({"train": 100, "val": 100})
    bad.add("train", [f"{i}.jpg" for i in range(8)])
    bad.add("val", [f"{i}.jpg" for i in range(8)])
    bad.check()
    assert len(bad.summary().splitlines()) == 2
