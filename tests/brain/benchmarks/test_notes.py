"""Whatever a score leaves out is counted in its notes: in the score, in the command's output and in scores.csv."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from cornet import brain
from cornet.brain.benchmarks import Benchmark, TimesBenchmark, open_benchmarks, run_battery
from cornet.brain.data.public.kar2019 import SolutionTimeData
from cornet.brain.metrics.neural.registry import list_metrics
from cornet.brain.score import Score
from cornet.cli import app
from cornet.runs.scores import RunScores, read_scores
from tests.helpers.brain import drawn_bundle
from tests.helpers.brain.small_bundles import ids, make_zip, png, write_assembly
from tests.helpers.brain.solution_time_cases import made_up

STIMULI, NEUROIDS, REPETITIONS = 60, 8, 6
OBJECTS = np.array(["bear", "car", "face"])
TRUTH = np.tile(OBJECTS, STIMULI // 3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def features(width=12):
    return np.random.default_rng(1).standard_normal((STIMULI, width))


def responses(bins=1):
    """(presentation, neuroid, bin) in the order of stimuli and repetitions."""
    rng = np.random.default_rng(0)
    signal = (features() @ rng.standard_normal((12, NEUROIDS)))[:, None, :, None]
    noise = rng.standard_normal((STIMULI, REPETITIONS, NEUROIDS, bins))
    number = np.arange(STIMULI * REPETITIONS)
    return xr.DataArray(
        (signal + noise).reshape(len(number), NEUROIDS, bins),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "stimulus_id": ("presentation", ids(STIMULI)[number // REPETITIONS]),
            "repetition": ("presentation", number % REPETITIONS),
            "region": ("neuroid", ["V4"] * NEUROIDS),
            "time_bin_start": ("time_bin", 70 + 10 * np.arange(bins)),
            "time_bin_end": ("time_bin", 80 + 10 * np.arange(bins)),
        },
        name="responses",
    )


def two_choices(keep=lambda image: image >= 0):
    """Trials of people choosing between two objects."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, STIMULI, 4000)
    image = image[keep(image)]
    sample = TRUTH[image]
    distractor = np.array([rng.choice(OBJECTS[name != OBJECTS]) for name in sample])
    chosen = np.where(rng.random(len(image)) < 0.8, sample, distractor)
    coordinates = {"stimulus_id": ids(STIMULI)[image], "sample_obj": sample, "dist_obj": distractor}
    return along_presentation(chosen, coordinates)


def answers(observers=4):
    """Each observer's answers to all stimuli, right in three of four."""
    rng = np.random.default_rng(0)
    image = np.tile(np.arange(STIMULI), observers)
    chosen = np.where(rng.random(len(image)) < 0.75, TRUTH[image], rng.choice(OBJECTS, len(image)))
    subject = np.repeat([f"subject-{k}" for k in range(observers)], STIMULI)
    coordinates = {"stimulus_id": ids(STIMULI)[image], "subject": subject, "truth": TRUTH[image]}
    coordinates["condition"] = np.array(["edge", "line"])[image % 2]
    return along_presentation(chosen, coordinates)


def along_presentation(values, coordinates):
    coordinates = {name: ("presentation", each) for name, each in coordinates.items()}
    return xr.DataArray(values, coordinates, ("presentation",), "choices")


def write(folder, assembly=None, rdms=None, stimuli=STIMULI):
    folder.mkdir(parents=True)
    names = ids(stimuli)
    pd.DataFrame({"stimulus_id": names, "filename": [f"{i}.png" for i in names]}).to_csv(
        folder / "stimulus_set.csv", index=False
    )
    make_zip(folder / "stimuli.zip", 25)
    with zipfile.ZipFile(folder / "stimuli.zip", "a") as archive:
        for name in names[25:]:
            archive.writestr(f"{name}.png", archive.read("im00.png"))
    if assembly is not None:
        write_assembly(assembly, folder / "assembly.nc")
    else:
        np.savez(folder / "rdms.npz", stimulus_id=ids(STIMULI), **rdms)
    return folder


