"""Our networks against the outputs of the published definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet.models import create_model, to_published
from cornet.models.cornet.published import published_names
from tests.helpers.models.golden_networks import golden_images, golden_network
from tests.helpers.paths import GOLDEN

LETTERS = ["z", "r", "rt", "s"]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "cornet.npz") as file:
        return dict(file)


def difference(ours, expected) -> float:
    """Relative difference: max |a - b| / max |expected|."""
    ours, expected = np.asarray(ours, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert ours.shape == expected.shape
    return np.abs(ours - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("letter", LETTERS)
def test_layout_is_the_published_one(letter, golden):
    with torch.device("meta"):
        state = to_published(create_model(f"cornet_{letter}"))
    assert list(state) == golden[f"{letter}/state_dict_keys"].tolist()
    assert [str(tuple(v.shape)) for v in state.values()] == golden[f"{letter}/state_dict_shapes"].tolist()


@pytest.mark.parametrize("letter", LETTERS)
def test_logits_and_every_area_at_every_step(letter, golden):
    net = golden_network(letter).eval()
    images = golden_images(int(golden[f"{letter}/size"]))
    with torch.no_grad():
        logits, states = net(images, return_states=True)
    assert difference(logits, golden[f"{letter}/logits"]) < 1e-5
    for area, state in states.items():
        expected = {key: golden[f"{letter}/{area}/{key}"] for key in ("mean", "std", "shape", "sample")}
        assert state.shape == (len(expected["mean"]), *expected["shape"])
        assert difference([s.double().mean() for s in state], expected["mean"]) < 1e-5
        assert difference([s.double().std() for s in state], expected["std"]) < 1e-5
        where = np.random.default_rng(0).integers(0, state[0].numel(), 64)
        assert difference(np.stack([s.flatten()[where] for s in state]), expected["sample"]) < 1e-5
    with torch.no_grad():
        exact = net.double()(images.double())
    assert difference(exact, golden[f"{letter}/logits_float64"]) < 1e-8


def train(letter, golden, dtype, steps):
    """SGD steps: losses, the first step's gradient norms, and the network. The last step only forward."""
    # Whichever is the faster.
    layout = torch.channels_last if (letter, dtype) == ("s", torch.float64) else torch.contiguous_format
    net = golden_network(letter, dtype).to(memory_format=layout).train()
    images = golden_images(int(golden[f"{letter}/train_size"]), 4, "trainimages").to(dtype)
    images = images.to(memory_format=layout)
    labels = torch.arange(4) * 7 % 1000
    # Fused: the same numbers without copies of all weights, which take longer than the network does.
    optimiser = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4, fused=True)
    names = published_names(net)
    losses, norms = [], {}
    for step in range(steps):
        loss = F.cross_entropy(net(images), labels)
        losses.append(loss.item())
        if step == steps - 1:
            break
        optimiser.zero_grad(set_to_none=False)
        loss.backward()
        if step == 0:
            norms = {
                names[key]: float(p.grad.double().square().sum().sqrt()) for key, p in net.named_parameters()
            }
        optimiser.step()
    return losses, norms, net


@pytest.mark.parametrize(
    "letter", [pytest.param(one, marks=[] if one == "z" else [pytest.mark.slow]) for one in LETTERS]
)
def test_five_steps_of_training_in_float64(letter, golden):
    losses, norms, net = train(letter, golden, torch.float64, steps=5)
    assert difference(losses, golden[f"{letter}/train_losses_float64"]) < 1e-8
    assert sorted(norms) == golden[f"{letter}/grad_keys"].tolist()
    assert difference([norms[k] for k in sorted(norms)], golden[f"{letter}/grad_norms_float64"]) < 1e-8
    if letter == "s":
        mean = net.areas["IT"].norm2.norms[1].running_mean[:64]
        variance = net.areas["V4"].norm3.norms[3].running_var[:64]
        assert difference(mean, golden["s/running_mean_IT.norm2_1_float64"]) < 1e-8
        assert difference(variance, golden["s/running_var_V4.norm3_3_float64"]) < 1e-8


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.slow  # trains at 224 pixels
def test_two_steps_of_training_in_float32(letter, golden):
    losses, norms, _ = train(letter, golden, torch.float32, steps=2)
    expected = golden[f"{letter}/train_losses"]
    assert abs(losses[0] - expected[0]) / expected[0] < 1e-5
    assert abs(losses[1] - expected[1]) / expected[1] < 5e-3
    tolerance = {"z": 1e-5, "r": 2e-3, "rt": 2e-3, "s": 1e-2}[letter]
    assert difference([norms[k] for k in sorted(norms)], golden[f"{letter}/grad_norms"]) < tolerance
