"""Hashes of values and of code: another content is another hash, whatever changed."""

import importlib
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from cornet import hashing
from cornet.hashing import code_version, digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(2000.0), np.arange(2000.0) + (np.arange(2000) == 1000)),  # differs where str() leaves out
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.zeros(2, "f4"), np.zeros(2, "i4")),
        (np.array(["ab", "c"]), np.array(["a", "bc"])),
        (np.array(["a", None], object), np.array(["a", "b"], object)),
        (["ab", "c"], ["a", "bc"]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (None, "None"),
        (1, True),
        (0.1, 0.1 + 1e-17 * 10),
        ((1, (2, 3)), (1, 2, 3)),
    ],
)
def test_other_values_have_another_digest(one, other):
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


def test_what_is_the_same_has_the_same_digest_in_every_process():
    values = ({"b": np.arange(3), "a": [1, 2.5, None]}, "text")
    assert digest(*values) == digest({"a": (1, 2.5, None), "b": np.arange(3)}, "text")
    strided = np.arange(6).reshape(2, 3).T
    assert digest(strided) == digest(np.ascontiguousarray(strided))
    code = (
        "from cornet.hashing import *; print(digest({'a': 'x'}), code_version('cornet.brain.metrics.splits'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True
    )
    assert done.stdout.decode() == f"{digest({'a': 'x'})} {code_version('cornet.brain.metrics.splits')}\n"


def test_what_has_no_content_is_refused():
    with pytest.raises(TypeError, match="object cannot be hashed"):
        digest([1, object()])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules and one beside it, in which each imports the next; written before this process."""
    files = {
        "hashed_pkg/__init__.py": "",
        "hashed_pkg/first.py": "from . import second\nfrom numpy import array\n",
        "hashed_pkg/second.py": "def late():\n    from .inner.third import VALUE\n    return VALUE\n",
        "hashed_pkg/inner/__init__.py": "",
        "hashed_pkg/inner/third.py": "import hashed_beside as beside\nVALUE = 1\n",
        "hashed_pkg/unused.py": "import json\n",
        "hashed_beside.py": "X = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1, 1))
    monkeypatch.syspath_prepend(tmp_path)
    hashing._installed.cache_clear()
    yield tmp_path
    hashing._installed.cache_clear()


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("hashed_pkg/first.py", True),
        ("hashed_pkg/second.py", True),
        ("hashed_pkg/inner/third.py", True),
        ("hashed_beside.py", True),
        ("hashed_pkg/unused.py", False),
    ],
)
def test_code_is_of_all_that_is_imported_and_of_nothing_else(package, name, matters):
    before = code_version("hashed_pkg.first")
    (package / name).write_text((package / name).read_text() + "Y = 2\n")
    os.utime(package / name, (1, 1))
    importlib.invalidate_caches()
    assert (code_version("hashed_pkg.first") != before) == matters
    found = hashing._sources(["hashed_pkg.first"])
    assert "numpy" in found
    assert not any(
        name.startswith("hashed_") and name in sys.modules for name in found
    )  # nothing was imported


def test_versions_of_other_packages_are_a_part(package, monkeypatch):
    before = code_version("hashed_pkg.first")
    monkeypatch.setattr(hashing, "_package_version", lambda name: "another version")
    assert code_version("hashed_pkg.first") != before


def test_a_file_changed_since_the_start_is_no_code_of_other_processes(package):
    """The process may still run what the file was: what it computes must not be taken for the new code's."""
    path = package / "hashed_beside.py"
    text = path.read_text() + "X = 2\n"
    path.write_text(text)
    here = code_version("hashed_pkg.first")
    assert code_version("hashed_pkg.first") == here
    os.utime(path, (1, 1))  # as a process that starts now sees it
    assert code_version("hashed_pkg.first") != here


def test_code_in_an_archive(package, tmp_path, monkeypatch):
    for text in ("Z = 1\n", "Z = 2\n"):
        with zipfile.ZipFile(tmp_path / f"{text[4]}.zip", "w") as archive:
            archive.writestr("zipped_pkg/__init__.py", "from zipped_pkg import part\n")
            archive.writestr("zipped_pkg/part.py", text)
    found = []
    for name in ("1.zip", "2.zip"):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / name)
            found.append(hashing._sources(["zipped_pkg"]))
    assert [one["zipped_pkg.part"] for one in found] == ["Z = 1\n", "Z = 2\n"]


def test_names_that_are_no_modules_count_nothing():
    assert code_version("no_such_package.at_all") == code_version()
