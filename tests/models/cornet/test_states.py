"""The states that networks return: whose they are, when the image reaches them, and that they are kept."""

import pytest
import torch

from cornet import CornetError, create_model
from cornet.models.cornet import unroll
from tests.helpers.models.named import CORNETS

AREAS = ["V1", "V2", "V4", "IT"]


@pytest.mark.parametrize("name", CORNETS)
def test_states_are_what_the_areas_put_out(name, monkeypatch):
    """Copies taken the moment an area is done equal the states returned at the end: nothing is in place."""
    net = create_model(name, num_classes=5, width=0.1)
    taken = {area: [] for area in AREAS}
    for area in AREAS:

        def step(drive, state, step, area=area, original=net.areas[area].step):
            before = None if state is None else state.clone()
            out = original(drive, state, step)
            assert state is None or torch.equal(state, before)
            taken[area].append(out.detach().expand(2, -1, -1, -1).clone())  # before the image: a batch of one
            return out

        monkeypatch.setattr(net.areas[area], "step", step)
    logits, states = net(torch.randn(2, 3, 48, 48), return_states=True)
    logits.sum().backward()
    for area in AREAS:
        assert torch.equal(states[area], torch.stack(taken[area]))
    kept = {area: state.detach().clone() for area, state in states.items()}
    net(torch.randn(2, 3, 48, 48), return_states=True)
    assert all(torch.equal(states[area], kept[area]) for area in AREAS)


@pytest.mark.parametrize("norm", ["group", "per_step", "shared", "shared_affine"])
@pytest.mark.parametrize("name", ["cornet_r", "cornet_rt", "cornet_s"])
def test_returning_states_changes_nothing(name, norm):
    """Neither the logits, nor the gradients, nor the running statistics."""
    images, found = torch.randn(3, 3, 64, 64), []
    for states in (False, True):
        torch.manual_seed(0)
        net = create_model(name, num_classes=5, width=0.1, norm=norm).train()
        logits = net(images, return_states=states)
        logits = logits[0] if states else logits
        logits.square().sum().backward()
        gradients = [p.grad for p in net.parameters()]
        found.append([logits.detach(), *gradients, *net.buffers()])
    for plain, recorded in zip(
        *found, strict=True
    ):  # a norm of a step that the logits never see has no gradient
        assert (plain is None and recorded is None) or torch.equal(plain, recorded)


@pytest.mark.parametrize("name", CORNETS)
def test_logits_are_the_decoded_last_state_of_it(name):
    net = create_model(name, num_classes=5, width=0.1).eval()
    logits, states = net(torch.randn(2, 3, 40, 40), return_states=True)
    torch.testing.assert_close(logits, net.decoder(states["IT"][-1].mean((2, 3))))


@pytest.mark.parametrize("name", CORNETS)
def test_first_driven_step(name):
    """Before that step the states of two images are equal, from it on they are not."""
    net = create_model(name, width=0.25).eval()
    expected = {"cornet_r": [0, 1, 1, 1], "cornet_rt": [0, 1, 2, 3]}.get(name, [0, 0, 0, 0])
    with torch.no_grad():
        _, states = net(torch.randn(2, 3, 96, 96), return_states=True)
    for area, first in zip(AREAS, expected, strict=True):
        assert net.first_driven_step(area) == first
        differs = [not torch.equal(one, other) for one, other in states[area]]
        assert differs == [step >= first for step in range(net.steps[area])]
    with pytest.raises(CornetError, match="area 'V3' is unknown; this network has V1, V2, V4, IT"):
        net.first_driven_step("V3")


def test_undriven_areas_put_out_a_constant_that_is_not_zero():
    net = create_model("cornet_rt", width=0.25).eval()
    torch.nn.init.ones_(net.areas["IT"].norm1.norms[0].bias)
    _, states = net(torch.randn(2, 3, 48, 48), return_states=True)
    assert torch.equal(states["IT"][0], torch.ones_like(states["IT"][0]))


def test_last_steps_that_nothing_reads_are_left_out(monkeypatch):
    """RT: V1 at the last step cannot reach IT any more. Where statistics are kept, every step runs."""
    calls = []
    for norm, training, expected in (("group", True, 14), ("per_step", True, 20), ("per_step", False, 20)):
        net = create_model("cornet_rt", width=0.1, norm=norm).train(training)
        calls.clear()
        for area in net.areas.values():
            original = area.step
            monkeypatch.setattr(area, "step", lambda *a, o=original: calls.append(0) or o(*a))
        net(torch.randn(2, 3, 48, 48))
        assert len(calls) == (expected if training else 14)


def test_more_steps_than_trained():
    images = torch.randn(2, 3, 48, 48)
    net = create_model("cornet_s", width=0.1).eval()
    _, trained = net(images, return_states=True)
    _, longer = net(images, return_states=True, times={"V4": 6})
    assert [len(state) for state in longer.values()] == [1, 2, 6, 2]
    assert torch.equal(longer["V4"][:4], trained["V4"])
    assert net.steps == {"V1": 1, "V2": 2, "V4": 4, "IT": 2}
    net = create_model("cornet_s", width=0.1, later_steps="refuse").eval()
    assert torch.equal(net(images, times={"V4": 4}), net(images))
    with pytest.raises(CornetError, match="step 5 is later than the 4 trained steps"):
        net(images, times={"V4": 6})
    with pytest.raises(CornetError, match="give at least 4"):
        create_model("cornet_rt", width=0.1)(images, times=3)


def test_unrolling_names():
    assert list(unroll.UNROLLS) == ["sequential", "cascade", "synchronous"]
