"""from_pretrained and save_pretrained: bit-exact for every network, and one sentence for what cannot be loaded."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

import cornet
from cornet import CornetError, create_model, from_pretrained, list_models, save_pretrained
from cornet.brain.subjects.identity import module_identity
from cornet.models.base import Area, Network
from cornet.models.image_settings import ImageSettings
from cornet.models.pretrained.settings import FORMAT
from cornet.models.pretrained.weights_folder import weights_hash
from tests.helpers.models.named import small_arguments

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A saved network of three classes."""
    net = create_model("cornet_z", width=0.02, num_classes=3)
    return save_pretrained(
        net, tmp_path / "mine", size=32, mean=MEAN, std=STD, degrees=6, classes=["a", "b", "c"]
    )


def changed(folder: Path, **changes) -> None:
    """Replace entries of config.json; ... removes one."""
    content = json.loads((folder / "config.json").read_text())
    content = {key: value for key, value in {**content, **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(content))


def assert_same(net: Network, again: Network) -> None:
    """Equal weights, buffers, dtypes, structure and outputs, bit for bit."""
    expected, found = net.state_dict(), again.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value), key
    assert module_identity(again) == module_identity(net)
    images = torch.randn(2, net.in_channels, 32, 32)
    one, other = (outputs(network, images) for network in (net, again))
    assert torch.equal(one[0], other[0])
    assert all(torch.equal(one[1][area], other[1][area]) for area in one[1])


def outputs(net: Network, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits and states. The noise of a Gabor bank is drawn from torch's generator."""
    torch.manual_seed(1)
    with torch.no_grad():
        return net.eval()(images, return_states=True)


@pytest.mark.parametrize("decoder", [True, False])
@pytest.mark.parametrize("name", list_models())
def test_every_network_comes_back_bit_for_bit(name, decoder, tmp_path):
    net = create_model(name, num_classes=7, **small_arguments(name, 0.03))
    net(torch.randn(4, 3, 32, 32))  # norms have statistics that no constructor gives
    if not decoder:
        net.reset_classifier(0)
    again = from_pretrained(save_pretrained(net, tmp_path / "mine", size=48))
    assert type(again) is type(net)
    assert not again.training
    assert isinstance(again.decoder, torch.nn.Identity) is not decoder
    assert again.image_settings == ImageSettings(size=48)
    assert_same(net, again)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cornet_s", {"times": {"V4": 3}, "gate": "soft", "areas": 5, "width": 0.05}),
        ("cornet_rt", {"times": np.int64(6), "feedback": ("IT-V4", "V2-V1"), "width": 0.05}),
        ("cornet_s", {"times": OmegaConf.create({"V2": 1, "IT": 3}), "width": 0.05}),
        ("cornet_z", {"v1": "gabor", "v1_options": {"seed": 3}, "width": 0.05}),
        ("cornet_s", {"in_channels": 1, "width": np.float64(0.05), "norm": "group"}),
        ("hcnn", {"width": 0.05, "layers": {"V4": {"pool": 5}}, "filters": "trained"}),
        ("hmax", {"size": 32, "patches": {2: np.zeros((3, 4, 2, 2), np.float32)}}),
    ],
)
def test_variants_come_back_bit_for_bit(name, arguments, tmp_path):
    net = create_model(name, num_classes=4, **arguments)
    channels = net.in_channels
    again = from_pretrained(save_pretrained(net, tmp_path / "mine", mean=MEAN[:channels], std=STD[:channels]))
    assert_same(net, again)
    assert again.steps == net.steps


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_is_kept(dtype, tmp_path):
    net = create_model("cornet_s", width=0.02, num_classes=2).to(dtype)
    again = from_pretrained(save_pretrained(net, tmp_path / "mine"))
    assert again.state_dict()["areas.V2.norm1.norms.0.num_batches_tracked"].dtype == torch.int64
    assert weights_hash(again.state_dict()) == weights_hash(net.state_dict())
    assert {value.dtype for value in again.parameters()} == {dtype}


