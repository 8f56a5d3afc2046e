"""The harmonisation loss in training: its value and gradients, silence without maps, precision, and mistakes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cornet import CornetError
from cornet.losses import Harmonisation, WeightPenalty
from cornet.losses.saliency_maps import (
    EPSILON_PEAK,
    harmonisation,
    pyramid_error,
    saliency,
    standardise_cut,
)
from cornet.models import create_model
from cornet.models.own_network import OwnNetwork
from cornet.stimuli.normalisation import pixel_scale
from cornet.stimuli.samples import Batch
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe
from tests.helpers.training.small_trainings import MEAN, STD, batches, fit

SETTINGS = {"epochs": 1, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant"}


def mapped(count=1, size=32, token=1.0):
    """Batches whose first half has maps."""
    generator = torch.Generator().manual_seed(2)
    found = []
    for batch in batches(count, size):
        maps = torch.rand(8, size, size, generator=generator) ** 4
        tokens = torch.tensor([token] * 4 + [0.0] * 4)
        found.append(batch._replace(targets={**batch.targets, "map": maps, "map_token": tokens}))
    return found


def network(name="cornet_z"):
    torch.manual_seed(0)
    return create_model(name, num_classes=5, width=0.125)


def learner(net=None, losses=None, **recipe):
    losses = {"harmonisation": Harmonisation(2.0)} if losses is None else losses
    return Learner(net or network(), Recipe(**{**SETTINGS, **recipe}), MEAN, STD, losses=losses)


def gradients(module, batch):
    module.zero_grad()
    loss, _, terms = module.loss(batch, batch.inputs)
    loss.backward()
    return {
        name: one.grad.clone() for name, one in module.net.named_parameters() if one.grad is not None
    }, terms


@pytest.mark.parametrize("name", ["cornet_z", "cornet_s", "cornet_rt"])
def test_equal_to_the_terms_computed_by_hand(name):
    module, (batch,) = learner(network(name)).double(), mapped()
    found, terms = gradients(module, batch)
    net = network(name).double().train()
    mean, std = pixel_scale(MEAN, STD, dtype=torch.float64)
    images = ((batch.inputs.double() - mean) / std).requires_grad_()
    logits, labels = net(images), batch.labels
    ours = saliency(logits, images, labels)
    term = harmonisation(ours, batch.targets["map"], batch.targets["map_token"])
    torch.testing.assert_close(terms["loss_harmonisation"], term, rtol=1e-9, atol=0)
    (F.cross_entropy(logits, labels) + 2 * term).backward()
    for key, one in net.named_parameters():
        if one.grad is not None:
            torch.testing.assert_close(found[key], one.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    """In float64, with a network without kinks."""
    torch.manual_seed(0)
    smooth = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.Softplus(), nn.Conv2d(4, 4, 3, 2), nn.Tanh(), nn.Flatten()
    )
    net = OwnNetwork(nn.Sequential(smooth, nn.Linear(4 * 49, 5)), 5)
    module, (batch,) = learner(net).double(), mapped()
    found, _ = gradients(module, batch)
    name, weight = "net.0.0.weight", net.net[0][0].weight
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(direction, alpha=sign * 1e-5)
        ends.append(float(module.loss(batch, batch.inputs)[0].detach()))
        with torch.no_grad():
            weight.sub_(direction, alpha=sign * 1e-5)
    # The loss takes the peak of the saliency, to which human maps are scaled, as a constant.
    slope = (ends[0] - ends[1]) / 2e-5
    with_peak = float((found[name] * direction).sum())
    assert slope == pytest.approx(with_peak + peak_slope(module, batch, weight, direction), rel=1e-5)


def peak_slope(module, batch, weight, direction):
    """What the loss changes through the scale of the human maps, which the published loss takes as a constant."""
    outputs = module.differentiable_outputs(batch.inputs)
    labels, maps, tokens = batch.labels, batch.targets["map"], batch.targets["map_token"]
    ours = saliency(outputs.predictions["label"], outputs.images, labels)
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight.add_(direction, alpha=step)
        moved = module.differentiable_outputs(batch.inputs)
        other = saliency(moved.predictions["label"], moved.images, labels)
        with torch.no_grad():
            weight.sub_(direction, alpha=step)
        values.append(float(fixed(ours, other, maps, tokens).detach()))
    return 2 * (values[0] - values[1]) / 2e-5


def fixed(ours, peak_of, maps, tokens):
    """The harmonisation of `ours` with human maps that are scaled to the peak of another saliency."""
    z, human = standardise_cut(ours), standardise_cut(maps.double())
    target = standardise_cut(peak_of).amax(dim=(-2, -1), keepdim=True) + EPSILON_PEAK
    return pyramid_error(
        z, human / (human.amax(dim=(-2, -1), keepdim=True) + EPSILON_PEAK) * target, tokens.double()
    )


def test_without_maps_gradients_are_those_of_plain_training():
    (batch,) = mapped(token=0.0)
    plain, _ = gradients(learner(losses={}), batch)
    harmonised, terms = gradients(learner(), batch)
    assert terms["loss_harmonisation"] == 0
    assert all(torch.equal(plain[name], harmonised[name]) for name in plain)


def test_it_is_computed_in_full_precision():
    (batch,) = mapped()
    _, full = gradients(learner(network("cornet_s")), batch)
    module = learner(network("cornet_s"), precision="bf16-mixed")
    with torch.autocast("cpu", torch.bfloat16):
        _, terms = gradients(module, batch)
    assert torch.equal(full["loss_harmonisation"], terms["loss_harmonisation"])


class Attending(nn.Module):
    """Patches, fused attention, and a ReLU in place."""

    def __init__(self):
        super().__init__()
        self.patch, self.relu, self.out = nn.Conv2d(3, 8, 8, 8), nn.ReLU(inplace=True), nn.Linear(8, 5)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = self.relu(F.scaled_dot_product_attention(x, x, x))
        return self.out(x.mean(1))


def test_fused_attention_and_activations_in_place():
    torch.manual_seed(0)
    found, terms = gradients(learner(OwnNetwork(Attending(), 5)), mapped()[0])
    assert terms["loss_harmonisation"] > 0
    assert found["net.patch.weight"].abs().max() > 0


def blobs(count, size=32):
    """Batches of bright and dark blobs at random places, of which the maps are the places."""
    rng, places = np.random.default_rng(0), np.arange(size)
    found = []
    for _ in range(count):
        y, x, label = rng.uniform(8, 24, (8, 1)), rng.uniform(8, 24, (8, 1)), rng.integers(0, 2, 8)
        rows, columns = (np.exp(-((places - centre) ** 2) / 18) for centre in (y, x))
        maps = rows[:, :, None] * columns[:, None]
        grey = 128 + 100 * maps * np.where(label, 1, -1)[:, None, None] + rng.normal(0, 5, maps.shape)
        pixels = torch.from_numpy(grey.clip(0, 255).astype(np.uint8))[:, None].expand(-1, 3, -1, -1)
        targets = {
            "label": torch.from_numpy(label),
            "map": torch.from_numpy(maps).float(),
            "map_token": torch.ones(8),
        }
        found.append(Batch(pixels, targets, torch.arange(8)))
    return found


@pytest.mark.slow
def test_training_brings_it_down_and_logs_it():
    module = learner(losses={"harmonisation": Harmonisation(1.0)}, learning_rate=0.02, epochs=20, clip=2.0)
    train = blobs(4)
    before = float(module.loss(train[0], train[0].inputs)[2]["loss_harmonisation"].detach())
    trainer = fit(module, train)
    assert "train/loss_harmonisation" in trainer.logged_metrics
    assert (
        float(module.train().loss(train[0], train[0].inputs)[2]["loss_harmonisation"].detach()) < before / 2
    )


def test_maps_are_resized_with_the_images():
    module, (batch,) = learner(sizes=[[16, 1]], epochs=2), mapped()
    inputs = F.interpolate(batch.inputs.float(), (16, 16), mode="bilinear", antialias=True)
    assert module.loss(batch, inputs)[2]["loss_harmonisation"] > 0


def test_weight_penalty():
    net = network("cornet_s")
    module = learner(net, {"penalty": WeightPenalty(0.1)})
    norms = {id(p) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    expected = sum(p.square().sum() for p in net.parameters() if id(p) not in norms) / 2
    batch = batches(1)[0]
    torch.testing.assert_close(module.loss(batch, batch.inputs)[2]["loss_penalty"], expected)
    assert len(norms) > 5
    net.requires_grad_(False)
    assert module.loss(batch, batch.inputs)[2]["loss_penalty"] == 0


class Source:
    name, maps = "plain", False


def test_mistakes():
    with pytest.raises(CornetError, match=r"which plain does not have; use data=imagenet_clickme"):
        Harmonisation().attach(None, Source())
    (batch,) = mapped()
    module = learner()
    small = batch._replace(targets={**batch.targets, "map": batch.targets["map"][:, :16]})
    with pytest.raises(CornetError, match=r"maps of shape \(8, 16, 32\) do not match images of shape"):
        module.loss(small, small.inputs)
    with pytest.raises(CornetError, match="the batch has no target 'map', but label"):
        module.loss(batches(1)[0], batch.inputs)
    module = learner(losses={"harmonisation": Harmonisation(head="category")})
    with pytest.raises(CornetError, match="reads the class logits 'category', but the task predicts label"):
        module.loss(batch, batch.inputs)
    with pytest.raises(
        CornetError, match=r"map_token is 0 for all\), so the harmonisation loss learns nothing"
    ):
        fit(learner(), mapped(13, token=0.0))
    fit(learner(), mapped(2, token=0.0))  # the rest of an epoch may have none by chance
    with pytest.raises(CornetError, match="levels"):
        Harmonisation(levels=0)


@pytest.mark.longest  # compiles
def test_a_compiled_network_trains_uncompiled():
    (batch,) = mapped()
    plain, _ = gradients(learner(network("cornet_s")), batch)
    module = learner(network("cornet_s"), compile=True)
    found, _ = gradients(module, batch)
    assert all(torch.equal(plain[name], found[name]) for name in plain)
    with torch.no_grad():
        module(batch.inputs)  # the compiled network is still used elsewhere
    assert module.net.compiled
