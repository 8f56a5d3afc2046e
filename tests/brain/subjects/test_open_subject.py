import json

import numpy as np
import pytest
import torch
from torchvision import models

from cornet import create_model, to_published
from cornet.brain.subjects import (
    GaborSubject,
    LayerSubject,
    NetworkSubject,
    PixelSubject,
    RecordedSubject,
    open_subject,
)
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.paths import ROOT

SMALL = {"width": 0.125, "num_classes": 5}
FACTS = {
    "model.name": "cornet_rt",
    "model.width": 0.125,
    "model.num_classes": 5,
    "model.times": 6,
    "model.norm": None,
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CORNET_WEIGHTS_URL", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)


def make_run(folder, data=None, kinds=("best", "last")):
    """A run's folder as train.py leaves it: each checkpoint another network."""
    nets = {}
    (folder / "checkpoints").mkdir(parents=True)
    for seed, kind in enumerate(kinds):
        torch.manual_seed(seed)
        nets[kind] = create_model("cornet_rt", times=6, **SMALL)
        state = {f"net.{key}": value for key, value in nets[kind].state_dict().items()}
        torch.save(
            {"state_dict": state, "cornet": FACTS, "epoch": 3}, folder / "checkpoints" / f"{kind}.ckpt"
        )
    data = data or {
        "_target_": "cornet.stimuli.datasets.photographs.ImageFolder",
        "size": 48,
        "mean": [0.1, 0.2, 0.3],
    }
    (folder / "config.yaml").write_text(json.dumps({"data": data, "root": "${oc.env:HOME}"}))
    return nets


def same_weights(one, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in one.state_dict().items())


def test_a_runs_folder_tells_everything(tmp_path):
    nets = make_run(tmp_path / "runs" / "mine" / "default" / "seed0")
    one = open_subject("runs/mine/default/seed0")
    assert isinstance(one, NetworkSubject)
    assert one.name == "runs/mine/default/seed0"
    assert same_weights(one.net, nets["best"])
    assert one.net.steps["IT"] == 6
    assert (one.size, one.mean, one.std) == (48, (0.1, 0.2, 0.3), (0.229, 0.224, 0.225))
    assert same_weights(open_subject("runs/mine?last").net, nets["last"])  # the only run below it
    assert same_weights(open_subject("runs/mine/default/seed0/checkpoints/last.ckpt").net, nets["last"])
    fresh = open_subject("runs/mine?untrained&seed=4")
    assert not same_weights(fresh.net, nets["best"])
    assert same_weights(fresh.net, open_subject("runs/mine", untrained=True, seed=4).net)
    assert fresh.size == 48


@pytest.mark.parametrize(
    ("data", "size", "mean"),
    [
        ({"_target_": "cornet.stimuli.objects.RenderedObjects", "train_images": 8}, 64, (0.5, 0.5, 0.5)),
        ({"_target_": "cornet.stimuli.objects.RenderedObjects", "size": 32}, 32, (0.5, 0.5, 0.5)),
        (
            {"_target_": "cornet.stimuli.datasets.cifar.Cifar", "name": "cifar100", "folder": "x"},
            32,
            (0.5071, 0.4865, 0.4409),
        ),
        (
            {"_target_": "cornet.stimuli.datasets.photographs.ImageFolder", "folder": "x"},
            224,
            (0.485, 0.456, 0.406),
        ),
        ({"_target_": "my.images.Source", "size": 40}, 40, (0.485, 0.456, 0.406)),
    ],
)
def test_images_are_those_of_the_runs_data(tmp_path, data, size, mean):
    make_run(tmp_path / "run", data, ("last",))
    one = open_subject("run")
    assert (one.size, one.mean) == (size, mean)


def test_a_real_run_where_there_is_one():
    folder = ROOT / "runs" / "tiny_s" / "default" / "seed0"
    if not (folder / "checkpoints" / "best.ckpt").is_file():
        pytest.skip("no such run here")
    one = open_subject(str(folder))
    found = one.record(stimuli(4), one.sites())
    assert one.size == 64
    assert all(np.isfinite(values).all() for values in found.features.values())


def test_names_of_our_networks(tmp_path):
    one = open_subject("cornet_s?untrained&width=0.125&times.V4=6&num_classes=5&size=32", seed=2)
    assert one.net.steps == {"V1": 1, "V2": 2, "V4": 6, "IT": 2}
    assert one.size == 32
    torch.manual_seed(2)
    assert same_weights(one.net, create_model("cornet_s", times={"V4": 6}, **SMALL))
    torch.save({"state_dict": to_published(create_model("cornet_s", **SMALL))}, tmp_path / "mine.pth")
    loaded = open_subject("cornet_s?weights=mine.pth&width=0.125&num_classes=5")
    by_file = open_subject("mine.pth")
    assert same_weights(loaded.net, by_file.net)
    assert by_file.size == 224


@pytest.mark.parametrize(("name", "text"), [("cornet_rt-1.pth", ""), ("x.pth", "?model=cornet_rt")])
def test_published_files_of_r_and_rt_are_alike_and_say_so(tmp_path, name, text):
    torch.save(to_published(create_model("cornet_rt", **SMALL)), tmp_path / name)
    assert open_subject(name + text).net.unroll == "synchronous"
    torch.save(to_published(create_model("cornet_r", **SMALL)), tmp_path / "x.pth")
    with pytest.raises(CornetError, match="which have the same layout"):
        open_subject("x.pth")


def test_opening_draws_nothing_from_the_random_state():
    state = torch.random.get_rng_state()
    open_subject("cornet_z?untrained&width=0.125")
    open_subject("torchvision:alexnet?untrained")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_torchvision_with_weights_from_a_file(tmp_path):
    torch.manual_seed(9)
    net = models.resnet18(weights=None)
    torch.save(net.state_dict(), tmp_path / "r.pth")
    one = open_subject("torchvision:resnet18?weights=r.pth&size=32&V4=layer2&IT=layer4")
    assert isinstance(one, LayerSubject)
    assert same_weights(one.module, net)
    assert one.mean == (0.485, 0.456, 0.406)
    assert one.site("V4") == Site("layer2")
    other = open_subject("torchvision:resnet18?weights=r.pth&size=32&layers.FFA=layer4&layers.V4=layer3")
    assert (other.site("FFA"), other.site("V4")) == (Site("layer4"), Site("layer3"))
    with pytest.raises(CornetError, match=r"takes no option 'FFA'; .*layers\.NAME"):
        open_subject("torchvision:resnet18?untrained&FFA=layer4")
    assert open_subject("torchvision:resnet18?untrained").size == 224
    with pytest.raises(CornetError, match="does not contain the weights of torchvision:alexnet"):
        open_subject("torchvision:alexnet?weights=r.pth")


APART = "none", "number", "list", "text", "empty", "nested"
AMONG = "sparse", "meta", "complex", "quantized", "integer", "bool", "shape", "nothing"


def odd(kind):
    """What stands under state_dict, or in place of one weight."""
    ones = torch.ones(64)
    return {
        "none": None,
        "number": 3,
        "list": [ones],
        "text": "weights",
        "empty": {},
        "nested": {"bn1.weight": {"deeper": ones}},
        "sparse": ones.to_sparse(),
        "meta": torch.empty(64, device="meta"),
        "complex": torch.ones(64, dtype=torch.complex64),
        "quantized": torch.quantize_per_tensor(ones, 0.1, 0, torch.quint8),
        "integer": torch.ones(64, dtype=torch.int64),
        "bool": torch.ones(64, dtype=torch.bool),
        "shape": torch.ones(65),
        "nothing": torch.ones(0),
    }[kind]


@pytest.mark.filterwarnings(
    "ignore:.*uantized:DeprecationWarning", "ignore:.*quantize_per_tensor.*:UserWarning"
)
@pytest.mark.parametrize(
    ("library", "kind"),
    [
        *(("torchvision", kind) for kind in (*APART, *AMONG)),
        ("timm", "text"),
        ("timm", "shape"),
        ("timm", "meta"),
    ],
)
def test_odd_weights_for_a_library_are_one_sentence(tmp_path, library, kind):
    pytest.importorskip("timm")
    value = odd(kind)
    if kind in AMONG:
        value = {**models.resnet18(weights=None).state_dict(), "bn1.weight": value}
    torch.save({"state_dict": value}, tmp_path / "odd.pth")
    with pytest.raises(CornetError) as error:
        open_subject(f"{library}:resnet18?weights=odd.pth")
    assert "odd.pth" in str(error.value)
    assert str(error.value).count(". ") == 0


@pytest.mark.parametrize("arguments", [{"times": {"V4": 3}}, {"norm": "shared_affine"}, {"bottleneck": 2}])
def test_a_plain_state_dict_of_our_own_network(tmp_path, arguments, caplog):
    net = create_model("cornet_s", num_classes=7, width=0.0625, **arguments)
    torch.save(net.state_dict(), tmp_path / "mine.pth")
    subject = open_subject("mine.pth")
    assert same_weights(subject.net, net)
    assert subject.net.steps == net.steps
    assert "loaded as a network with block bottleneck" in caplog.text


@pytest.mark.parametrize(
    ("name", "arguments", "option"),
    [
        ("cornet_rt", {"times": 4}, "&times=4"),
        ("cornet_s", {"norm": "group", "times": {"IT": 3}}, "&norm=group&times.IT=3"),
    ],
)
def test_a_state_dict_that_hides_its_steps_must_be_named(tmp_path, name, arguments, option):
    net = create_model(name, num_classes=7, width=0.0625, **arguments)
    torch.save(net.state_dict(), tmp_path / "mine.pth")
    with pytest.raises(CornetError, match=rf"how many steps.*as in {name}\?weights=\S*mine.pth&times=5"):
        open_subject("mine.pth")
    subject = open_subject(f"{name}?weights=mine.pth&num_classes=7&width=0.0625{option}")
    assert same_weights(subject.net, net)
    assert subject.net.steps == net.steps


def test_whole_numbers_are_not_weights(tmp_path):
    net = create_model("cornet_z", num_classes=7, width=0.0625)
    state = {
        key: value.long() if key == "decoder.weight" else value for key, value in net.state_dict().items()
    }
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(CornetError, match=r"mine.pth holds torch.int64 under 'decoder.linear.weight'"):
        open_subject("mine.pth")


def test_timm_takes_its_own_preprocessing():
    pytest.importorskip("timm")
    one = open_subject("timm:mixer_s32_224?untrained", regions={"IT": "blocks.6"})
    assert (one.size, one.mean) == (224, (0.5, 0.5, 0.5))
    assert one.site("IT") == Site("blocks.6")


def test_a_download_that_fails_is_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.setenv("TORCH_HOME", "hub")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(CornetError, match=r"torchvision:alexnet\?weights=PATH.*\?untrained"):
        open_subject("torchvision:alexnet")
    with pytest.raises(CornetError, match=r"cornet_z\?weights=PATH.*cornet_z\?untrained"):
        open_subject("cornet_z")


def test_filters_and_degrees():
    assert isinstance(open_subject("pixels"), PixelSubject)
    one = open_subject("gabor?size=96&degrees=4")
    assert isinstance(one, GaborSubject)
    assert (one.size, one.degrees) == (96, 4)


def write_features(path, **arrays):
    ids = stimuli(6).ids[::-1]
    rng = np.random.default_rng(0)
    np.savez(
        path,
        **(
            {"stimulus_ids": ids, "V4": rng.normal(size=(6, 3)), "IT[1]": rng.normal(size=(6, 2, 2))} | arrays
        ),
    )


def test_recorded_features(tmp_path):
    (tmp_path / "mine").mkdir()
    write_features(tmp_path / "mine" / "features.npz", **{"IT[0]": np.zeros((6, 4))})
    one = open_subject("mine")
    assert isinstance(one, RecordedSubject)
    assert one.sites() == [Site("V4"), Site("IT", 0), Site("IT", 1)]
    assert one.site("IT") == one.readout_site() == Site("IT", 1)
    assert one.with_regions({"V1": "V4"}).site("V1") == Site("V4")
    held = np.load(tmp_path / "mine" / "features.npz")["IT[1]"]
    found = one.record(stimuli(4), [Site("IT", 1)])
    assert found.stimulus_ids.tolist() == ["s000", "s001", "s002", "s003"]
    np.testing.assert_array_equal(found[Site("IT", 1)], held[::-1][:4].reshape(4, 4))
    write_features(tmp_path / "other.npz")
    assert open_subject("other.npz").identity != one.identity
    with pytest.raises(CornetError, match="no features for 2 of the 8 stimuli"):
        one.record(stimuli(8), [Site("V4")])
    with pytest.raises(CornetError, match="no 'V2'"):
        one.site("V2")


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"stimulus_ids": np.array(["a"] * 6)}, "remove the duplicates"),
        ({"V4": np.zeros((5, 3))}, "V4 as float64 of shape"),
        ({"V4": np.array(["x"] * 6)[:, None]}, "needs numbers"),
        ({"V4": np.array([[np.nan]] * 6)}, "6 values in V4 that are not finite"),
        ({"V4": np.array([{}] * 6, object)[:, None]}, "damaged or not a .npz"),
    ],
)
def test_recorded_features_that_cannot_be(arrays, match):
    write_features("bad.npz", **arrays)
    with pytest.raises(CornetError, match=match):
        open_subject("bad.npz")


