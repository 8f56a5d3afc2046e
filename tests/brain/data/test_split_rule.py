"""How a bundle is split: what it states, what is asked for, what is nearly a column, and what is missing."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from cornet import CornetError
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.data.columns import categories, similar_names
from cornet.brain.metrics.splits import make_splits
from cornet.brain.subjects.open import open_subject
from tests.helpers.brain.drawn_bundle import STIMULI, Drawn, assembly, write
from tests.helpers.brain.small_bundles import ids

MOVIES = np.repeat([f"film {i}" for i in range(12)], STIMULI // 12)
OBJECTS = np.tile(["bear", "car", "face"], STIMULI // 3)
RANDOM = "10 splits, 90 % for training, at random"
GROUPED = "10 splits, 90 % for training, grouped by {}"
STRATIFIED = "10 splits, 90 % for training, stratified by {}"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def opened(folder, stated=None, **asked):
    if stated is not None:
        (folder / "bundle.json").write_text(stated if isinstance(stated, str) else json.dumps(stated))
    (one,) = open_benchmarks([str(folder)], **asked)
    return one


def test_a_bundle_that_states_nothing_has_a_note_of_its_rule(tmp_path):
    movie = opened(write(tmp_path / "a", movie=MOVIES, object_name=OBJECTS))
    assert movie.split_rule == GROUPED.format("movie")
    (note,) = [note for note in movie.run(Drawn()).notes if "bundle.json" in note]
    assert note.startswith(
        "splits are grouped by movie, since bundle.json sets no rule and this column exists"
    )
    assert "--groups or --stratify" in note
    random = opened(write(tmp_path / "b"))
    assert random.split_rule == RANDOM
    assert "there is no column movie or object_name" in " ".join(random.run(Drawn()).notes)


def test_a_column_of_the_assembly_counts_too(tmp_path):
    """As in the reference's files, whose assemblies hold what is known of the stimuli."""
    folder = write(tmp_path / "a")
    data = assembly()
    shown = pd.Series(MOVIES, ids(STIMULI))[data.stimulus_id.values].to_numpy()
    data.assign_coords(movie=("presentation", shown)).to_netcdf(folder / "assembly.nc", engine="h5netcdf")
    one = opened(folder)
    assert one.split_rule == GROUPED.format("movie")
    table = one.responses.table
    for train, test in one.splits:
        assert not {*table["movie"].iloc[train]} & {*table["movie"].iloc[test]}