@pytest.mark.slow
def test_a_network_of_a_users_own_class(tmp_path):
    from cornet.models import registry
    from cornet.models.registry import register

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "REGISTERED", dict(registry.REGISTERED))

        @register("mine_for_a_test")
        class Mine(Network):
            def __init__(self, num_classes: int = 2) -> None:
                super().__init__([Area("V1", 1, 50, 100)], num_classes)
                self.convolution = torch.nn.Conv2d(3, 4, 3)
                self.decoder = torch.nn.Linear(4, num_classes)

            def run_areas(self, images, steps, keep_all):
                return {"V1": [self.convolution(images)]}

        net = create_model("mine_for_a_test", num_classes=5)
        folder = save_pretrained(net, tmp_path / "mine")
        assert_same(net, from_pretrained(folder))
    with pytest.raises(
        CornetError, match=r"names the network 'mine_for_a_test', which cornet .* does not have"
    ):
        from_pretrained(folder)


def test_the_settings_of_the_images(folder):
    settings = from_pretrained(folder).image_settings
    assert settings == ImageSettings(32, MEAN, STD, 6, ("a", "b", "c"))
    mean, std = settings.pixels
    assert torch.allclose(mean.flatten(), 255 * torch.tensor(MEAN))
    assert torch.allclose(std.flatten(), 255 * torch.tensor(STD))


def test_settings_are_kept_when_a_network_is_saved_again(folder, tmp_path):
    again = from_pretrained(save_pretrained(from_pretrained(folder), tmp_path / "again"))
    assert again.image_settings == from_pretrained(folder).image_settings


