"""The norm that knows the time step."""

import copy

import pytest
import torch
from torch import nn

from cornet import CornetError
from cornet.models.cornet.norm import SteppedNorm, group_count


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 32), (512, 32), (16, 16), (38, 19), (10, 10), (67, 1), (96, 32)]
)
def test_group_count(channels, groups):
    assert group_count(channels) == groups


def filled(mode, steps=3, channels=4):
    """A norm whose weights differ, after training once on inputs whose size and mean grow with the step."""
    norm = SteppedNorm(channels, steps, mode).train()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    for step in range(steps):
        norm(torch.randn(64, channels, 5, 5) * (step + 1) + 10 * step, step)
    return norm


def test_per_step_owns_everything():
    norm = filled("per_step")
    assert len(list(norm.parameters())) == 6
    means = torch.stack([n.running_mean for n in norm.norms])
    torch.testing.assert_close(means, torch.tensor([[0.0], [1.0], [2.0]]).expand(3, 4), atol=0.2, rtol=0)
    assert [int(n.num_batches_tracked) for n in norm.norms] == [1, 1, 1]
    x = torch.randn(2, 4, 3, 3)
    for step in range(3):
        own = norm.norms[step].eval()
        expected = torch.nn.functional.batch_norm(x, own.running_mean, own.running_var, own.weight, own.bias)
        assert torch.equal(norm.eval()(x, step), expected)


def test_shared_is_one():
    norm = filled("shared")
    assert len(list(norm.parameters())) == 2
    assert int(norm.norms[0].num_batches_tracked) == 3
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(norm.eval()(x, 0), norm(x, 2))


@pytest.mark.parametrize("training", [True, False])
def test_shared_affine_shares_the_affine_part_only(training):
    norm = filled("shared_affine")
    plain = filled("per_step")
    assert len(list(norm.parameters())) == 2
    for own, other in zip(norm.norms, plain.norms, strict=True):
        own.running_mean, own.running_var = other.running_mean.clone(), other.running_var.clone()
        nn.init.ones_(other.weight).data.copy_(norm.norms[0].weight)
        nn.init.ones_(other.bias).data.copy_(norm.norms[0].bias)
    norm.train(training)
    plain.train(training)
    for step in range(4):
        x = torch.randn(8, 4, 3, 3) + step
        torch.testing.assert_close(norm(x, step), plain(x, step), rtol=0, atol=0)
    for own, other in zip(norm.norms, plain.norms, strict=True):
        assert torch.equal(own.running_var, other.running_var)
        assert torch.equal(own.num_batches_tracked, other.num_batches_tracked)
    x = torch.randn(2, 4, 3, 3)
    norm.eval()
    assert not torch.equal(norm(x, 0), norm(x, 1))


def test_shared_affine_stays_shared_through_copies_and_devices():
    norm = SteppedNorm(4, 3, "shared_affine")
    for other in (copy.deepcopy(norm), copy.deepcopy(norm).to("meta").to_empty(device="cpu")):
        assert len(list(other.parameters())) == 2
        assert list(other.state_dict()) == list(norm.state_dict())


def test_group_is_groupnorm():
    norm = SteppedNorm(64, 3, "group")
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(norm(x, 2), nn.GroupNorm(32, 64)(x))
    assert norm.static
    single = SteppedNorm(32, mode="group")(torch.randn(1, 32, 1, 1))  # F.group_norm refuses it
    torch.testing.assert_close(single, torch.zeros(1, 32, 1, 1), rtol=0, atol=1e-3)


@pytest.mark.parametrize("mode", ["per_step", "shared", "shared_affine", "group"])
def test_beyond_the_trained_steps(mode):
    norm = filled(mode).eval()
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(norm(x, 5), norm(x, 2))
    strict = SteppedNorm(4, 3, mode, later_steps="refuse").eval()
    strict(x, 2)
    with pytest.raises(CornetError, match="step 4 is later than the 3 trained steps"):
        strict(x, 3)


def test_published_constants():
    for mode in ("per_step", "shared", "shared_affine", "group"):
        for norm in SteppedNorm(64, 2, mode).norms:
            assert norm.eps == 1e-5
            assert mode == "group" or norm.momentum == 0.1
