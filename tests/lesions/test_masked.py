"""Networks with silenced units: against weights set to zero, and against a pass of the whole network."""

import copy

import pytest
import torch

from cornet.errors import CornetError
from cornet.lesions import LesionedImages, choose_places, find_places
from cornet.lesions.masked import ChainLesions, SequentialAreaLesions, WholeLesions, open_lesions, silenced
from cornet.models import create_model
from cornet.models.vgg import VGG16

SIZE = 32


def vgg():
    torch.manual_seed(0)
    return VGG16(5, 0.03, grid=1).eval()


def network(name):
    torch.manual_seed(0)
    net = create_model(
        name, num_classes=5, width=0.07, **({"norm": "per_step"} if name == "cornet_rt" else {})
    )
    net.train()
    with torch.no_grad():  # norms with statistics, and a shift that a silenced convolution would leave
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.bias.uniform_(0.5, 1)
        net(torch.randn(4, 3, SIZE, SIZE))
    return net.eval()


def close(a, b):
    return float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max()))


@torch.no_grad()
def test_silencing_is_setting_weights_and_bias_to_zero():
    net, images = vgg(), torch.randn(3, 3, SIZE, SIZE)
    for place in choose_places(find_places(net, SIZE), ["conv1_1", "conv3_2", "conv5_3", "fc6", "fc8"]):
        lesions = open_lesions(net, place)
        assert isinstance(lesions, ChainLesions)
        masks = torch.ones(3, place.units)
        masks[1, 0] = masks[2, 1] = 0
        found = lesions.logits(lesions.prepare(images), masks)
        for logits, units in zip(found, ([], [0], [1]), strict=True):
            other = copy.deepcopy(net)
            part = other.get_submodule(place.layer)
            part.weight[units], part.bias[units] = 0, 0
            assert close(logits, other(images))


@pytest.mark.parametrize("name", ["cornet_s", "cornet_z"])
@torch.no_grad()
def test_starting_at_the_area_equals_running_the_whole_network(name):
    net, images = network(name), torch.randn(2, 3, SIZE, SIZE)
    for place in find_places(net, SIZE):
        quick, whole = open_lesions(net, place), open_lesions(net, place, whole=True)
        assert isinstance(quick, SequentialAreaLesions)
        assert isinstance(whole, WholeLesions)
        masks = (torch.rand(3, place.units, generator=torch.Generator().manual_seed(1)) > 0.4).float()
        assert close(quick.logits(quick.prepare(images), masks), whole.logits((images,), masks)), place
        plain = quick.logits(quick.prepare(images), torch.ones(1, place.units))[0]
        assert close(plain, net(images)), place


@pytest.mark.parametrize("name", ["cornet_s", "cornet_rt", "blt"])
@torch.no_grad()
def test_a_silenced_channel_is_zero_at_its_steps_and_nothing_is_left_behind(name):
    net, images = network(name), torch.randn(2, 3, SIZE, SIZE)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    logits, states = net(images, return_states=True)
    places = {str(one): one for one in find_places(net, SIZE)}
    for label in ("V2", "V2[1]", "IT"):
        place = places[label]
        rows = torch.ones(2, place.units)
        rows[:, 0] = 0
        with silenced(net, place, rows):
            _, found = net(images, return_states=True)
        steps = range(net.steps[place.layer]) if place.step is None else [place.step]
        for step in range(net.steps[place.layer]):
            own = found[place.layer][step]
            if step in steps:
                assert not own[:, 0].any()
                assert own[:, 1:].any()
            elif step < min(steps):
                assert torch.equal(own, states[place.layer][step])
    again, _ = net(images, return_states=True)
    assert torch.equal(again, logits)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_context_that_fails_leaves_the_network_as_it_was():
    net = network("cornet_s")
    place = find_places(net, SIZE)[0]
    with (
        pytest.raises(CornetError, match="does not keep images apart"),
        silenced(net, place, torch.ones(3, place.units)),
    ):
        net(torch.zeros(2, 3, SIZE, SIZE))
    assert "step" not in vars(net.areas["V1"])


@torch.no_grad()
def test_without_lesion_the_same_images_are_right_bit_for_bit():
    net = vgg()
    images, labels = torch.randn(9, 3, SIZE, SIZE), torch.arange(9) % 5
    expected = torch.cat([net(one) for one in images.split(4)]).argmax(1) == labels
    for place in find_places(net, SIZE):
        opened = LesionedImages(net, place, list(zip(images.split(4), labels.split(4), strict=True)))
        assert torch.equal(opened.hits(opened.masks([[]]))[0, :, 0], expected)


def test_places_of_networks():
    labels = [str(one) for one in find_places(vgg(), SIZE)]
    assert len(labels) == 16
    assert labels[:2] + labels[-2:] == ["conv1_1", "conv1_2", "fc7", "fc8"]
    found = [str(one) for one in find_places(network("cornet_s"), SIZE)]
    assert found == [
        "V1",
        "V2",
        "V2[0]",
        "V2[1]",
        "V4",
        *(f"V4[{k}]" for k in range(4)),
        "IT",
        "IT[0]",
        "IT[1]",
    ]
    assert [str(one) for one in find_places(network("cornet_s"), SIZE, by_step=False)] == [
        "V1",
        "V2",
        "V4",
        "IT",
    ]


def test_an_unknown_layer_is_refused():
    with pytest.raises(CornetError, match=r"'conv5_4' is no layer or area .* did you mean conv5_3"):
        choose_places(find_places(vgg(), SIZE), ["conv5_4"])
