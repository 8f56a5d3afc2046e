"""The methods of timm's classifiers: what they mean is compared with timm's own resnet18."""

import pytest
import timm
import torch
from torch import nn

from cornet import CornetError, create_model, list_models
from cornet.brain.subjects.identity import module_identity
from cornet.models import CORnet
from cornet.models.hcnn.network import StandardisedLinear
from cornet.models.image_settings import ImageSettings
from cornet.models.timm_api.methods import chosen_indices
from tests.helpers.models.named import small_arguments

NAMES = list_models()


@pytest.fixture(params=[*NAMES, "resnet18"])
def net(request) -> nn.Module:
    """Each of our networks, small, and one of timm, of which all that follows is true as well."""
    torch.manual_seed(0)
    if request.param == "resnet18":
        return timm.create_model("resnet18", num_classes=5).eval()
    return create_model(request.param, num_classes=5, **small_arguments(request.param)).eval()


def test_features_and_head_give_the_logits(net):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = net.forward_features(images)
        pooled = net.forward_head(features, pre_logits=True)
        logits = net.forward_head(features)
        torch.testing.assert_close(logits, net(images))
        torch.testing.assert_close(net.get_classifier()(pooled), logits)
    assert features.shape[:2] == (2, net.num_features)
    assert pooled.shape == (2, net.head_hidden_size)
    assert logits.shape == (2, net.num_classes) == (2, 5)


def test_a_new_classifier(net):
    images = torch.randn(2, 3, 64, 64)
    name = net.get_classifier(name_only=True)
    assert dict(net.named_modules())[name] is net.get_classifier()
    kind, old = type(net.get_classifier()), net.get_classifier()
    trunk = {key: value.clone() for key, value in net.state_dict().items() if not key.startswith(name)}
    net.reset_classifier(0)
    assert net.num_classes == 0
    assert isinstance(net.get_classifier(), nn.Identity)
    with torch.no_grad():
        pooled = net(images)
        torch.testing.assert_close(pooled, net.forward_head(net.forward_features(images), pre_logits=True))
    net.reset_classifier(7)
    assert net.num_classes == 7
    assert type(net.get_classifier()) is kind
    assert net.get_classifier() is not old
    assert not net.get_classifier().training
    with torch.no_grad():
        torch.testing.assert_close(net.get_classifier()(pooled), net(images))
    assert net(images).shape == (2, 7)
    state = net.state_dict()
    assert all(torch.equal(state[key], value) for key, value in trunk.items())


def test_intermediates(net):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        last, maps = net.forward_intermediates(images)
        features = net.forward_features(images)
        assert len(maps) == len(net.feature_info)
        torch.testing.assert_close(last, features)
        torch.testing.assert_close(maps[-1], features)
        for info, found in zip(net.feature_info, maps, strict=True):
            assert found.shape[1] == info["num_chs"]
            if info["reduction"] is not None:
                assert found.shape[2:] == (64 // info["reduction"], 64 // info["reduction"])
        two = net.forward_intermediates(images, indices=2, intermediates_only=True)
        picked = net.forward_intermediates(images, [0, -1], stop_early=True, intermediates_only=True)
        low = net.forward_intermediates(images, [0], stop_early=True, intermediates_only=True)
    for found, indices in ((two, [-2, -1]), (picked, [0, -1]), (low, [0])):
        for one, index in zip(found, indices, strict=True):
            torch.testing.assert_close(one, maps[index])


def test_the_images_that_timm_prepares(net):
    config = timm.data.resolve_model_data_config(net)
    size = 32 if type(net).__name__ == "HMAX" else 224
    assert config["input_size"] == (3, size, size)
    assert config["mean"] == (0.485, 0.456, 0.406)
    assert config["std"] == (0.229, 0.224, 0.225)
    assert net.default_cfg == net.pretrained_cfg
    crop = timm.data.create_transform(**config)
    assert tuple(crop.transforms[-1].std.tolist()) == pytest.approx(config["std"])


def test_images_of_another_training():
    net = create_model("cornet_z", width=0.05)
    net.image_settings = ImageSettings(64, (0.5, 0.4, 0.3))
    config = timm.data.resolve_model_data_config(net)
    assert (config["input_size"], config["mean"]) == ((3, 64, 64), (0.5, 0.4, 0.3))
    assert config["std"] == (0.229, 0.224, 0.225)
    assert create_model("cornet_z", width=0.05).pretrained_cfg["input_size"] == (3, 224, 224)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [0, 7])