def test_damaged_and_missing_features(tmp_path):
    write_features("f.npz")
    content = (tmp_path / "f.npz").read_bytes()
    for damaged in (
        content[:200],
        b"",
        b"text",
        content.replace("s003".encode("utf-32-le"), "s009".encode("utf-32-le")),
    ):
        (tmp_path / "f.npz").write_bytes(damaged)
        with pytest.raises(CornetError, match=r"f\.npz"):
            open_subject("f.npz")
    with pytest.raises(CornetError, match="does not exist"):
        open_subject("g.npz")
    np.savez("h.npz", V4=np.zeros((2, 2)))
    with pytest.raises(CornetError, match="stimulus_ids is required"):
        open_subject("h.npz")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("cornet_x", "did you mean cornet_"),
        ("cornet_s?untrained&widht=1", "did you mean width"),
        ("cornet_s?untrained=yes", "write untrained alone"),
        ("cornet_s?seed", "'seed' without a value"),
        ("cornet_s?untrained&seed=x", "seed='x'"),
        ("cornet_s?weights=nowhere.pth", "nowhere.pth"),
        ("torchvision:resnet1", "did you mean resnet"),
        ("torchvision:resnet18?untrained&V4=layr2", "did you mean layer2"),
        ("torchvision:resnet18?untrained&width=2", "no option 'width'"),
        ("torchvision:resnet18?untrained&weights=x", "exclude each other"),
        ("timm:resnt18?untrained", "did you mean resnet18"),
        ("gabor?sise=32", "did you mean size"),
        ("folder", "neither a run"),
        ("folder/note.txt", "note.txt is not a checkpoint"),
        ("folder/not.txt", "did you mean folder/note.txt"),
        ("/dev/null", "'/dev/null' is neither a file nor a folder"),
        ("run?first", "'first' without a value"),
        ("begun", "no checkpoint best or last or best_brain yet"),
        ("run?untrained&IT=V9", "no V9"),
    ],
)
def test_mistakes(tmp_path, text, match):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note.txt").write_text("hello")
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    make_run(tmp_path / "run")
    with pytest.raises(CornetError, match=match) as caught:
        open_subject(text)
    assert "\n" not in str(caught.value)


def test_several_runs_and_a_checkpoint_without_its_run(tmp_path):
    make_run(tmp_path / "runs" / "a" / "seed0")
    make_run(tmp_path / "runs" / "a" / "seed0.old1")
    make_run(tmp_path / "runs" / "b" / "seed0")
    assert open_subject("runs/a").size == 48
    with pytest.raises(CornetError, match="contains 2 runs"):
        open_subject("runs")
    (tmp_path / "runs" / "a" / "seed0" / "checkpoints" / "best.ckpt").rename(tmp_path / "alone.ckpt")
    with pytest.raises(CornetError, match=r"alone\.ckpt\?size=64"):
        open_subject("alone.ckpt")
    assert open_subject("alone.ckpt?size=64").size == 64
    (tmp_path / "runs" / "a" / "seed0" / "config.yaml").write_text("data: [unclosed")
    with pytest.raises(CornetError, match=r"config\.yaml cannot be read"):
        open_subject("runs/a")
