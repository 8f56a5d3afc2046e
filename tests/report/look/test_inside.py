"""What `look` shows equals what the network computes: filters, maps, read-out and saliency at each step."""

import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain.subjects.filters import PixelSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.report.look.inside import first_filters, look_inside
from cornet.report.look.pictures import coloured, filter_tile, overlay

CLASSES = ["a", "b", "c", "d"]


def network(name="cornet_rt", **options):
    torch.manual_seed(0)
    return NetworkSubject(create_model(name, num_classes=4, width=0.1, **options), size=32, name="net")


def picture(seed=0):
    return torch.randint(
        0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def shown(subject, image):
    mean, std = (torch.tensor(one)[:, None, None] for one in (subject.mean, subject.std))
    return (image.float() / 255 - mean) / std


def test_maps_are_the_states():
    subject, image = network(), picture()
    (found,) = look_inside(subject, image, ["x"], classes=CLASSES)
    _, states = subject.net.eval()(shown(subject, image), return_states=True)
    assert [one.name for one in found.areas] == ["V1", "V2", "V4", "IT"]
    for one in found.areas:
        first = subject.net.first_driven_step(one.name)
        assert [values is None for values in one.mean] == [step < first for step in range(5)]
        assert one.first == first
        area = states[one.name][:, 0].detach().numpy()
        for step in range(first, 5):
            np.testing.assert_allclose(one.mean[step], area[step].mean(axis=0), rtol=1e-4, atol=1e-6)
        spread = area[first:].transpose(1, 0, 2, 3).reshape(area.shape[1], -1).var(axis=1)
        assert spread[list(one.channels)].min() >= np.sort(spread)[-2] * 0.9999
        for channel, maps in one.channels.items():
            np.testing.assert_allclose(maps[-1], area[-1, channel], rtol=1e-4, atol=1e-6)
        assert one.times[-1] == subject.intervals[one.name][-1]


def test_read_out_and_saliency_of_each_step():
    subject, image = network(), picture()
    (found,) = look_inside(subject, image, ["x"], classes=CLASSES)
    given = shown(subject, image).requires_grad_()
    logits = subject.net.eval()(given, readouts=True)[:, 0]
    assert found.read.steps == [3, 4]
    assert found.read.chosen == int(logits[-1].argmax())
    np.testing.assert_allclose(found.read.probabilities, logits.softmax(-1).detach().numpy(), rtol=1e-4)
    for step in range(2):
        (gradient,) = torch.autograd.grad(logits[step, found.read.chosen], given, retain_graph=True)
        expected = gradient[0].square().sum(0).sqrt().numpy()
        np.testing.assert_allclose(found.read.saliency[step], expected, rtol=1e-3, atol=1e-8)
    (other,) = look_inside(subject, image, ["x"], classes=CLASSES, chosen="c")
    assert other.read.chosen == 2
    assert look_inside(subject, image, ["x"], chosen="3")[0].read.classes[3] == "class 3"


def test_a_linear_classifier_has_its_weights_as_saliency():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 3))
    nn.init.zeros_(net[0].bias)
    subject = LayerSubject(net, size=8, name="own")
    image = picture()[..., :8, :8]
    (found,) = look_inside(subject, image, ["x"], chosen="1")
    basis = torch.eye(192).view(192, 3, 8, 8)
    with torch.no_grad():
        slopes = (net(basis) - net(torch.zeros(1, 3, 8, 8)))[:, 1].view(3, 8, 8)
    np.testing.assert_allclose(found.read.saliency[0], slopes.norm(dim=0).numpy(), atol=1e-5)
    assert [one.name for one in found.areas] == ["0"]  # others have no positions


def test_the_network_is_as_before():
    subject = network("cornet_s")
    subject.net.train()
    before = {name: value.clone() for name, value in subject.net.state_dict().items()}
    look_inside(subject, picture(), ["x"])
    assert subject.net.training
    assert all(torch.equal(before[name], value) for name, value in subject.net.state_dict().items())
    assert all(one.grad is None for one in subject.net.parameters())


def test_filters():
    net = network("cornet_z").net
    found = first_filters(net)
    assert (found.total, len(found.values)) == (6, 6)
    np.testing.assert_array_equal(found.values[2], next(net.parameters())[2].detach().numpy())
    gabor = first_filters(network("cornet_z", v1="gabor").net)
    assert (gabor.total, len(gabor.values)) == (768, 64)
    assert gabor.name == "areas.V1.filters"
    hmax = first_filters(create_model("hmax", num_classes=4, size=32))
    assert {one.shape[0] for one in hmax.values} == {1}
    assert len({one.shape[-1] for one in hmax.values}) > 1
    assert first_filters(nn.Linear(3, 2)) is None


def test_pixels_of_filters_maps_and_saliency():
    values = np.array([[[-2.0, 0.0], [1.0, 2.0]]], np.float32)
    assert filter_tile(values)[..., 0].tolist() == [[0, 128], [191, 255]]
    assert filter_tile(np.zeros((3, 2, 2), np.float32)).tolist() == np.full((2, 2, 3), 128).tolist()
    ends = coloured(np.array([[0.0, 5.0]], np.float32), (0, 5))
    assert ends[0].tolist() == [[68, 1, 84], [253, 231, 37]]  # viridis
    grey = np.full((2, 2, 3), 255, np.uint8)
    weak = overlay(grey, np.array([[0, 0], [0, 1]], np.float32))
    assert weak[0, 0].tolist() == [191, 191, 191]  # the image
    assert weak[1, 1].tolist() == [252, 255, 164]  # inferno


@pytest.mark.parametrize("kind", ["headless", "other number"])
def test_a_network_that_does_not_classify(kind):
    subject = network("cornet_z")
    if kind == "headless":
        subject.net.decoder = nn.Flatten(0)
    classes = [] if kind == "headless" else ["a", "b"]
    (found,) = look_inside(subject, picture(), ["x"], classes=classes)
    assert found.read is None
    assert found.notes == ["the network does not classify, so it has no saliency and no read-out"]


def test_errors():
    with pytest.raises(CornetError, match="--class foo is unknown; give a number below 4"):
        look_inside(network(), picture(), ["x"], classes=CLASSES, chosen="foo")
    with pytest.raises(CornetError, match="has no network"):
        look_inside(PixelSubject(size=32), picture(), ["x"])
