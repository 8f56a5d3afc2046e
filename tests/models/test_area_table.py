"""A row of the table of areas, and the steps that `times` names."""

import pytest

from cornet import CornetError
from cornet.models.area_table import Area, given_steps


def test_the_region_is_the_name_unless_stated():
    assert Area("V4", 4, 90, 50).region == "V4"
    assert Area("A", 4, 90, 50, region="V4").region == "V4"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("", 1, 50, 100), "an area has no name"),
        (("A", 0, 50, 100), "steps of area A=0 must be a whole number"),
        (("A", 1001, 50, 100), "steps of area A=1001 is too large"),
        (("A", 1, -1, 100), "onset_ms=-1 of area A must be 0 or more"),
        (("A", 1, float("inf"), 100), "onset_ms=inf of area A"),
        (("A", 1, 50, 0), "step_ms=0 of area A must be above 0"),
        (("A", 2, 50, 100, 2), "first_driven_step=2 of area A must be 0 to 1, as it runs 2 steps"),
        (("A", 2, 50, 100, -1), "first_driven_step=-1 of area A"),
    ],
)
def test_refused(row, message):
    with pytest.raises(CornetError) as caught:
        Area(*row)
    assert message in str(caught.value)


def test_given_steps():
    assert given_steps(3, ["A", "B"], ["B"]) == {"B": 3}
    assert given_steps(3, ["A", "B"], []) == {"A": 3, "B": 3}
    assert given_steps({"A": 2}, ["A", "B"], ["B"]) == {"A": 2}
    with pytest.raises(CornetError, match="times names C, but the areas are A, B"):
        given_steps({"C": 2}, ["A", "B"], [])
    with pytest.raises(CornetError, match=r"times\.A=0 must be a whole number"):
        given_steps({"A": 0}, ["A", "B"], [])
