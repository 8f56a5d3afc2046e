"""The best layer and step of each bin: the reference, choice on other subjects, and what is wrong."""

import numpy as np
import pytest

from cornet import brain
from cornet.errors import CornetError
from tests.helpers.paths import GOLDEN


@pytest.mark.parametrize(("name", "baseline"), [("corrected", True), ("raw", False)])
def test_equal_to_the_reference(name, baseline):
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        given = {key.removeprefix("ctrsa/"): file[key] for key in file.files if key.startswith("ctrsa/")}
    tables = [given[f"r_{k}"] for k in range(3)]
    times = {"rate": float(given["sfreq"]), "before": float(given["before_onset"])}
    found = brain.best_steps_by_bin(tables, baseline=baseline, **times)
    for key, value in (
        *(("r", found.r), ("time", found.times), ("layer", found.layer)),
        *(("model_step", found.step), ("model_step_ratio", found.share)),
    ):
        np.testing.assert_allclose(value, given[f"{name}/{key}"], atol=1e-12)


def test_chosen_on_other_subjects_noise_is_zero():
    rng = np.random.default_rng(0)
    tables = [0.1 * rng.standard_normal((4, 400)) for _ in range(3)]
    others = [0.1 * rng.standard_normal((4, 400)) for _ in range(3)]
    assert brain.best_steps_by_bin(tables, baseline=False).r.mean() > 0.1
    assert abs(brain.best_steps_by_bin(tables, baseline=False, chosen_by=others).r.mean()) < 0.02


def test_what_is_wrong():
    one = np.zeros((3, 5))
    with pytest.raises(
        CornetError, match="layer 1 has 2 steps, of which the most steps of a layer, 3, are no multiple"
    ):
        brain.best_steps_by_bin([one, one[:2]])
    with pytest.raises(CornetError, match="all layers need the same bins"):
        brain.best_steps_by_bin([one, one[:, :4]])
    with pytest.raises(CornetError, match="one table"):
        brain.best_steps_by_bin([])
