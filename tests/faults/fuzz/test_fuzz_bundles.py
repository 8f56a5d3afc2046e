"""Malformed bundles: whatever is in their files, they are read, or refused in a sentence of ours, soon and in little
memory, and no other file is read in their name."""

import contextlib
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from cornet import brain
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.data.public.kar2019 import load_kar2019
from cornet.brain.data.rdm_bundle import load_rdms
from cornet.brain.data.trials import HumanTrials
from cornet.brain.subjects.recorded import RecordedSubject
from tests.helpers.brain.behaviour_assemblies import STIMULI, answers, choices
from tests.helpers.brain.kar2019_file import lines
from tests.helpers.brain.kar2019_file import write as write_kar2019
from tests.helpers.brain.small_bundles import write_assembly, write_bundle
from tests.helpers.faults.malformed import (
    EFFORT,
    NOT_FINITE,
    NUMBERS,
    TEXTS,
    damaged,
    fuzz,
    members,
    odd_table,
    odd_zip,
)
from tests.helpers.faults.odd_assemblies import CHANGES, TYPES, UNWRITTEN, alter
from tests.helpers.faults.watched import Watched

SECRET = b"root:x:0:0:secret of this machine"


@pytest.fixture(scope="module")
def watched():
    found = Watched()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", "/dev/null/none")  # what cannot be kept is made anew


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The files of sound bundles, by name."""
    folder = write_bundle(tmp_path_factory.mktemp("whole") / "bundle")
    write_assembly(choices(), folder / "choices.nc")
    write_assembly(answers(), folder / "answers.nc")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_bundle(folder: Path) -> None:
    """All that a comparison takes of a bundle."""
    bundle = brain.load_bundle(folder)
    show(bundle.stimuli)
    told = []
    for one in open_benchmarks([str(folder)]):
        for part in ("data", "responses"):
            told.append(getattr(one, part, None))
    told += [str(bundle.assembly.coords), str(bundle.assembly.attrs), bundle.name]
    if "neuroid" in bundle.assembly.dims:
        responses = bundle.responses()
        told += [responses.neuroid_ids, responses.table.to_csv(), responses.mean]
    if (
        SECRET.decode() in "\n".join(map(str, told))
        or float(SECRET[0]) in np.asarray(bundle.assembly.values).ravel()[:1]
    ):
        raise RuntimeError("another file was read")


def show(stimuli: Any) -> None:
    for k in range(len(stimuli)):
        stimuli.pictures[k]
    assert len(stimuli.identity) == 64


def read_dissimilarities(folder: Path) -> None:
    load_rdms(folder, ("V4", "IT"))


def read_features(folder: Path) -> None:
    subject = RecordedSubject(folder)
    for site in subject.sites():
        subject.site(site.layer)
    subject.readout_site()


def read_kar2019(folder: Path) -> None:
    data = load_kar2019(folder / "dataset.h5")
    data.stimuli.pictures[0]


def read_trials(folder: Path) -> None:
    columns = pd.read_csv(folder / "trials.csv", low_memory=False)
    trials = HumanTrials(columns)
    trials.i1()
    brain.i2n_ceiling(columns)


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


@EFFORT
def test_tables_of_stimuli(watched, whole, tmp_path, effort):
    rows = [line.split(",") for line in whole["stimulus_set.csv"].decode().split()]
    rows = [[*row, "degrees" if k == 0 else "8"] for k, row in enumerate(rows)]
    sound = {name: whole[name] for name in ("stimuli.zip", "assembly.nc")}

    def write(table: bytes, folder: Path) -> None:
        lay_out({**sound, "stimulus_set.csv": table}, folder)

    fuzz(effort, 8, odd_table(rows), watched, read_bundle, tmp_path / "mine", write)


@EFFORT
def test_archives_of_images(watched, whole, tmp_path, effort):
    sound = {name: whole[name] for name in ("stimulus_set.csv", "assembly.nc")}

    def write(archive: bytes, folder: Path) -> None:
        lay_out({**sound, "stimuli.zip": archive}, folder)

    fuzz(effort, 6, odd_zip(members(whole["stimuli.zip"])), watched, read_bundle, tmp_path / "mine", write)


@EFFORT
@pytest.mark.parametrize("which", ["assembly.nc", "choices.nc", "answers.nc"])
def test_bytes_of_assemblies(watched, whole, tmp_path, which, effort):
    sound = {name: whole[name] for name in ("stimulus_set.csv", "stimuli.zip")}

    def write(content: bytes, folder: Path) -> None:
        lay_out({**sound, "assembly.nc": content}, folder)

    fuzz(effort, 5, damaged(whole[which]), watched, read_bundle, tmp_path / "mine", write)


@EFFORT
@pytest.mark.parametrize("which", ["assembly.nc", "choices.nc"])
def test_structure_of_assemblies(watched, whole, tmp_path, which, effort):
    sound = {name: whole[name] for name in ("stimulus_set.csv", "stimuli.zip")}
    outside = tmp_path / "outside.nc"
    outside.write_bytes(whole["assembly.nc"])
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)

    def write(changes: list[tuple[Any, ...]], folder: Path) -> None:
        lay_out({**sound, "assembly.nc": whole[which]}, folder)
        for change in changes:
            with h5py.File(folder / "assembly.nc", "r+") as file, contextlib.suppress(*UNWRITTEN):
                alter(file, *change, outside, secret)

    one = st.tuples(
        st.sampled_from(CHANGES),
        st.integers(0, 20),
        st.sampled_from(TYPES),
        st.sampled_from(TEXTS),
        st.sampled_from((*NUMBERS, *NOT_FINITE)),
    )
    fuzz(effort, 12, st.lists(one, min_size=1, max_size=2), watched, read_bundle, tmp_path / "mine", write)


def arrays_of(**arrays: Any) -> dict[str, bytes]:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return members(out.getvalue())


def header(description: str) -> bytes:
    """An array's file that claims what it does not hold."""
    text = description.encode().ljust(246) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 64


HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 100000000), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 6), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 10000000000000), }",
    "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '<c16', 'fortran_order': True, 'shape': (2, 2), }",
    "{'descr': '|V8', 'fortran_order': False, 'shape': (6, 1), }",
    "(" * 90,
    "__import__('os').system('true')",
)


@st.composite
def odd_arrays(draw: Any, whole: dict[str, bytes]) -> bytes:
    """A .npz file with arrays of other types and shapes, headers that lie, and damage."""
    entries = dict(whole)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(entries)))
        kind = draw(st.sampled_from(("array", "array", "header", "objects", "gone", "name")))
        if kind == "array":
            shape = draw(
                st.sampled_from(((), (0,), (6,), (5,), (6, 6), (6, 0), (2, 6, 6), (1, 2, 3, 6, 6), (6, 6, 1)))
            )
            of = draw(
                st.sampled_from(("f2", "f4", "i8", "u1", "?", "U3", "S3", "c8", "M8[s]", "nan", "huge"))
            )
            array = (
                np.full(shape, {"nan": np.nan, "huge": 1e308}[of])
                if of in ("nan", "huge")
                else np.ones(shape).astype(of)
            )
            entries[name] = arrays_of(a=array)["a.npy"]
        elif kind == "header":
            entries[name] = header(draw(st.sampled_from(HEADERS)))
        elif kind == "objects":
            entries[name] = arrays_of(a=np.array([{}] * 6, object))["a.npy"]
        elif kind == "gone":
            del entries[name]
        else:
            entries[draw(st.sampled_from(TEXTS)).replace("\0", "") + ".npy"] = entries.pop(name)
        if not entries:
            break
    return draw(odd_zip(entries))


@EFFORT
def test_dissimilarities(watched, whole, tmp_path, effort):
    names = np.array([f"im{i:02d}" for i in range(STIMULI)])
    rdms = arrays_of(stimulus_id=names, IT=np.ones((2, 6, 6)) - np.eye(6), human_v4=np.ones((6, 6)))

    def write(content: bytes, folder: Path) -> None:
        lay_out(
            {name: whole[name] for name in ("stimulus_set.csv", "stimuli.zip")} | {"rdms.npz": content},
            folder,
        )

    fuzz(effort, 6, odd_arrays(rdms), watched, read_dissimilarities, tmp_path / "mine", write)


@EFFORT
def test_recorded_features(watched, tmp_path, effort):
    names = np.array([f"im{i:02d}" for i in range(STIMULI)])
    whole = {"stimulus_ids": names, "V4": np.ones((6, 4), "f4"), "IT[1]": np.ones((6, 2, 2), "f2")}

    def write(content: bytes, folder: Path) -> None:
        (folder / "features.npz").write_bytes(content)

    fuzz(effort, 6, odd_arrays(arrays_of(**whole)), watched, read_features, tmp_path / "mine", write)


@EFFORT
def test_tables_of_trials(watched, tmp_path, effort):
    found = choices()
    table = {
        "stimulus_id": found["stimulus_id"].values,
        "sample": found["sample_obj"].values,
        "distractor": found["dist_obj"].values,
        "choice": found.values,
    }
    rows = [list(table), *(list(map(str, row)) for row in zip(*table.values(), strict=True))]
    del rows[25:]

    def write(content: bytes, folder: Path) -> None:
        path = folder / "trials.csv"
        path.write_bytes(content)
        try:
            pd.read_csv(path, low_memory=False)
        except Exception:  # pandas' own, on the user's side
            path.write_text("stimulus_id\n")

    fuzz(effort, 8, odd_table(rows), watched, read_trials, tmp_path / "mine", write)


@EFFORT
@pytest.mark.slow  # writes many files
def test_file_of_solution_times(watched, tmp_path, effort):
    sound = write_kar2019(tmp_path / "sound.h5", lines(np.random.default_rng(0)), leave_out=("images",))
    small = sound.read_bytes()
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)

    def write(case: Any, folder: Path) -> None:
        path = folder / "dataset.h5"
        if isinstance(case, bytes):
            path.write_bytes(case)
            return
        path.write_bytes(small)
        with h5py.File(path, "r+") as file:
            file.create_dataset(
                "images", (1320, 3, 256, 256), "u1", chunks=(1320, 1, 64, 64), compression="gzip"
            )
            for change in case:
                with contextlib.suppress(*UNWRITTEN):
                    alter(file, *change, sound, secret)

    one = st.tuples(
        st.sampled_from(
            [kind for kind in CHANGES if kind not in ("reference", "enormous dimension", "more")]
        ),
        st.integers(0, 20),
        st.sampled_from(TYPES),
        st.sampled_from(TEXTS),
        st.sampled_from((*NUMBERS, *NOT_FINITE)),
    )
    cases = damaged(small) | st.lists(one, min_size=1, max_size=2)
    fuzz(effort, 4, cases, watched, read_kar2019, tmp_path / "mine", write)
