"""Metamers: the golden steps and measures, what passes, and what cannot be made."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.synthesis.metamers import closeness, metamers, noise_images, passes, step_lengths
from tests.helpers.paths import GOLDEN
from tests.helpers.stimuli.formula_stage import draw, stage


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "metamers.npz") as file:
        return dict(file)


def pair(dtype=torch.float64):
    """Target and start of the golden."""
    target = torch.sigmoid(torch.from_numpy(draw("synthesis:target", (2, 3, 32, 32))).to(dtype))
    start = 0.05 * torch.from_numpy(draw("synthesis:start", (2, 3, 32, 32))).to(dtype) + 0.5
    return target, start.clamp(0, 1)


def test_equal_to_the_golden(golden):
    target, start = pair()
    states, lengths = stage(torch.float64), step_lengths(1.0, 10, 4)
    for steps in (1, 10, 40):
        found = metamers(states, target, start, lengths[:steps])
        np.testing.assert_allclose(found.images[:, :, ::4, ::4], golden[f"image_after_{steps}"], atol=1e-8)
    np.testing.assert_allclose(found.losses, golden["losses"], atol=1e-9)
    measured = closeness(states(found.images), states(target))
    for name, key in (("spearman", "spearman"), ("pearson", "pearson"), ("snr", "snr_db")):
        np.testing.assert_allclose(getattr(measured, name), golden[key], atol=1e-7)


def test_float32_follows(golden):
    target, start = pair(torch.float32)
    found = metamers(stage(torch.float32), target, start, step_lengths(1.0, 10, 4))
    np.testing.assert_allclose(found.losses, golden["losses"], atol=1e-3)


def test_a_batch_equals_single_runs():
    target, start = pair()
    states, lengths = stage(torch.float64), step_lengths(1.0, 3, 2)
    together = metamers(states, target, start, lengths)
    for k in range(2):
        alone = metamers(states, target[k : k + 1], start[k : k + 1], lengths)
        torch.testing.assert_close(alone.images[0], together.images[k], atol=1e-12, rtol=0)
    torch.testing.assert_close(noise_images(3, 8)[:2], noise_images(2, 8))
    assert step_lengths().shape == (24_000,)
    assert step_lengths()[[0, 2999, 3000, -1]].tolist() == [1, 1, 0.5, 1 / 128]


def test_metamers_pass_and_other_images_do_not():
    target, start = pair()
    states = stage(torch.float64)
    found = metamers(states, target, start, step_lengths(2.0, 20, 6))
    others = torch.rand(60, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    null = closeness(states(others[:30]), states(others[30:]))
    assert passes(closeness(states(found.images), states(target)), null).all()
    assert not passes(closeness(states(others[:2]), states(target)), null).any()
    assert not passes(null, null).any()


def test_equal_activations_and_few_units():
    same = torch.arange(40.0)[None]
    found = closeness(same, same)
    assert found.snr[0] == np.inf
    assert found.pearson[0] == pytest.approx(1)
    null = closeness(2 * same, same)  # the same ranks
    assert null.spearman[0] == pytest.approx(1)
    near = same + 0.01 * torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
    worse = closeness(same.flip(1) ** 2, same)
    assert passes(closeness(near, same), worse).all()  # 40 numbers: without Spearman's r
    silent = closeness(torch.zeros(1, 40), same)
    assert np.isnan(silent.pearson[0])
    assert not passes(silent, worse).any()


def test_what_cannot_be_made_is_refused():
    target, start = pair()
    with pytest.raises(CornetError, match="does not respond to target 0"):
        metamers(lambda images: 0 * images, target, start, step_lengths(1.0, 2, 1))
    with pytest.raises(CornetError, match="must both be"):
        metamers(stage(torch.float64), target, start[:1], step_lengths(1.0, 2, 1))
    with pytest.raises(CornetError, match="must be above 0"):
        step_lengths(1.0, 0)
    with pytest.raises(CornetError, match="the same images and units"):
        closeness(torch.zeros(2, 3), torch.zeros(2, 4))
