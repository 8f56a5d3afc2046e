"""VGG-16: torchvision's layers, and its keys."""

import pytest
import torch
from torchvision.models import vgg16

from cornet.errors import CornetError
from cornet.models.vgg import VGG16


def test_layers_and_keys_are_those_of_torchvision():
    with torch.device("meta"):
        ours, theirs = VGG16(), vgg16()
    assert repr(ours).replace("VGG16(", "VGG(", 1) == repr(theirs)
    assert {key: one.shape for key, one in ours.state_dict().items()} == {
        key: one.shape for key, one in theirs.state_dict().items()
    }
    assert sum(one.numel() for one in ours.parameters()) == 138_357_544


def test_the_chain_of_modules_computes_the_logits():
    net = VGG16(7, 0.05, grid=2).eval()
    x = images = torch.randn(2, 3, 64, 64)
    for _, part in net.chain():
        x = part(x)
    assert torch.equal(x, net(images))
    assert list(net.labels.values())[-4:] == ["conv5_3", "fc6", "fc7", "fc8"]
    assert net.features[2].weight.shape[0] == round(64 * 0.05)


def test_initial_weights_are_as_published_and_narrow_layers_keep_the_variance():
    torch.manual_seed(0)
    net = VGG16(10, 0.25, grid=2)
    published = {"features.28": (2 / (9 * 128)) ** 0.5}
    first = net.classifier[0]
    published |= {
        "classifier.0": 0.01 * (25088 / first.in_features) ** 0.5,
        "classifier.6": 0.01 * (4096 / 1024) ** 0.5,
    }
    for name, expected in published.items():
        found = net.get_submodule(name).weight.detach().std()
        assert float(found) == pytest.approx(expected, rel=0.05), name
    assert not first.bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"), [({"dropout": 1}, "dropout=1"), ({"width": 1e4}, "more than")]
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(CornetError, match=message):
        VGG16(10, **arguments)