def test_loading_leaves_the_random_state_and_the_default_dtype(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    from_pretrained(folder)
    assert torch.equal(torch.rand(1), expected)


def test_the_file_may_change_after_loading(folder):
    net = from_pretrained(folder)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    (folder / "model.safetensors").write_bytes(b"")
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_the_file_is_read_by_other_programs_and_users(folder):
    state = load_file(folder / "model.safetensors")
    assert set(state) == set(from_pretrained(folder).state_dict())
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert len(modes) == 1
    net = create_model("cornet_z", width=0.02, num_classes=3, pretrained=folder / "model.safetensors")
    assert module_identity(net) == module_identity(from_pretrained(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": FORMAT + 1},
            f"has format {FORMAT + 1}, but cornet .* reads formats up to {FORMAT}; install",
        ),
        ({"format": "1"}, "format='1', which must be a whole number"),
        ({"format": ...}, "was not written by cornet"),
        ({"library": "transformers"}, "was not written by cornet"),
        ({"model": ...}, "has no network under model"),
        ({"model": {"name": 3}}, "has no network under model"),
        ({"model": {"name": "resnet"}}, "names the network 'resnet', which cornet .* does not have"),
        ({"model": {"name": "os.system"}}, "names the network 'os.system', which cornet .* does not have"),
        ({"model": {"name": "cornet_z", "_target_": "os.system"}}, "the custom network 'os.system'"),
        ({"model": {"name": "cornet_z", "widht": 1}}, "no argument 'widht'; did you mean width"),
        (
            {"model": {"name": "cornet_z", "pretrained": "/etc/passwd"}},
            "pretrained='/etc/passwd', which cornet never",
        ),
        (
            {"model": {"name": "hmax", "patches": "/etc/passwd"}},
            "patches='/etc/passwd', which cornet never writes",
        ),
        (
            {"model": {"name": "cornet_z", "width": 0.04, "num_classes": 3}},
            "0 are missing, 0 unexpected, 9 of another",
        ),
        (
            {"model": {"name": "cornet_rt", "width": 0.02, "num_classes": 3}},
            "does not hold the weights of cornet_rt",
        ),
        ({"model": {"name": "cornet_z", "width": 1e12, "num_classes": 3}}, "config.json|width"),
        ({"model": {"name": "cornet_rt", "times": 10**9}}, "10{9} steps; at most"),
        ({"model": {"name": "cornet_z", "width": [[[[1]]]]}}, "which cornet never writes"),
        ({"decoder": False}, "0 are missing, 2 unexpected"),
        ({"decoder": "yes"}, "decoder='yes', which must be true or false"),
        ({"images": ...}, "no object under images"),
        ({"images": {"size": 0, "mean": MEAN, "std": STD}}, "size=0, which must be 1 to 10,000"),
        ({"images": {"size": 1e9, "mean": MEAN, "std": STD}}, "size=1000000000.0"),
        ({"images": {"mean": [0, 0], "std": STD}}, "mean=.* one number per channel"),
        ({"images": {"mean": MEAN, "std": [0, 1, 1]}}, "std=.* one number per channel"),
        ({"images": {"mean": [0.5], "std": STD}}, "must have the same number of channels"),
        ({"images": {"degrees": -1}}, "degrees=-1, which must be above 0"),
        ({"classes": ["a"]}, "has 3 outputs but 1 names of classes"),
        ({"classes": [1, 2, 3]}, "names of classes that are not texts"),
        ({"classes": "abc"}, "names of classes that are not texts"),
        ({"weights_sha256": "0" * 64}, "damaged: its weights are not those that config.json was written for"),
        ({"weights_sha256": "0"}, "must be 64 hexadecimal digits"),
    ],
)
def test_a_changed_config_is_one_sentence(folder, changes, message):
    changed(folder, **changes)
    with pytest.raises(CornetError, match=message) as caught:
        from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_files(folder):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[:-1], whole[:30], b"", whole[:8] + b"{" * 500, whole + b"\0"):
        weights.write_bytes(content)
        with pytest.raises(CornetError, match="damaged safetensors file"):
            from_pretrained(folder)
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    weights.write_bytes(bytes(flipped))
    with pytest.raises(CornetError, match="damaged: its weights"):
        from_pretrained(folder)
    weights.unlink()
    with pytest.raises(CornetError, match=r"has no model\.safetensors; give a folder"):
        from_pretrained(folder)
    os.mkfifo(weights)
    with pytest.raises(CornetError, match="regular file"):
        from_pretrained(folder)
    (folder / "config.json").write_bytes(b"{" * 100_000)
    with pytest.raises(CornetError, match="cannot be read"):
        from_pretrained(folder)
    (folder / "config.json").write_bytes(b" " * (2**22 + 1))
    with pytest.raises(CornetError, match="more than 4,194,304 bytes"):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.popitem(), "1 are missing"),
        (lambda state: state.update(more=torch.zeros(2)), "1 unexpected, 0 of another shape, such as 'more'"),
        (
            lambda state: state.update({"decoder.bias": torch.zeros(4)}),
            "1 of another shape, such as 'decoder.bias'",
        ),
        (
            lambda state: state.update({"decoder.bias": torch.zeros(3, dtype=torch.int64)}),
            "is torch.int64, not",
        ),
        (lambda state: state.update({"decoder.bias": torch.zeros(3, dtype=torch.complex64)}), "C64"),
    ],
)
def test_weights_that_do_not_belong_to_the_network(folder, change, message):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CornetError, match=message) as caught:
        from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_no_memory_is_taken_for_what_the_file_does_not_hold(folder, monkeypatch):
    """A network of 300 GB is refused by the header, and is never made outside the meta device."""
    from cornet.models.cornet.network import CORnet

    devices = []
    make = CORnet.__init__

    def watched(self, *arguments, **named):
        devices.append(torch.get_default_device().type)
        make(self, *arguments, **named)

    monkeypatch.setattr(CORnet, "__init__", watched)
    changed(folder, model={"name": "cornet_s", "width": 40, "num_classes": 1_000_000})
    with pytest.raises(CornetError, match="does not hold the weights of cornet_s"):
        from_pretrained(folder)
    assert devices
    assert set(devices) == {"meta"}