def record(folder, site=None, stimuli=STIMULI, **others):
    """A file of recorded features: V4 as they drive the responses, and the read-out's."""
    V4 = features() if site is None else site
    arrays = {"V4": V4, "readout": features() + 2 * (TRUTH[:, None] == OBJECTS[np.arange(12) % 3])} | others
    if extra := stimuli - STIMULI:
        arrays = {name: np.concatenate([one, one[:extra]]) for name, one in arrays.items()}
    np.savez(folder / "features.npz", stimulus_ids=ids(stimuli), **arrays)
    return str(folder / "features.npz")


def without(assembly, *places):
    """The assembly with NaN at (presentations, neuroids)."""
    for rows, columns in places:
        assembly.values[np.ix_(rows, columns)] = np.nan
    return assembly


EVERY = np.arange(NEUROIDS)
STIMULUS = np.arange(STIMULI * REPETITIONS) // REPETITIONS


def half_of_the_stimuli():
    return without(responses(), (np.flatnonzero(STIMULUS >= 30), EVERY))


def half_a_neuroid():
    return without(responses(), (np.flatnonzero(STIMULUS % 2 == 0), [2]))


def one_repetition_of_a_stimulus():
    return without(responses(), (np.flatnonzero(STIMULUS == 7)[1:], EVERY))


def a_presentation_twice():
    repetition = np.arange(STIMULI * REPETITIONS) % REPETITIONS
    repetition[5] = 4
    return responses().assign_coords(repetition=("presentation", repetition))


def presentations_without_number():
    return responses().drop_vars("repetition")


def an_empty_and_a_constant_neuroid():
    assembly = without(responses(), (np.arange(len(STIMULUS)), [0]))
    assembly.values[:, 1] = 3.0
    return assembly


def an_observer_with_one_answer():
    assembly = answers()
    names = assembly.coords["subject"].values.copy()
    names[0] = "subject-O"
    return assembly.assign_coords(subject=("presentation", names))


def answers_to_all_but_two_stimuli():
    assembly = answers()
    return assembly[~np.isin(assembly.coords["stimulus_id"].values, ids(2))]


def dissimilarities(*shape):
    array = np.random.default_rng(0).random((*shape, STIMULI, STIMULI))
    array = array + np.swapaxes(array, -1, -2)
    array[..., np.arange(STIMULI), np.arange(STIMULI)] = 0
    return array


def offset(size, dtype=np.float64):
    return (features() + size).astype(dtype)


def rank_three():
    rng = np.random.default_rng(2)
    return features(3) @ rng.standard_normal((3, 40))


def some_stimuli_all_alike():
    found = features()
    found[:4] = 1.5
    return found


