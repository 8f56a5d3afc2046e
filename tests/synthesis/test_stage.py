"""Stages: the states of a network equal those recorded, gradients pass silent units, and bad areas are refused."""

import pytest
import torch
import torchvision
from torch import nn

from cornet.brain.subjects.filters import PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.synthesis.stage import Stage, stage_site
from tests.helpers.brain.made_up_stimuli import stimuli


def subject_of(name, **options):
    torch.manual_seed(0)
    return NetworkSubject(create_model(name, num_classes=8, width=0.1, **options), size=32)


def resnet():
    torch.manual_seed(0)
    return LayerSubject(torchvision.models.resnet18(num_classes=8), size=32, regions={"IT": "layer4"})


SITES = [
    ("cornet_s", "V4", 1),
    ("cornet_s", "V1", None),
    ("cornet_s", "areas.V4.conv3", 2),
    ("cornet_s", "decoder.avgpool", None),
    ("cornet_s", "logits", None),
    ("cornet_rt", "IT", 4),
    ("cornet_z", "V2", None),
    ("resnet18", "IT", None),
    ("resnet18", "layer2.0.conv1", None),
]


@pytest.mark.parametrize(("name", "area", "step"), SITES)
@pytest.mark.parametrize("identity_relu", [False, True])
def test_equal_to_the_recording(name, area, step, identity_relu):
    subject = resnet() if name == "resnet18" else subject_of(name)
    site = stage_site(subject, area, step)
    if step is not None:
        assert site.step == step
    shown = stimuli(2, 32, 32)
    expected = subject.record(shown, [site], cache=False)[site]
    images = torch.stack([torch.from_numpy(shown.pictures[k]) for k in range(2)]).permute(0, 3, 1, 2) / 255
    states = Stage(subject, site, identity_relu=identity_relu)(images)
    torch.testing.assert_close(states.flatten(1), torch.tensor(expected), atol=2e-5, rtol=1e-4)


def test_the_network_is_not_changed():
    subject = subject_of("cornet_s").net.train()
    before = {key: value.clone() for key, value in subject.state_dict().items()}
    stage = Stage(NetworkSubject(subject, size=32), Site("IT", 1))
    stage(torch.rand(2, 3, 32, 32))
    assert subject.training
    assert all(one.requires_grad for one in subject.parameters())
    assert all(torch.equal(before[key], value) for key, value in subject.state_dict().items())
    assert not any(one.requires_grad for one in stage.parameters())


class Silent(nn.Module):
    """A linear map whose first unit is silent for a bright image, and a ReLU, perhaps in place."""

    def __init__(self, in_place):
        super().__init__()
        self.below = nn.Conv2d(3, 2, 1)
        self.relu = nn.ReLU(in_place)
        self.top = nn.Linear(2, 2)
        with torch.no_grad():
            self.below.weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 3)[..., None, None])
            self.below.bias.zero_()

    def forward(self, x):
        return self.top(self.relu(self.below(x)).mean((2, 3)))


@pytest.mark.parametrize("in_place", [False, True])
def test_gradient_of_a_silent_unit(in_place):
    subject = LayerSubject(Silent(in_place), size=4, mean=(0, 0, 0), std=(1, 1, 1))
    for identity_relu in (False, True):
        images = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
        states = Stage(subject, Site("relu"), identity_relu=identity_relu)(images)
        assert states[0, 0].max() == 0
        (gradient,) = torch.autograd.grad(states[:, 0].sum(), images)
        assert gradient.unique().tolist() == ([-1.0] if identity_relu else [0.0])


def test_relus_below_are_unchanged():
    subject = subject_of("cornet_z")  # its areas end in a pooling, so that nothing is replaced
    for site in (Site("V1"), Site("V4")):
        found = []
        for identity_relu in (False, True):
            images = torch.full((1, 3, 32, 32), 0.3, requires_grad=True)
            states = Stage(subject, site, identity_relu=identity_relu)(images)
            found.append(torch.autograd.grad(states.sum(), images)[0])
        assert torch.equal(*found)


@pytest.mark.parametrize(
    ("area", "step", "text"),
    [
        ("V3", None, "choose one of V1, V2, V4, IT"),
        ("V4", 9, "choose a step of 0 to"),
        ("V4", 0, "has not reached V4 of cornet at step 0; choose a step of 2 to 4"),
    ],
)
def test_bad_areas(area, step, text):
    with pytest.raises(CornetError, match=text):
        stage_site(subject_of("cornet_rt"), area, step)


def test_no_network():
    with pytest.raises(CornetError, match="pixels has no network"):
        stage_site(PixelSubject(name="pixels", size=32), "V1")
