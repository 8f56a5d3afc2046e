"""Blocks: stopped and continued gives the same bits, and states of other settings or damaged ones are not used."""

import numpy as np
import pytest
import torch

from cornet.synthesis.metameric.blocks import relative_loss, run_blocks
from cornet.synthesis.metamers import metamers, noise_images, step_lengths
from tests.helpers.stimuli.formula_stage import stage

LENGTHS = step_lengths(2.0, 3, 8).reshape(8, 3)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 32, 32, generator=generator), noise_images(3, 32)


def test_blocks_equal_one_search(images):
    target, start = images
    states = stage(torch.float32)
    made = run_blocks(states, target, start, LENGTHS)
    whole = metamers(states, target, start, LENGTHS.ravel())
    assert torch.equal(made.images, whole.images)
    np.testing.assert_allclose(made.losses[:-1], whole.losses[::3], rtol=1e-6)
    np.testing.assert_allclose(made.losses[-1], relative_loss(states, made.images, target))
    assert made.losses.shape == (9, 3)
    assert (made.losses[-1] < made.losses[0]).all()


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 5, 11])
def test_twice_four_blocks_equal_eight(images, after, tmp_path):
    """Stopped after some calls of `advance`, so also inside of a block, of which there are two batches."""
    target, start = images
    states, state = stage(torch.float32), tmp_path / "V1.npz"
    whole = run_blocks(states, target, start, LENGTHS, batch=2)
    calls = 0

    def stop(steps):
        nonlocal calls
        calls += 1
        if calls == after:
            raise Stopped

    with pytest.raises(Stopped):
        run_blocks(states, target, start, LENGTHS, batch=2, state=state, key="k", advance=stop)
    assert state.exists() == (after > 2)
    done = []
    again = run_blocks(states, target, start, LENGTHS, batch=2, state=state, key="k", advance=done.append)
    assert torch.equal(again.images, whole.images)
    np.testing.assert_array_equal(again.losses, whole.losses)
    assert again.resumed == (after - 1) // 2
    assert sum(done) == LENGTHS.size * 3  # the bar reaches its end
    finished = run_blocks(states, target, start, LENGTHS, batch=2, state=state, key="k", advance=stop)
    assert torch.equal(finished.images, whole.images)
    assert finished.resumed == 8


def test_first_four_blocks_then_eight(images, tmp_path):
    target, start = images
    states, state = stage(torch.float32), tmp_path / "V1.npz"
    run_blocks(states, target, start, LENGTHS[:4], state=state, key="k")
    again = run_blocks(states, target, start, LENGTHS, state=state, key="k")
    assert again.resumed == 4
    assert torch.equal(again.images, run_blocks(states, target, start, LENGTHS).images)


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"\x93NUMPY"])
def test_a_damaged_state_is_made_again(images, content, tmp_path):
    target, start = images
    state = tmp_path / "V1.npz"
    state.write_bytes(content)
    made = run_blocks(stage(torch.float32), target, start, LENGTHS[:2], state=state, key="k")
    assert made.resumed == 0
    assert made.losses.shape == (3, 3)


def test_a_state_of_other_settings_is_not_used(images, tmp_path):
    target, start = images
    state = tmp_path / "V1.npz"
    run_blocks(stage(torch.float32), target, start, LENGTHS[:2], state=state, key="k")
    assert run_blocks(stage(torch.float32), target, start, LENGTHS[:2], state=state, key="other").resumed == 0
    fewer = run_blocks(stage(torch.float32), target[:2], start[:2], LENGTHS[:2], state=state, key="other")
    assert fewer.resumed == 0
    shorter = run_blocks(stage(torch.float32), target[:2], start[:2], LENGTHS[:1], state=state, key="other")
    assert shorter.resumed == 0
