"""i2n and i1 against the reference's values, and against loops written from the formulas."""

import statistics
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, pearsonr

from cornet import brain
from cornet.brain.data.trials import HumanTrials
from cornet.brain.metrics.choices.behaviour import human_i1, i1, i1_ceiling, i1_score, i2n, i2n_ceiling
from cornet.errors import CornetError
from tests.helpers.brain.behaviour_cases import drawn, golden_trials
from tests.helpers.brain.golden_comparisons import golden


def model():
    g = golden("behavior")
    return g["probabilities"], g["choices"], g["test_ids"]


@pytest.mark.parametrize("truth", [None, "test_truth"])
def test_i2n_gives_the_references_values(truth: str | None) -> None:
    g = golden("behavior")
    score = brain.i2n(*model(), golden_trials(), truth=None if truth is None else g[truth])
    np.testing.assert_allclose(score.values, g["i2n/raw"], rtol=0, atol=1e-12)
    assert score.raw == pytest.approx(float(g["i2n/score"]), abs=1e-12)
    assert score.error == pytest.approx(float(g["i2n/error"]), abs=1e-12)
    assert score.n == 96
    assert score.notes == (
        "skipped 129 of 2098 cells (all repetitions) that are undefined in the first half of the trials",
    )


def test_ceiling_gives_the_references_values_and_the_shown_scale_divides_per_repetition() -> None:
    g = golden("behavior")
    trials = HumanTrials(golden_trials())
    ceiling = brain.i2n_ceiling(trials)
    np.testing.assert_allclose(ceiling.values, g["i2n_ceiling/raw"], rtol=0, atol=1e-12)
    assert ceiling.raw == pytest.approx(float(g["i2n_ceiling/score"]), abs=1e-12)
    assert ceiling.error == pytest.approx(float(g["i2n_ceiling/error"]), abs=1e-12)
    shown = i2n(*model(), trials).with_ceiling(ceiling, "r/sqrt(c)")
    expected = np.mean(g["i2n/raw"] / np.sqrt(g["i2n_ceiling/raw"]))
    assert shown.value == pytest.approx(expected, abs=1e-12)
    assert shown.raw == pytest.approx(float(g["i2n/score"]), abs=1e-12)


def test_i1_gives_the_references_values() -> None:
    g = golden("behavior")
    values, ids = brain.i1(*model(), g["test_truth"])
    np.testing.assert_allclose(values, g["i1"], rtol=0, atol=1e-12)
    assert (ids == g["i1_ids"]).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(4, 14), st.integers(2, 5), st.integers(14, 120))