@pytest.mark.parametrize(
    ("stated", "rule"),
    [
        ({"grouped_by": "scene"}, GROUPED.format("scene")),
        ({"stratified_by": "scene"}, STRATIFIED.format("scene")),
        ({"random": True}, RANDOM),
        ({"fixed_by": "side"}, "one fixed split, 48 for training, 12 for testing"),
        (
            {"train": ids(48).tolist(), "test": ids(60)[48:].tolist()},
            "one fixed split, 48 for training, 12 for testing",
        ),
    ],
)
def test_what_a_bundle_states_is_done(tmp_path, stated, rule):
    side = np.where(np.arange(STIMULI) < 48, "train", "test")
    one = opened(write(tmp_path / "a", movie=MOVIES, scene=OBJECTS, side=side), stated)
    score = one.run(Drawn())
    assert one.split_rule == rule
    assert np.isfinite(score.raw)
    assert not [note for note in score.notes if "bundle.json" in note]
    table = one.responses.table
    if "grouped_by" in stated:
        assert all(not {*table.scene.iloc[train]} & {*table.scene.iloc[test]} for train, test in one.splits)
    elif "stratified_by" in stated:
        expected = make_splits(STIMULI, stratify=table.scene.to_numpy())
        assert all(
            (a == b).all()
            for x, y in zip(one.splits, expected, strict=True)
            for a, b in zip(x, y, strict=True)
        )
    elif "random" not in stated:
        ((train, test),) = one.splits
        assert {*table.stimulus_id.iloc[train]} == {*ids(48)}
        assert {*table.stimulus_id.iloc[test]} == {*ids(60)[48:]}


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "must contain an object"),
        ("[" * 100_000, "cannot be read as JSON"),
        ({"group_by": "movie"}, "unknown key 'group_by'; did you mean 'grouped_by'?"),
        ({"colour": "movie"}, "unknown key 'colour'; choose one of grouped_by"),
        (
            {"grouped_by": "movies"},
            "no column 'movies' to split by; did you mean 'movie'?",
        ),
        (
            {"stratified_by": "weather"},
            "no column 'weather' to split by; choose one of stimulus_id",
        ),
        ({"grouped_by": ["movie"]}, "it must be a column name"),
        ({"grouped_by": " "}, "it must be a column name"),
        ({"random": False}, "it must be true"),
        (
            {"grouped_by": "movie", "stratified_by": "scene"},
            "has several rules, grouped_by and stratified_by",
        ),
        ({"fixed_by": "scene"}, "must contain only train, test"),
        ({"fixed_by": "gaps"}, "has no gaps in 20 of 60 rows (first: 'im00')"),
        ({"train": ["im00"]}, "has only one of train and test"),
        ({"train": "im00", "test": ["im01"]}, "it must be a list of strings"),
        (
            {"train": ids(59).tolist(), "test": ["im59"]},
            "leaves 59 presented stimuli for training and 1 for testing",
        ),
        ({"train": ids(60).tolist(), "test": []}, "leaves 60 presented stimuli for training and 0"),
        (
            {"train": ids(58).tolist(), "test": ["im59"]},
            "1 stimuli neither in train nor in test (first: 'im58')",
        ),
        ({"train": ids(60).tolist(), "test": ["im59"]}, "1 stimuli both in train and in test"),
        (
            {"train": ids(58).tolist(), "test": ["im58", "im59", "x"]},
            "that are missing from stimulus_set.csv (first: 'x')",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, stated, words):
    gaps = np.where(np.arange(STIMULI) < 20, "", "train")
    folder = write(tmp_path / "a", movie=MOVIES, scene=OBJECTS, gaps=gaps)
    with pytest.raises(CornetError) as error:
        opened(folder, stated)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pipe_in_the_place_of_the_statement_is_refused(tmp_path):
    folder = write(tmp_path / "a")
    os.mkfifo(folder / "bundle.json")
    with pytest.raises(CornetError, match=r"bundle.json cannot be read as JSON .*not a regular file"):
        opened(folder)


@pytest.mark.parametrize("asked", [{"groups": "scene"}, {"stratify": "scene"}])
def test_a_column_that_the_assembly_contradicts_is_refused(tmp_path, asked):
    folder = write(tmp_path / "a", scene=MOVIES)
    data = assembly()
    shown = pd.Series(np.roll(MOVIES, 1), ids(STIMULI))[data.stimulus_id.values].to_numpy()
    data.assign_coords(scene=("presentation", shown)).to_netcdf(folder / "assembly.nc", engine="h5netcdf")
    with pytest.raises(CornetError, match=r"gives two values of scene for .* of 60 stimuli"):
        opened(folder, **asked)


def test_what_is_asked_for_comes_first(tmp_path):
    folder = write(tmp_path / "a", movie=MOVIES, object_name=OBJECTS)
    assert opened(folder, groups="none").split_rule == STRATIFIED.format("object_name")
    assert opened(folder, groups="none", stratify="none").split_rule == RANDOM
    assert opened(folder, stratify="object_name").split_rule == STRATIFIED.format("object_name")
    assert opened(folder, groups="object_name").split_rule == GROUPED.format("object_name")
    one = opened(folder, {"grouped_by": "movie"}, groups="none")
    assert one.split_rule == RANDOM
    notes = " ".join(one.run(Drawn()).notes)
    assert "the rule in bundle.json (grouped_by = movie) was disabled by an option" in notes
    assert opened(folder, stratify="none").split_rule == GROUPED.format("movie")
    for asked, words in (
        ({"groups": "film"}, "no column 'film'"),
        ({"groups": "movie", "stratify": "object_name"}, "are mutually exclusive"),
        ({"groups": " "}, "is not a column name"),
        ({"ignore": [""]}, "must list coordinates"),
        ({"ignore": ["trial"]}, "ignore='trial' is not a presentation coordinate"),
    ):
        with pytest.raises(CornetError, match=words):
            opened(folder, **asked).prepare()
    with pytest.raises(CornetError, match="only apply to folders with a bundle"):
        open_benchmarks(["simulated.V1"], groups="movie")


