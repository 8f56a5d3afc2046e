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


def test_tables_are_those_of_the_reference():
    with np.load(GOLDEN / "brainscore2026.npz") as file:
        models = [file[f"ctrsa/model_rdms_{k}"] for k in range(3)]
        tables = brain.rdms_over_time(models, file["ctrsa/brain_rdms"])
        for k, table in enumerate(tables):
            np.testing.assert_allclose(table, file[f"ctrsa/r_{k}"], atol=1e-12)


def test_square_rdms_and_what_does_not_match():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2, 9, 20))
    models = [[brain.rdm(one) for one in features]]
    brains = [[brain.rdm(one + 0.5 * rng.standard_normal((9, 20))) for one in features] for _ in range(3)]
    (table,) = brain.rdms_over_time(models, brains)
    assert table.shape == (2, 2)
    assert min(table[0, 0], table[1, 1]) > max(table[0, 1], table[1, 0])
    with pytest.raises(CornetError, match="brains of shape"):
        brain.rdms_over_time(models, brains[0][0])
    with pytest.raises(CornetError, match="layer 0 of shape"):
        brain.rdms_over_time([models[0][0][0]], brains)


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