CASES = {
    "half of the stimuli": (
        {"assembly": half_of_the_stimuli},
        30,
        "skipped 180 of 360 presentations without responses",
        "skipped 30 of 60 stimuli without responses",
    ),
    "half a neuroid": (
        {"assembly": half_a_neuroid},
        60,
        "skipped 180 of 2880 responses that are missing for some neuroids",
        "1 of 8 neuroids lack responses to some stimuli (30 of 480 responses) and are compared on the others",
    ),
    "missing in one half": (
        {"assembly": one_repetition_of_a_stimulus},
        60,
        "skipped 5 of 360 presentations without responses",
        "ceiling: skipped 10 of 600 pairs of split and stimulus without responses in one half",
    ),
    "a presentation twice": (
        {"assembly": a_presentation_twice},
        60,
        "averaged several presentations for 1 pairs of stimulus and repetition",
    ),
    "presentations without a number": (
        {"assembly": presentations_without_number},
        60,
        "averaged several presentations of the same repetition for 60 stimuli",
    ),
    "neuroids": (
        {"assembly": an_empty_and_a_constant_neuroid},
        60,
        "skipped 1 of 8 neuroids without responses",
        "skipped 1 of 8 neuroids with constant responses",
        "ceiling: skipped 2 of 8 neuroids without consistency",
    ),
    "stimuli never presented": (
        {"assembly": responses, "stimuli": 63},
        60,
        "skipped 3 of 63 stimuli that were never presented",
    ),
    "features of low rank": (
        {"assembly": responses, "site": rank_three},
        60,
        "used 3 of 25 components: the features have rank 3",
    ),
    "features that rounding made constant": (
        {"assembly": responses, "site": lambda: offset(1e9, np.float32)},
        60,
        "12 of 12 features of V4[0] vary less than float32 can resolve at their size (up to 1e+09)",
    ),
    "an image without trials": (
        {"assembly": lambda: two_choices(lambda image: image > 1)},
        58,
        "2 of 60 stimuli have no trials and are left out",
    ),
    "an observer with one answer": (
        {"assembly": an_observer_with_one_answer},
        60,
        "skipped 1 of 5 subjects ('subject-O'), who answered at most 1 stimuli, while another answered 60",
        "1 missing answers of the subjects count as wrong",
    ),
    "stimuli without answers": (
        {"assembly": answers_to_all_but_two_stimuli},
        58,
        "2 of 60 stimuli have no answers and are left out",
    ),
    "dissimilarities": (
        {"rdms": lambda: {"V4": dissimilarities(), "subjects_V4": dissimilarities(3, 2)}, "stimuli": 62},
        60,
        "averaged 2 dissimilarity matrices per subject",
        "used array subjects_V4, skipped V4",
        "2 of 62 stimuli have no dissimilarities and are left out",
    ),
    "stimuli without a dissimilarity": (
        {"rdms": lambda: {"V4": dissimilarities()}, "site": some_stimuli_all_alike},
        56,
        "4 of 60 stimuli have equal values of all features and are left out",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_exclusion_is_counted_in_the_score_the_command_and_the_table(case, tmp_path):
    given, n, *notes = CASES[case]
    stimuli = given.get("stimuli", STIMULI)
    made = {kind: given[kind]() for kind in ("assembly", "rdms") if kind in given}
    folder = str(write(tmp_path / "mine", **made, stimuli=stimuli))
    subject = record(tmp_path, given["site"]() if "site" in given else None, stimuli)
    (result,) = run_battery([brain.open_subject(subject)], open_benchmarks([folder]))
    assert result.score.n == n
    assert len(set(result.score.notes)) == len(result.score.notes)
    table = RunScores(tmp_path / "run")
    table.add([{"epoch": 1, "step": 1, **result.row()}])
    command = CliRunner().invoke(
        app, ["score", subject, "--on", folder, "--csv", str(tmp_path / "s.csv")], env={"COLUMNS": "1000"}
    )
    assert command.exit_code == 0
    shown = {
        "score": "; ".join(result.score.notes),
        "command": " ".join(command.output.split()),
        "table": read_scores(tmp_path / "run")["notes"].item(),
        "csv": pd.read_csv(tmp_path / "s.csv")["notes"].item(),
    }
    for place, text in shown.items():
        for note in notes:
            assert note in text, (place, note)


@pytest.mark.parametrize("metric", list_metrics())
def test_every_neural_metric_counts_the_same(metric, tmp_path):
    folder = str(write(tmp_path / "mine", half_of_the_stimuli()))
    (one,) = open_benchmarks([folder], metric=metric)
    score = one.run(brain.open_subject(record(tmp_path)))
    assert score.n == 30
    assert "skipped 30 of 60 stimuli without responses" in score.notes
    alone = brain.neural_metric(metric).score(features(), one.responses.mean, one.splits)
    assert "skipped 30 of 60 stimuli without responses" in alone.notes


def test_means_over_fewer_time_bins_are_counted(tmp_path):
    assembly = responses(bins=3)
    assembly.values[10:15, 2, 1] = np.nan
    (one,) = open_benchmarks([str(write(tmp_path / "mine", assembly))], time_bin=(70, 100))
    score = one.run(brain.open_subject(record(tmp_path)))
    assert "5 of 2880 responses are means over incomplete time bins" in score.notes


@pytest.mark.parametrize("again", [False, True])
def test_notes_outlive_the_cache(again, tmp_path):
    folder = str(write(tmp_path / "mine", one_repetition_of_a_stimulus()))
    for _ in range(1 + again):
        (one,) = open_benchmarks([folder])
        score = one.run(brain.open_subject(record(tmp_path)))
    assert any("ceiling: skipped 10 of 600 pairs" in note for note in score.notes)
    assert any("skipped 5 of 360 presentations" in note for note in score.notes)


def test_an_image_without_trials_in_one_half():
    data = two_choices()
    trials = pd.DataFrame(
        {name: data.coords[name].values for name in ("stimulus_id", "sample_obj", "dist_obj")}
    )
    trials = trials.rename(columns={"sample_obj": "sample", "dist_obj": "distractor"}).assign(
        choice=data.values
    )
    few = trials[trials["stimulus_id"] == "im05"].index[1:]
    human = brain.HumanTrials(trials.drop(few))  # im05 has one trial: in one half of each repetition
    missing = [
        sum(~np.isfinite(half[5]).any() for half in halves) for halves in zip(*human.halves, strict=True)
    ]
    p = np.random.default_rng(1).dirichlet(np.ones(3), STIMULI)
    for score in (brain.i2n(p, OBJECTS, ids(STIMULI), human), brain.i2n_ceiling(human)):
        first = any("undefined in the first half of the trials" in note for note in score.notes)
        assert first == (missing[0] > 0)
    ceiling = brain.i2n_ceiling(human)
    assert (
        sum("; 1 of 60 images have none" in note for note in ceiling.notes) == sum(m > 0 for m in missing) > 0
    )
    assert all(note.startswith("ceiling: ") for note in ceiling.notes)
    whole = brain.i2n_ceiling(brain.HumanTrials(trials))
    assert not whole.notes


def test_solution_times_count_what_has_none(tmp_path):
    data = made_up()
    stimuli = brain.load_stimuli(write(tmp_path / "mine", responses(), stimuli=200))
    said = SolutionTimeData(
        stimuli,
        data["labels"],
        np.asarray(data["threshold_i1"]),
        np.asarray(data["target_ost"]),
        ("2 images twice",),
    )
    one = TimesBenchmark("times", "", lambda: said)
    recording = {site: data["features"][site.step % 5] for site in one.sites(Steps())}
    score = one.compare(brain.Recording(stimuli.ids, recording), Steps())
    assert score.notes[0] == "2 images twice"
    assert "skipped 27 of 200 images without a solution time in the brain" in score.notes


class Steps:
    """IT with a step for each time bin."""

    def site(self, region, time_bin):
        return brain.Site(region, int(time_bin[0] - 70) // 10)


def test_layers_are_chosen_with_notes(tmp_path):
    bundle = brain.load_bundle(write(tmp_path / "mine", half_of_the_stimuli()))
    subject = brain.open_subject(record(tmp_path, still=np.ones((STIMULI, 2))))
    choice = brain.choose_layers(subject, bundle)
    again = brain.choose_layers(subject, bundle)
    for one in (choice, again):
        assert "skipped 30 of 60 stimuli without responses" in one.notes[0]
        assert one.notes[1:] == ("1 of 3 candidates have no score and are left out",)


def test_no_benchmark_can_go_around_the_notes():
    kinds = [Benchmark]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 5
    assert [kind for kind in kinds if "compare" in vars(kind)] == [Benchmark]


def test_a_sentence_stands_once():
    assert Score(raw=0.1, notes=("b", "c")).with_notes("a", "b").notes == ("a", "b", "c")


def test_equal_images_on_both_sides_of_a_split_are_counted(tmp_path):
    """A score that is too high because of them says so; grouped by the image, it does not."""
    folder = drawn_bundle.write(tmp_path / "mine", picture=np.arange(drawn_bundle.STIMULI) // 2)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for k, name in enumerate(ids(drawn_bundle.STIMULI)):
            archive.writestr(f"{name}.png", png(4 * (k // 2)))
    (benchmark,) = open_benchmarks([str(folder)])
    keys = np.arange(drawn_bundle.STIMULI) // 2
    rows = [int(name.removeprefix("im")) for name in benchmark.responses.stimulus_ids]
    shared = sum(int(np.isin(keys[rows][test], keys[rows][train]).sum()) for train, test in benchmark.splits)
    assert 30 < shared < 60
    (note,) = (one for one in benchmark.exclusions() if "show an image" in one)
    assert note.startswith(f"{shared} of 60 test stimuli show an image that is in the training set too")
    for options in ({"groups": "picture"}, {"metric": "cka"}):
        (other,) = open_benchmarks([str(folder)], **options)
        assert not any("show an image" in one for one in other.exclusions())
