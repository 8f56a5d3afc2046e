"""Stages and fitted mappings are accepted by plenoptic, which synthesises images through them."""

import pytest
import torch
from torch import nn

from cornet.brain.subjects.networks import NetworkSubject
from cornet.models import create_model
from cornet.synthesis.stage import Stage, stage_site

pytestmark = [
    pytest.mark.slow,  # importing plenoptic takes seconds
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*loss.*converge"),
]
SHAPE = (1, 3, 32, 32)


@pytest.fixture(scope="module")
def plenoptic():
    return pytest.importorskip("plenoptic")


def stage():
    torch.manual_seed(0)
    subject = NetworkSubject(create_model("cornet_s", num_classes=8, width=0.1), size=32)
    return Stage(subject, stage_site(subject, "V1"))


def mapped():
    """A stage and a linear mapping to five neuroids."""
    states = stage()
    width = states(torch.rand(SHAPE)).numel()
    torch.manual_seed(1)
    return nn.Sequential(states, nn.Flatten(), nn.Linear(width, 5)).requires_grad_(False).eval()


@pytest.mark.parametrize("make", [stage, mapped])
def test_synthesis(plenoptic, make):
    model = make()
    plenoptic.validate.validate_model(model, image_shape=SHAPE)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(SHAPE, generator=generator)
    metamer = plenoptic.Metamer(image, model)
    metamer.setup(initial_image=torch.rand(SHAPE, generator=generator))
    metamer.synthesize(max_iter=150, stop_criterion=0)
    assert float(metamer.losses[-1]) < 0.1 * float(metamer.losses[0])
    with torch.no_grad():
        left = float((model(metamer.metamer) - model(image)).square().mean())
        begun = float((model(torch.rand(SHAPE)) - model(image)).square().mean())
    assert left < 0.1 * begun


@pytest.mark.parametrize("make", [stage, mapped])
def test_eigendistortions(plenoptic, make):
    """The largest one changes the states more than random noise of the same length, and than the smallest one."""
    model = make()
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    found = plenoptic.Eigendistortion(image, model)
    found.synthesize(method="power", max_iter=200)
    largest, smallest = found.eigendistortions[0], found.eigendistortions[-1]
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))[0]

    def change(direction):
        step = 1e-3 * direction.reshape(SHAPE) / direction.norm()
        with torch.no_grad():
            return float((model(image + step) - model(image)).norm())

    assert change(largest) > 2 * change(noise)
    assert change(largest) > 10 * change(smallest)