def test_a_state_dict_after_a_new_classifier_fits_what_made_with_builds(name, classes, tmp_path):
    torch.manual_seed(0)
    net = create_model(name, num_classes=5, **small_arguments(name)).eval()
    net.reset_classifier(classes)
    assert net.made_with["num_classes"] == classes
    torch.save(net.state_dict(), tmp_path / "w.pth")
    again = create_model(**net.made_with, pretrained=tmp_path / "w.pth").eval()
    assert again.made_with == net.made_with
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(images), net(images))


@pytest.mark.parametrize("name", ["cornet_s", "hcnn"])
def test_the_decoder_of_a_file_is_left_out_of_a_network_without_one(name, tmp_path):
    net = create_model(name, num_classes=5, **small_arguments(name)).eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    bare = create_model(name, num_classes=0, pretrained=tmp_path / "w.pth", **small_arguments(name)).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = net.forward_head(net.forward_features(images), pre_logits=True)
    assert torch.equal(bare(images), expected)


@pytest.mark.parametrize(
    ("name", "bound"), [("cornet_z", (6 / (51 + 9)) ** 0.5), ("bl", (6 / (26 + 9)) ** 0.5)]
)
def test_a_new_decoder_starts_as_the_family_does(name, bound):
    """Xavier-uniform weights reach almost up to sqrt(6 / (in + out)); PyTorch's default ends at 1 / sqrt(in)."""
    net = create_model(name, width=0.1)
    net.reset_classifier(9)
    largest = float(net.decoder.weight.detach().abs().max())
    assert 0.9 * bound < largest <= bound
    assert not net.decoder.bias.any()


def test_a_new_decoder_of_hcnn_has_fresh_statistics():
    net = create_model("hcnn", num_classes=5, width=0.1).train()
    net(torch.randn(4, 3, 32, 32))
    net.reset_classifier(4)
    assert isinstance(net.decoder, StandardisedLinear)
    assert int(net.decoder.num_batches_tracked) == 0
    assert net.decoder.training


def test_dtype_mode_and_a_network_built_by_its_class():
    net = CORnet(5, width=0.1).double()
    net.reset_classifier(3, "avg")
    assert net.made_with is None
    assert net.decoder.weight.dtype == torch.float64
    assert net(torch.randn(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 3)


def test_a_gradient_reaches_the_new_decoder():
    net = create_model("cornet_rt", width=0.1)
    net.reset_classifier(3)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert net.decoder.weight.grad.abs().max() > 0


def test_the_identity_of_a_subject_is_that_of_its_weights():
    """What is recorded about origin and images must not make cached scores useless."""
    torch.manual_seed(0)
    net = create_model("cornet_z", width=0.05)
    torch.manual_seed(0)
    again = timm.create_model("cornet_z", width=0.05)
    again.image_settings = ImageSettings(64)
    assert module_identity(again) == module_identity(net)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1,), "num_classes=-1 must be a whole number"),
        ((2.5,), "num_classes=2.5 must be a whole number"),
        ((3, "max"), "global_pool='max' is not available"),
        ((0, ""), "take the maps from forward_features"),
    ],
)
def test_refused(arguments, message):
    net = create_model("cornet_z", num_classes=5, width=0.05)
    with pytest.raises(CornetError, match=message):
        net.reset_classifier(*arguments)
    assert net(torch.randn(1, 3, 32, 32)).shape == (1, 5)


def test_indices_mean_what_they_mean_in_timm():
    names = ["a", "b", "c", "d"]
    for indices in (None, 1, 3, 4, [0], (0, 2), [-1], [-4, 3]):
        assert chosen_indices(indices, names) == timm.models._features.feature_take_indices(4, indices)[0]
    for indices in (0, 5, -1, [4], [-5], []):
        with pytest.raises(
            CornetError, match=r"out_indices=.* names no areas of this network; choose from 0 \(a\)"
        ):
            chosen_indices(indices, names)
