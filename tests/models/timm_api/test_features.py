"""features_only: lists of maps, and what is known of them, as from timm's resnet18."""

import pytest
import timm
import torch

from cornet import CornetError, create_model, list_models
from cornet.models.timm_api.features import FeatureInfo, FeatureMaps
from tests.helpers.models.named import small_arguments


@pytest.mark.parametrize("name", list_models())
def test_the_maps_are_the_last_states_of_the_areas(name):
    torch.manual_seed(0)
    net = create_model(name, **small_arguments(name)).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        _, states = net(images, return_states=True)
    maps = FeatureMaps(net).eval()
    with torch.no_grad():
        found = maps(images)
        chosen = FeatureMaps(net, (0, 2)).eval()(images)
    spatial = [state[-1] for state in states.values() if state.ndim == 5]
    assert len(found) == len(spatial) == (1 if name == "hmax" else 4)
    for one, state in zip(found, spatial, strict=True):
        assert torch.equal(one, state)
    info = maps.feature_info
    assert info.channels() == [one.shape[1] for one in found]
    assert info.reduction() == [64 // one.shape[-1] for one in found]
    for one, area in zip(chosen, [list(states)[index] for index in (0, 2)], strict=True):
        assert torch.equal(one, states[area][-1])


def test_areas_without_a_map_are_returned_when_they_are_named():
    net = create_model("hmax", features_only=True, out_indices=(0, 1, 2, 3), **small_arguments("hmax"))
    shapes = [tuple(one.shape) for one in net(torch.randn(2, 3, 32, 32))]
    assert [len(shape) for shape in shapes] == [4, 3, 3, 2]
    assert net.feature_info.channels() == [shape[1] for shape in shapes]
    assert net.feature_info.reduction() == [1, None, None, None]


@pytest.mark.parametrize("indices", [(0, 2), (1, -1), 2, [3]])
def test_the_same_interface_as_a_network_of_timm(indices):
    ours = create_model("cornet_s", width=0.1, features_only=True, out_indices=indices).eval()
    theirs = timm.create_model("resnet18", features_only=True, out_indices=indices).eval()
    count = indices if isinstance(indices, int) else len(indices)
    for net in (ours, theirs):
        info = net.feature_info
        with torch.no_grad():
            maps = net(torch.randn(1, 3, 64, 64))
        assert isinstance(maps, list)
        assert len(maps) == count == len(info.channels()) == len(info.reduction()) == len(info.module_name())
        assert [one.shape[1] for one in maps] == info.channels()
        assert [64 // one.shape[-1] for one in maps] == info.reduction()
        assert info.channels(0) == info[0]["num_chs"]
        assert info.get_dicts(keys=["num_chs"], idx=[0]) == [{"num_chs": info.channels(0)}]
        assert [entry["reduction"] for entry in info.get_dicts()] == info.reduction()
        assert timm.data.resolve_model_data_config(net)["input_size"] == (3, 224, 224)
    assert len(ours.feature_info) == 4
    assert ours.feature_info.module_name(3) == "areas.IT"


def test_all_accessors_agree_with_those_of_timm():
    net = create_model("cornet_rt", width=0.1)
    ours, theirs = (kind(net.feature_info, (0, 2)) for kind in (FeatureInfo, timm.models.FeatureInfo))
    for call in (
        lambda info: (info.channels(), info.reduction(), info.module_name()),
        lambda info: (info.channels(1), info.reduction([1, 3]), info.module_name((0,))),
        lambda info: (info.get("index"), info.get_dicts(), info.get_dicts(["module"]), info.get_dicts(idx=2)),
        lambda info: (info.get_dicts(["num_chs"], 1), info.out_indices, len(info), info[3]),
    ):
        assert call(ours) == call(theirs)


def test_reductions_of_the_published_sizes():
    info = create_model("cornet_s", features_only=True, width=0.05).feature_info
    assert info.reduction() == [4, 8, 16, 32]
    assert create_model("hcnn", width=0.05, same=False).feature_info[3]["reduction"] == 16


def test_areas_above_the_highest_are_not_computed():
    net = create_model("cornet_z", width=0.05, features_only=True, out_indices=(0, 1))
    calls = []
    net.model.areas["V4"].conv.register_forward_hook(lambda *_: calls.append("V4"))
    net(torch.randn(1, 3, 32, 32))
    assert not calls


def test_there_is_no_decoder_and_weights_come_from_a_file(tmp_path):
    net = create_model("cornet_rt", num_classes=5, width=0.1).eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    maps = create_model(
        "cornet_rt", num_classes=5, width=0.1, pretrained=tmp_path / "w.pth", features_only=True
    ).eval()
    assert not any("decoder" in key for key in maps.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(maps(images)[-1], net.forward_features(images))


def test_refused():
    with pytest.raises(CornetError, match=r"out_indices=\(0, 4\) names no areas.*3 \(IT\)"):
        create_model("cornet_z", width=0.05, features_only=True, out_indices=(0, 4))
    with pytest.raises(CornetError, match="out_indices=2 chooses feature maps; give features_only=True"):
        create_model("cornet_z", width=0.05, out_indices=2)
