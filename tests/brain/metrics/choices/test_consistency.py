"""Error consistency against the reference's values, scikit-learn's kappa, and real observers."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cornet import brain
from cornet.brain.metrics.choices.consistency import choices_by_subject, error_consistency
from cornet.errors import CornetError
from tests.helpers.brain.golden_comparisons import golden


def test_gives_the_references_values() -> None:
    g = golden("error_consistency")
    score = brain.error_consistency(g["model_choice"], g["subject_choice"], g["truth"], g["condition"])
    assert score.raw == pytest.approx(float(g["score"]), abs=1e-12)
    assert score.ceiling == pytest.approx(float(g["ceiling"]), abs=1e-12)
    assert score.value == pytest.approx(float(g["score"] / g["ceiling"]), abs=1e-12)
    assert score.scale == "r/c"
    assert score.values.shape == (3,)
    assert score.n == 160


def test_is_importable_by_its_name_whatever_was_imported_before() -> None:
    assert callable(brain.error_consistency)
    assert callable(brain.choices_by_subject)


def kappa(a, b) -> float:
    """By scikit-learn; NaN where both are always right, or both always wrong."""
    if len(set(a)) == len(set(b)) == 1:
        return np.nan if set(a) == set(b) else 0.0
    return cohen_kappa_score(a, b)


def mean(values) -> float:
    values = [v for v in values if not np.isnan(v)]
    return float(np.mean(values)) if values else np.nan


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 12), st.floats(0.05, 1))
def test_equals_loops_over_subjects_and_conditions(
    seed: int, subjects: int, conditions: int, each: int, skill: float
) -> None:
    random = np.random.default_rng(seed)
    objects = np.array(["cat", "dog", "oven"])
    truth = random.choice(objects, conditions * each)
    condition = random.permutation(np.repeat(np.arange(conditions), each))
    answers = np.where(
        random.random((subjects + 1, len(truth))) < skill, truth, random.choice([*objects, "na"], len(truth))
    )
    answers[:, 0] = truth[0]  # at least one answer names an object
    score = error_consistency(answers[0], answers[1:], truth, condition)
    right = answers == truth

    def compared(i: int, j: int) -> float:
        return mean([kappa(right[i][condition == k], right[j][condition == k]) for k in range(conditions)])

    answered = (answers != "na").sum(axis=1)
    kept = [s for s in range(1, subjects + 1) if 2 * answered[s] >= answered[1:].max()]
    ours = [compared(0, s) for s in kept]
    theirs = [compared(s, t) for s, t in combinations(kept, 2)]
    np.testing.assert_allclose(score.values, ours, atol=1e-12)
    assert score.raw == pytest.approx(abs(mean(ours)), abs=1e-12, nan_ok=True)
    assert score.ceiling == pytest.approx(abs(mean(theirs)), abs=1e-12, nan_ok=True)
    defined = [v for v in ours if not np.isnan(v)]
    if defined:
        assert score.error == pytest.approx(np.std(defined) / len(defined) ** 0.5, abs=1e-12)
    undefined = int(np.isnan(score.details["kappa"]).sum())
    assert any(note.startswith(f"skipped {undefined} of") for note in score.notes) == (undefined > 0)


def test_the_absolute_value_comes_last() -> None:
    truth = ["a"] * 8
    model = list("aaaabbbb")
    opposite, alike = list("bbbbaaaa"), list("aaaabbbb")
    assert error_consistency(model, [opposite, opposite], truth).raw == 1.0
    assert error_consistency(model, [opposite, alike], truth).raw == 0.0
    assert error_consistency(model, [opposite, alike], truth).values.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("missing", ["", "na", "NaN", None, np.nan])
def test_no_answer_counts_as_wrong_and_is_counted(missing) -> None:
    truth = ["a", "a", "b", "b"]
    subjects = np.array([["a", "b", "b", missing], ["a", "b", "b", "a"]], dtype=object)
    score = error_consistency(["a", "a", "b", "a"], subjects, truth)
    assert score.values[0] == score.values[1]
    assert score.ceiling == 1.0
    assert "1 missing answers of the subjects count as wrong" in score.notes


def test_certain_agreement_is_undefined_and_counted() -> None:
    truth, condition = ["a", "a", "b", "b"], [0, 0, 1, 1]
    score = error_consistency(["a", "a", "b", "a"], [["a", "a", "b", "a"]], truth, condition)
    assert score.details["kappa"][0, 1] == 1.0
    assert np.isnan(score.details["kappa"][0, 0])
    assert score.raw == 1.0
    assert any(
        note.startswith("skipped 1 of 2 kappas between the model and a subject that are undefined")
        for note in score.notes
    )
    assert "no ceiling, because there is only one subject" in score.notes
    assert np.isnan(score.ceiling)
    assert np.isnan(score.value)
    assert np.isnan(error_consistency(truth, [truth, truth], truth).raw)


def test_whole_numbers_are_names_also_where_a_missing_one_made_them_fractions() -> None:
    truth = [0, 1, 2, 3]
    text = error_consistency(list("0120"), [["0", "1", "", "3"]], list("0123"))
    number = error_consistency([0, 1, 2, 0], [[0, 1, np.nan, 3]], truth)
    assert number.raw == text.raw


def test_presentations_become_a_table_of_answers() -> None:
    table, subjects, ids = choices_by_subject(["y", "x", "y"], ["s2", "s1", "s1"], ["cat", "dog", "na"])
    assert (table == [["dog", ""], ["", "cat"]]).all()
    assert subjects.tolist() == ["s1", "s2"]
    assert ids.tolist() == ["x", "y"]
    ordered, _, _ = choices_by_subject(["y", "x"], ["s", "s"], ["cat", "dog"], stimulus_ids=["z", "y", "x"])
    assert ordered.tolist() == [["", "cat", "dog"]]


def observers(shared_data):
    folder = shared_data / "geirhos2019-shape-behavior"
    stimuli = pd.read_csv(folder / "stimulus_set.csv")
    with xr.open_dataset(folder / "assembly.nc", engine="h5netcdf") as data:
        answers = data["geirhos2019.shape"].values
        table, _, _ = choices_by_subject(
            data.stimulus_id.values, data.subject.values, answers, stimuli.stimulus_id
        )
    return table, stimuli


def test_human_observers(shared_data) -> None:
    table, stimuli = observers(shared_data)
    guesses = np.random.default_rng(0).choice(stimuli.object_name.unique(), len(stimuli))
    score = error_consistency(guesses, table, stimuli.object_name, stimuli.condition)
    assert score.details["conditions"].tolist() == ["edge", "silhouette"]
    np.testing.assert_allclose(score.details["subject_accuracy"].mean(axis=0), [0.87125, 0.753125], atol=1e-9)
    np.testing.assert_allclose(score.details["ceiling_kappa"].mean(axis=0), [0.3184, 0.4757], atol=1e-3)
    assert score.ceiling == pytest.approx(0.3971, abs=1e-3)
    assert score.raw < 0.05  # guesses agree with nobody
    assert "56 missing answers of the subjects count as wrong" in score.notes
    one = error_consistency(table[0], table[1:], stimuli.object_name, stimuli.condition)
    assert one.raw == pytest.approx(0.364, abs=1e-3)


TRUTH = list("abab")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: error_consistency(list("aba"), [TRUTH], TRUTH),
            "model_choice of shape .3,. does not match 4",
        ),
        (
            lambda: error_consistency(TRUTH, TRUTH, TRUTH),
            "subject_choice of shape .4,. must be .subject, stimulus.",
        ),
        (lambda: error_consistency(TRUTH, [list("ab")], TRUTH), "subject_choice of shape .1, 2."),
        (
            lambda: error_consistency(TRUTH, [TRUTH], TRUTH, [1, 2]),
            "condition of shape .2,. does not match 4",
        ),
        (lambda: error_consistency(TRUTH, [TRUTH], ["a", "", "b", "a"]), "1 stimuli have no truth"),
        (
            lambda: error_consistency(list("wxyz"), [TRUTH], TRUTH),
            "the answers of the model, such as 'w', contain none",
        ),
        (lambda: error_consistency(TRUTH, [list("wxyz")], TRUTH), "the answers of the subjects"),
        (lambda: choices_by_subject(["x", "x"], ["s", "s"], ["a", "b"]), "1 presentations repeat a stimulus"),
        (
            lambda: choices_by_subject(["x"], ["s"], ["a"], ["y"]),
            "the stimulus 'x' is missing from the stimulus set with 1 stimuli",
        ),
        (lambda: choices_by_subject(["x"], ["s", "t"], ["a"]), "must be .presentation,., the same for all"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence: str) -> None:
    with pytest.raises(CornetError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "np." not in str(caught.value)


@pytest.mark.parametrize("missing", ["", "nan", None, float("nan")])
def test_a_missing_subject_or_condition_is_no_category(missing) -> None:
    subjects, conditions = np.array(["s1", missing, "s2"], object), np.array(["a", "b", missing], object)
    with pytest.raises(CornetError, match=r"has no subject in 1 of 3 rows \(first: row 1\)"):
        choices_by_subject(["x", "x", "x"], subjects, ["dog", "cat", "dog"])
    with pytest.raises(CornetError, match="has no condition in 1 of 3 rows"):
        error_consistency(["dog"] * 3, [["dog"] * 3], ["dog"] * 3, conditions)