def test_coordinates_to_be_ignored(tmp_path):
    folder = write(tmp_path / "a")
    data = assembly()
    trials = data.assign_coords(trial=("presentation", np.arange(data.sizes["presentation"])))
    plain = opened(folder).run(Drawn())
    trials.to_netcdf(folder / "assembly.nc", engine="h5netcdf")
    with pytest.raises(CornetError, match=r"set ignore=\['trial'\] \(--ignore trial\)"):
        opened(folder).prepare()
    assert opened(folder, ignore=["trial"]).run(Drawn()).raw == plain.raw
    assert opened(folder, {"ignore": ["trial"]}).run(Drawn()).raw == plain.raw


@pytest.mark.parametrize(
    "name",
    ["Movie", "movies", "MOVIE", "moive", "movie_id", "movieNumber", "source movie", "Object", "ObjectName"],
)
def test_a_column_that_is_nearly_right_is_refused(tmp_path, name):
    folder = write(tmp_path / "a", **{name: MOVIES})
    with pytest.raises(CornetError, match=f"but '{name}'; did you mean '(movie|object_name)'?"):
        opened(folder)
    assert opened(folder, {"grouped_by": name}).split_rule == GROUPED.format(name)
    (folder / "bundle.json").unlink()
    assert opened(folder, groups=name).split_rule == GROUPED.format(name)
    assert opened(folder, groups="none", stratify="none").split_rule == RANDOM


@pytest.mark.parametrize(
    "name", ["category", "frame", "size", "subject_name", "motive", "background_id", "filename2"]
)
def test_other_columns_are_not_near(tmp_path, name):
    assert opened(write(tmp_path / "a", **{name: MOVIES})).split_rule == RANDOM


@pytest.mark.parametrize("missing", [None, "", " ", "nan", "NA", "None", float("nan")])
def test_missing_values_are_no_category(tmp_path, missing):
    values = MOVIES.astype(object)
    values[7:10] = missing
    folder = write(tmp_path / "a", movie=values)
    with pytest.raises(CornetError, match=r"has no movie in 3 of 60 rows \(first: 'im07'\)"):
        opened(folder)
    with pytest.raises(CornetError, match=r"groups has no value in 3 of 60 rows \(first: row 7\)"):
        make_splits(STIMULI, groups=values)
    assert categories(MOVIES, "movie", "x").tolist() == MOVIES.tolist()


@pytest.mark.parametrize("missing", ["", "nan"])
def test_a_neuroid_without_a_region_makes_no_region(tmp_path, missing):
    folder = write(tmp_path / "a", assembly(("V4",) * 7 + (missing,)))
    with pytest.raises(CornetError, match="has no region in 1 of 8 rows"):
        opened(folder)


def test_near_names():
    assert similar_names(
        "object_name", ["objectName", "object_names", "subject_name", "object_name", "name"]
    ) == [
        "objectName",
        "object_names",
    ]
    assert similar_names("region", ["Region", "subregion", "regions", "version"]) == ["Region", "regions"]


def altered(shared_data, folder, change):
    """The real V1 bundle with another table."""
    source = shared_data / "henaff2021-V1-ay4_u001"
    folder.mkdir()
    for name in ("assembly.nc", "stimuli.zip"):
        shutil.copyfile(source / name, folder / name)
    change(pd.read_csv(source / "stimulus_set.csv")).to_csv(folder / "stimulus_set.csv", index=False)
    return folder


@pytest.mark.slow
def test_real_frames_of_one_movie_do_not_leak_silently(tmp_path, shared_data):
    pixels = open_subject("pixels")
    right = opened(altered(shared_data, tmp_path / "right", lambda table: table)).run(pixels)
    assert round(right.value, 3) == -0.003
    named = altered(shared_data, tmp_path / "named", lambda table: table.rename(columns={"movie": "Movie"}))
    with pytest.raises(CornetError, match="have no column 'movie' but 'Movie'; did you mean 'movie'"):
        opened(named)
    assert opened(named, {"grouped_by": "Movie"}).run(pixels).value == right.value
    gone = opened(altered(shared_data, tmp_path / "gone", lambda table: table.drop(columns="movie")))
    score = gone.run(pixels)
    assert round(score.value, 3) == 0.752
    assert any(
        "splits are random, since bundle.json sets no rule and there is no column movie" in n
        for n in score.notes
    )
