"""Stages that words name: areas, steps, the input and the logits, in the order of processing."""

import pytest
import torch
import torchvision

from cornet.brain.subjects.filters import PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.synthesis.metameric.stages import choose_stages, stage_module


def subject_of(name):
    return NetworkSubject(create_model(name, num_classes=8, width=0.1), size=32)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["input", "V1", "V2[1]", "V4[3]", "IT[1]", "logits"]),
        (["all"], ["V1", "V2[0]", "V2[1]", "V4[0]", "V4[1]", "V4[2]", "V4[3]", "IT[0]", "IT[1]"]),
        (["logits", "V4[1]", "input", "V1"], ["input", "V1", "V4[1]", "logits"]),
        (["V4,IT", "V4"], ["V4[3]", "IT[1]"]),
        (["decoder.avgpool"], ["decoder.avgpool[1]"]),
        (["areas.V4.conv3[2]", "areas.V4.conv3"], ["areas.V4.conv3[2]", "areas.V4.conv3[3]"]),
    ],
)
def test_words(words, expected):
    assert [str(one) for one in choose_stages(subject_of("cornet_s"), words)] == expected


def test_steps():
    subject = subject_of("cornet_rt")
    assert [str(one) for one in choose_stages(subject, ["V4"], every_step=True)] == [
        "V4[2]",
        "V4[3]",
        "V4[4]",
    ]
    assert [str(one) for one in choose_stages(subject, ["V4", "logits"], step=3)] == ["V4[3]", "logits"]
    last = choose_stages(subject, ["V4"], every_step=True)
    assert [one.last for one in last] == [False, False, True]


def test_a_network_without_areas():
    net = torchvision.models.resnet18(num_classes=8)
    assigned = LayerSubject(net, size=32, regions={"V4": "layer2", "IT": "layer4"})
    assert [str(one) for one in choose_stages(assigned)] == ["input", "V4", "IT", "logits"]
    layers = [str(one) for one in choose_stages(LayerSubject(net, size=32), ["all"])]
    assert layers[0] == "conv1"
    assert "layer3.1" in layers


@pytest.mark.parametrize(
    ("words", "options", "text"),
    [
        (["V3"], {}, "has no area or layer 'V3'; choose one of V1, V2, V4, IT"),
        (["V4[x]"], {}, r"--area V4\[x\] must be an area and a step, such as V4\[1\]"),
        (["V4[9]"], {}, "choose a step of 0 to 4"),
        (["V4"], {"step": 0}, "has not reached V4 of cornet at step 0"),
        (["V4"], {"step": 3, "every_step": True}, "exclude each other"),
    ],
)
def test_bad_words(words, options, text):
    with pytest.raises(CornetError, match=text):
        choose_stages(subject_of("cornet_rt"), words, **options)


def test_no_network():
    with pytest.raises(CornetError, match="pixels has no network"):
        choose_stages(PixelSubject(name="pixels", size=32))


def test_the_input_is_what_the_network_receives():
    subject = subject_of("cornet_z")
    (stage,) = choose_stages(subject, ["input"])
    images = torch.rand(2, 3, 32, 32)
    shown = stage_module(subject, stage, torch.device("cpu"))(images)
    mean, std = (torch.tensor(one)[:, None, None] for one in (subject.mean, subject.std))
    torch.testing.assert_close(shown * std + mean, images)