def test_equals_loops(seed: int, images: int, objects: int, trials: int) -> None:
    probabilities, choices, ids, truth, table = drawn(seed, images, min(objects, images), trials)
    score = i2n(probabilities, choices, ids, table, truth)
    ceiling = i2n_ceiling(table)
    simple = i1_score(probabilities, choices, ids, table, truth)
    own = {
        (i, d): probabilities[a, b] / (probabilities[a, b] + probabilities[a, list(choices).index(truth[a])])
        for a, i in enumerate(ids)
        for b, d in enumerate(choices)
        if d != truth[a]
    }
    shows = dict(zip(ids, truth, strict=True))
    plain = looped_dprime(own, shows)
    normalised = without_mean(plain, shows)
    rows = list(table.itertuples(index=False))
    random = np.random.RandomState(0)
    for repetition in range(2):
        order = list(range(len(rows)))
        random.shuffle(order)
        halves = [order[: len(order) // 2], order[len(order) // 2 :]]
        plain_first, plain_second = (looped_dprime(counted([rows[k] for k in h]), shows) for h in halves)
        first, second = without_mean(plain_first, shows), without_mean(plain_second, shows)
        same(score.values[repetition], correlation(normalised, first))
        same(ceiling.values[repetition], correlation(second, first))
        same(simple.values[repetition], correlation(averaged(plain), averaged(plain_first)))
    of_all, names = human_i1(table)
    expected = averaged(looped_dprime(counted(rows), shows))
    for value, name in zip(of_all, names, strict=True):
        same(value, expected.get(name, np.nan))


def counted(rows):
    """(image, distractor) -> share of trials in which the distractor was chosen."""
    alarms: dict = {}
    for row in rows:
        alarms.setdefault((row.stimulus_id, row.distractor), []).append(row.choice == row.distractor)
    return {cell: np.mean(values) for cell, values in alarms.items()}


def looped_dprime(alarms, shows):
    result = {}
    for (i, d), alarm in alarms.items():
        others = [fa for (j, e), fa in alarms.items() if shows[j] == d and e == shows[i]]
        if others:
            with np.errstate(invalid="ignore"):
                value = norm.ppf(1 - alarm) - norm.ppf(np.mean(others))
            if not np.isnan(value):
                result[i, d] = min(5.0, max(-5.0, value))
    return result


def without_mean(dprime, shows):
    return {
        (i, d): value - np.mean([v for (j, e), v in dprime.items() if e == d and shows[j] == shows[i]])
        for (i, d), value in dprime.items()
    }


def averaged(dprime):
    by_image: dict = {}
    for (i, _), value in dprime.items():
        by_image.setdefault(i, []).append(value)
    return {i: np.mean(values) for i, values in by_image.items()}


def correlation(source, target):
    cells = [c for c in target if c in source]
    a, b = [source[c] for c in cells], [target[c] for c in cells]
    if len(cells) < 2 or np.ptp(a) < 1e-12 or np.ptp(b) < 1e-12:
        return np.nan
    return pearsonr(a, b).statistic


def same(a: float, b: float) -> None:
    assert a == pytest.approx(b, abs=1e-9, nan_ok=True)


def test_order_of_images_and_columns_does_not_matter_and_further_choices_do_not_count() -> None:
    probabilities, choices, ids, truth, table = drawn(1, 24, 4, 600)
    score = i2n(probabilities, choices, ids, table)
    rows, columns = np.random.default_rng(2).permutation(24), [2, 0, 3, 1]
    wide = np.concatenate([probabilities[rows][:, columns] * 0.5, np.full((24, 1), 0.5)], axis=1)
    again = i2n(wide, [*choices[columns], "another object"], ids[rows], table, truth[rows])
    np.testing.assert_allclose(again.values, score.values, atol=1e-12)


def test_images_without_trials_take_part_in_the_models_own_dprime_only() -> None:
    probabilities, choices, ids, truth, table = drawn(3, 20, 4, 800)
    kept = table[table["stimulus_id"] != ids[5]]
    score = i2n(probabilities, choices, ids, kept, truth)
    assert score.n == 19
    assert np.isfinite(score.raw)
    with pytest.raises(CornetError, match=r"1 images, such as '.*', have no trials .* set truth"):
        i2n(probabilities, choices, ids, kept)


def test_a_model_that_knows_the_observers_scores_high_and_a_shuffled_one_zero() -> None:
    probabilities, choices, ids, _, table = drawn(4, 96, 8, 20_000)
    trials = HumanTrials(table)
    assert i2n(probabilities, choices, ids, trials).raw > 0.7
    assert i1_score(probabilities, choices, ids, trials).raw > 0.8
    shuffled = np.random.default_rng(0).dirichlet(np.ones(8), 96)
    assert abs(i2n(shuffled, choices, ids, trials).raw) < 0.15
    for ceiling in (i2n_ceiling(trials), i1_ceiling(trials)):
        assert 0.5 < ceiling.raw < 1


def test_cells_that_the_model_lacks_are_counted() -> None:
    probabilities, choices, ids, truth, table = drawn(5, 24, 4, 2_000)
    image, other = 0, np.flatnonzero(choices != truth[0])
    probabilities[image] = 0
    probabilities[image, other[0]] = 1.0  # against the others 0 / 0
    score = i2n(probabilities, choices, ids, table)
    assert np.isfinite(score.raw)
    assert "skipped 4 of 144 cells (all repetitions) that are undefined in the model" in score.notes


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_trials_give_nan_with_a_note(count: int) -> None:
    probabilities, choices, ids, truth, table = drawn(6, 8, 4, 40)
    few = table.iloc[:count]
    for score in (i2n(probabilities, choices, ids, few, truth), i2n_ceiling(few)):
        assert np.isnan(score.raw)
        assert any("2 of 2 repetitions" in note for note in score.notes)
        shown = score.with_ceiling(i2n_ceiling(few), "r/sqrt(c)")
        assert np.isnan(shown.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a.update(probabilities=a["probabilities"][:, :3]), "must be .image, choice., here .8, 4."),
        (lambda a: a.update(probabilities=a["probabilities"] * 2), "8 rows are not probabilities"),
        (lambda a: a.update(probabilities=a["probabilities"] * np.nan), "has sum nan"),
        (lambda a: a.update(probabilities=np.eye(8, 4) * 2 - 1), "are not probabilities"),
        (lambda a: a.update(choices=["a", "b", "c", "d"]), "the trials' object 'object 0' is not among"),
        (
            lambda a: a.update(choices=np.array(["object 0"] * 4)),
            "the choice 'object 0' occurs more than once",
        ),
        (
            lambda a: a.update(stimulus_ids=np.array(["s000"] * 8)),
            "the stimulus id 's000' occurs more than once",
        ),
        (
            lambda a: a.update(stimulus_ids=[f"x{k}" for k in range(8)]),
            "8 stimulus ids of the trials, such as 's000'",
        ),
        (lambda a: a.update(truth=a["truth"][:4]), "truth of shape .4,. does not match 8 images"),
        (lambda a: a.update(truth=["spoon"] * 8), "the object 'spoon' of 8 images is not among the choices"),
        (
            lambda a: a.update(truth=np.roll(a["truth"], 1)),
            "8 images differ in truth and in the trials' sample",
        ),
    ],
)
def test_bad_input_is_one_sentence(change, sentence: str) -> None:
    probabilities, choices, ids, truth, table = drawn(7, 8, 4, 60)
    arguments = {"probabilities": probabilities, "choices": choices, "stimulus_ids": ids, "trials": table}
    arguments["truth"] = truth
    change(arguments)
    with pytest.raises(CornetError, match=sentence) as caught:
        i2n(**arguments)
    assert "\n" not in str(caught.value)
    assert "np." not in str(caught.value)


def test_one_choice_is_refused() -> None:
    with pytest.raises(CornetError, match="choices has 1 object, but needs at least 2"):
        i1(np.ones((2, 1)), ["a"], ["x", "y"], ["a", "a"])


def test_quick_and_quicker_when_the_trials_are_kept() -> None:
    probabilities, choices, ids, _, table = drawn(8, 240, 24, 14_400)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        i2n(probabilities, choices, ids, table)
        i2n_ceiling(table)
        taken.append(time.perf_counter() - start)
    assert statistics.median(taken) < 0.2  # about 0.011 on an idle core; the reference takes 8 s


def test_numbers_as_ids_and_categorical_columns_are_read_too() -> None:
    probabilities, choices, ids, _, table = drawn(9, 12, 3, 300)
    score = i2n(probabilities, choices, ids, table)
    category = table.astype("category")
    assert i2n(probabilities, choices, ids, category).raw == score.raw
    number = dict(zip(np.sort(ids), range(10, 22), strict=True))
    numbered = table.assign(stimulus_id=table["stimulus_id"].map(number))
    assert i2n(probabilities, choices, pd.Series(ids).map(number), numbered).raw == score.raw
