"""Human trials: what is counted, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from cornet.brain.data.trials import HumanTrials
from cornet.errors import CornetError
from tests.helpers.brain.behaviour_cases import drawn


def table(**columns) -> pd.DataFrame:
    plain = {
        "stimulus_id": ["b", "a", "b", "b"],
        "sample": ["dog", "car", "dog", "dog"],
        "distractor": ["car", "dog", "car", "cup"],
        "choice": ["car", "car", "dog", "cup"],
    }
    return pd.DataFrame({**plain, **columns})


def test_alarms_are_shares_of_the_trials_with_a_distractor() -> None:
    trials = HumanTrials(table())
    assert trials.stimulus_ids.tolist() == ["a", "b"]
    assert trials.objects.tolist() == ["car", "cup", "dog"]
    assert trials.objects[trials.truth].tolist() == ["car", "dog"]
    nan = np.nan
    np.testing.assert_array_equal(trials.alarms(), [[nan, nan, 0.0], [0.5, 1.0, nan]])
    np.testing.assert_array_equal(trials.alarms(np.array([0, 0, 3])), [[nan] * 3, [1.0, 1.0, nan]])
    assert len(trials) == 4


def test_order_of_rows_matters_to_the_halves_only() -> None:
    *_, rows = drawn(0, 12, 3, 500)
    trials, again = HumanTrials(rows), HumanTrials(rows.iloc[::-1].reset_index(drop=True))
    np.testing.assert_array_equal(trials.dprime(), again.dprime())
    assert not np.array_equal(trials.halves[0][0], again.halves[0][0], equal_nan=True)


@pytest.mark.parametrize(
    ("trials", "sentence"),
    [
        (
            table().drop(columns="choice"),
            "the trials have the columns stimulus_id, sample, distractor, but choice is required",
        ),
        (table().iloc[:0], "table of trials is empty"),
        (table(choice=["car", None, "dog", "cup"]), "1 trials have no choice"),
        (table(choice=["car", "nan", "dog", "cup"]), "1 trials have no choice"),
        (table(sample=["dog", "", "dog", "dog"]), "1 trials have no sample"),
        (table(stimulus_id=["b", None, "b", None]), "2 trials have no stimulus_id"),
        (
            table(distractor=["car", "car", "car", "cup"]),
            "1 trials have 'car' as both sample and distractor .* row 1",
        ),
        (
            table(choice=["car", "cup", "dog", "cup"]),
            "1 trials have a choice that was not offered .* row 1: cup, not car",
        ),
        (
            table(stimulus_id=["b", "b", "b", "b"]),
            "two values of sample for 1 of 1 stimuli, such as 'dog' and 'car' for 'b'",
        ),
    ],
)
def test_bad_trials_are_refused_in_one_sentence(trials: pd.DataFrame, sentence: str) -> None:
    with pytest.raises(CornetError, match=sentence) as caught:
        HumanTrials(trials)
    assert "\n" not in str(caught.value)
    assert "np." not in str(caught.value)