def test_links_lead_nowhere_but_to_the_cache_of_the_hub(folder, tmp_path):
    outside = tmp_path / "outside"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    with pytest.raises(CornetError, match="a link that leads out of its folder"):
        from_pretrained(folder)
    snapshot = tmp_path / "models--me--net" / "snapshots" / "abc"
    blobs = tmp_path / "models--me--net" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    outside.rename(blobs / "1")
    (folder / "config.json").rename(blobs / "2")
    (snapshot / "model.safetensors").symlink_to("../../blobs/1")
    (snapshot / "config.json").symlink_to("../../blobs/2")
    assert from_pretrained(snapshot).num_classes == 3
    shared = tmp_path / "blobs" / "ab" / "abc"  # where huggingface_hub 2 keeps what several repositories have
    shared.parent.mkdir(parents=True)
    (blobs / "1").rename(shared)
    (blobs / "1").symlink_to("../../blobs/ab/abc")
    assert from_pretrained(snapshot).num_classes == 3
    shared.rename(tmp_path / "outside")
    (blobs / "1").unlink()
    (blobs / "1").symlink_to(tmp_path / "outside")
    with pytest.raises(CornetError, match="a link that leads out of its folder"):
        from_pretrained(snapshot)


@pytest.mark.parametrize(
    "text", ["nothing", "a/b/c", "", "/no/such", "-a/b", "a/b--c", "a/..", "a b/c", "~/no", "a/b\n"]
)
def test_a_text_that_is_neither_a_folder_nor_a_repository(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CornetError, match=r"neither an existing folder nor the name of a repository|has no config"
    ) as caught:
        from_pretrained(text)
    assert "\n" not in str(caught.value)


def test_files_and_folders_without_weights(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CornetError, match=r"has no config\.json; give a folder that cornet export"):
        from_pretrained(tmp_path / "empty")
    with pytest.raises(CornetError, match="is a file; give the folder"):
        from_pretrained(folder / "config.json")
    with pytest.raises(CornetError, match="is a folder, which has no revision 'v1'"):
        from_pretrained(folder, revision="v1")


def test_only_networks_that_can_be_made_again_are_saved(tmp_path):
    with pytest.raises(CornetError, match="Linear was not made by cornet"):
        save_pretrained(torch.nn.Linear(2, 2), tmp_path / "a")
    net = create_model("cornet_z", width=0.02, num_classes=3)
    net.decoder = torch.nn.Linear(10, 5)
    with pytest.raises(CornetError, match="was changed after cornet"):
        save_pretrained(net, tmp_path / "a")
    net = create_model("cornet_z", width=0.02, num_classes=3)
    for values, message in (
        ({"size": 0}, "size=0"),
        ({"mean": "abc"}, "one number per channel"),
        ({"std": (1, 1, 0)}, "std"),
        ({"classes": ["a"]}, "has 3 outputs but 1 names"),
        ({"degrees": float("nan")}, "degrees=nan"),
        ({"licence": "My Own"}, "--licence My Own must be an identifier"),
    ):
        with pytest.raises(CornetError, match=message):
            save_pretrained(net, tmp_path / "a", **values)
    assert list(tmp_path.iterdir()) == []  # all or nothing
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").touch()
    with pytest.raises(CornetError, match="exists already"):
        save_pretrained(net, tmp_path / "a")


def test_saving_changes_nothing(tmp_path):
    net = create_model("cornet_s", width=0.02, num_classes=3)
    before, identity = net.training, module_identity(net)
    save_pretrained(net, tmp_path / "a")
    assert net.training is before
    assert module_identity(net) == identity
    assert net.image_settings is None


def test_the_public_face():
    assert {"from_pretrained", "save_pretrained"} < set(cornet.__all__)
