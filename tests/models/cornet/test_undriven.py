"""Steps that no image has reached: computed once, on a batch of one, as if on the whole batch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cornet import create_model
from cornet.models.cornet.norm import SteppedNorm

NETWORKS = ["cornet_r", "cornet_rt"]
NORMS = ["group", "per_step", "shared", "shared_affine"]


def whole_batch(net, images):
    """The definition, written out: every step of every area on the whole batch, states included."""

    def normalise(norm, x, step, first):
        part = norm.norms[min(step, len(norm.norms) - 1)]
        affine = norm.norms[0] if norm.mode == "shared_affine" else part
        if norm.mode == "group":
            return F.group_norm(x, part.num_groups, affine.weight, affine.bias, part.eps)
        own = net.training or step < first  # in training with the batch's own statistics
        return F.batch_norm(
            x, part.running_mean, part.running_var, affine.weight, affine.bias, own, 0, part.eps
        )

    lag = 1 if net.unroll == "synchronous" else 0
    outputs = {name: [] for name in net.areas}
    for step in range(net.steps["IT"]):
        for position, (name, area) in enumerate(net.areas.items()):
            first = net.first_driven_step(name)
            size = images.shape[-1] // 4 >> position
            if position and not step:
                drive = images.new_zeros(len(images), area.channels, size, size)
            else:
                below = outputs[list(net.areas)[position - 1]][step - lag] if position else images
                drive = F.relu(normalise(area.norm_input, area.conv_input(below), step, first))
            x = area.conv1(drive + outputs[name][-1] if step else drive)
            outputs[name].append(F.relu(normalise(area.norm1, x, step, first)))
    logits = net.decoder(outputs["IT"][-1].mean((2, 3)))
    return logits, {name: torch.stack(states) for name, states in outputs.items()}


def gradients(net, logits):
    net.zero_grad()
    logits.square().sum().backward()
    return {name: p.grad for name, p in net.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_those_of_the_whole_batch(name, norm, training):
    net = create_model(name, num_classes=5, width=0.1, norm=norm).double()
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d) and part.affine:
                nn.init.normal_(part.bias)
        for _ in range(3):  # running statistics that are not those of fresh norms
            net.train()(images)
    net.train(training)
    expected_logits, expected_states = whole_batch(net, images)
    expected = gradients(net, expected_logits)
    logits, states = net(images, return_states=True)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(states, expected_states, rtol=1e-10, atol=1e-12)
    logits = net(images)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-10, atol=1e-12)
    for key, found in gradients(net, logits).items():
        assert (found is None) == (expected[key] is None), key
        if found is not None:
            torch.testing.assert_close(found, expected[key], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_they_run_on_a_batch_of_one(name, monkeypatch):
    net = create_model(name, width=0.1)
    batches = {area: [] for area in net.areas}
    for area, module in net.areas.items():
        module.conv1.register_forward_hook(lambda m, i, out, area=area: batches[area].append(len(out)))
    net(torch.randn(4, 3, 32, 32), return_states=True)
    for area, found in batches.items():
        first = net.first_driven_step(area)
        assert found == [1] * first + [4] * (5 - first)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_the_weights_through_them(name):
    """The norms of step 0 act on the logits through undriven steps alone."""
    net = create_model(name, num_classes=5, width=0.1, norm="per_step")
    for area in ("V2", "V4", "IT"):  # a bias of zero would end at the ReLU
        nn.init.uniform_(net.areas[area].norm1.norms[0].bias, 0.1, 1.0)
    net(torch.randn(4, 3, 64, 64)).square().sum().backward()
    for area in ("V2", "V4", "IT"):
        assert net.areas[area].norm1.norms[0].bias.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [32, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "norm",
    ["per_step", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("shared", "shared_affine"))],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_training_leaves_evaluation_whole(name, norm, size):
    """After many steps with a moving network, evaluation is near training; no variance has decayed to nothing."""
    net = create_model(name, num_classes=5, width=0.1, norm=norm).train()
    images, labels = torch.randn(16, 3, size, size), torch.arange(16) % 5
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
    optimiser.param_groups[0]["lr"] = 0.0
    with torch.no_grad():
        for _ in range(40):
            net(images)
        trained, evaluated = F.cross_entropy(net(images), labels), F.cross_entropy(net.eval()(images), labels)
    assert evaluated < trained + 0.5 if norm != "shared" else evaluated < 10
    variances = [part.running_var for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    assert min(float(v.min()) for v in variances) > 1e-12


def test_undriven_maps_are_normalised_by_their_own_statistics_which_are_not_kept():
    norm, plain = SteppedNorm(4, 3, "per_step", first_driven=2), nn.BatchNorm2d(4)
    nn.init.normal_(plain.weight), nn.init.normal_(plain.bias)
    norm.norms[1].load_state_dict(plain.state_dict())
    x = torch.randn(1, 4, 5, 5)
    expected = plain(x.expand(6, -1, -1, -1))[:1]
    for training in (True, False):
        torch.testing.assert_close(norm.train(training)(x, 1), expected)
    assert torch.equal(norm.norms[1].running_mean, torch.zeros(4))
    assert norm.norms[1].num_batches_tracked == 0
    norm.train()(torch.randn(6, 4, 5, 5), 2)
    assert norm.norms[2].num_batches_tracked == 1
    pixel = norm(torch.randn(1, 4, 1, 1), 1)
    torch.testing.assert_close(pixel.flatten(), plain.bias)
