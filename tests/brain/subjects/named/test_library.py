"""Networks of torchvision and timm with weights of files, whose classifier heads may differ."""

import argparse
import logging

import pytest
import torch
from torchvision import models

from cornet import create_model, to_published
from cornet.brain.subjects import open_subject
from cornet.brain.subjects.named.library import head_of, number_of_classes
from cornet.errors import CornetError

NAME = "torchvision:shufflenet_v2_x0_5"
BUILT = "the head fc has 8 classes in the file, not 1000; it was built with 8"
UNTRAINED = "the head fc was not loaded; logits are those of an untrained head"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def state(seed=1, **arguments):
    torch.manual_seed(seed)
    return models.shufflenet_v2_x0_5(weights=None, **arguments).state_dict()


def opened(content, caplog, options="", name=NAME):
    caplog.clear()
    torch.save(content, "mine.pt")
    module = open_subject(f"{name}?weights=mine.pt&size=32{options}").module
    return module.state_dict(), caplog.messages


def same(found, expected, head=True):
    names = [key for key in expected if head or not key.startswith("fc.")]
    return all(torch.equal(found[key], expected[key]) for key in names)


def renamed(weights, **changes):
    return {key.replace("fc.", changes.get("head", "fc.")): value for key, value in weights.items()}


@pytest.mark.parametrize("prefix", ["", "model."])
def test_the_head_has_the_classes_of_the_file(prefix, caplog):
    weights = state(num_classes=8)
    found, lines = opened({"state_dict": {prefix + k: v for k, v in weights.items()}}, caplog)
    assert same(found, weights)
    removed = ", removed the prefix model." if prefix else ""
    assert lines == [f"mine.pt: read state_dict{removed}; {BUILT}"]
    assert opened(weights, caplog, "&num_classes=8")[1] == []


@pytest.mark.parametrize("left", ["absent", "other features", "more layers", "without bias"])
def test_another_head_is_left_untrained(left, caplog):
    weights = state()
    changed = {
        "absent": {key: value for key, value in weights.items() if not key.startswith("fc.")},
        "other features": {**weights, "fc.weight": torch.ones(8, 7)},
        "more layers": renamed(weights, head="fc.2."),
        "without bias": {key: value for key, value in weights.items() if key != "fc.bias"},
    }[left]
    found, lines = opened(changed, caplog)
    assert same(found, weights, head=False)
    assert not torch.equal(found["fc.weight"], weights["fc.weight"])
    assert lines == [f"mine.pt: {UNTRAINED}"]
    again, _ = opened(changed, caplog)
    assert same(again, found)  # drawn from the seed
    other, _ = opened(changed, caplog, "&seed=5")
    assert not torch.equal(other["fc.weight"], found["fc.weight"])


def test_num_classes_without_a_file():
    one = open_subject(f"{NAME}?untrained&num_classes=8&seed=3").module
    torch.manual_seed(3)
    assert same(one.state_dict(), models.shufflenet_v2_x0_5(weights=None, num_classes=8).state_dict())
    pytest.importorskip("timm")
    assert open_subject("timm:test_vit?untrained&num_classes=8").module.head.out_features == 8


def test_pretrained_weights_with_other_classes(monkeypatch, caplog):
    weights = state()
    real = models.get_model

    def get_model(name, weights=None, **options):
        module = real(name, weights=None, **options)
        if weights is not None:  # what a download would give
            assert not options
            module.load_state_dict(state())
        return module

    monkeypatch.setattr(models, "get_model", get_model)
    found = open_subject(f"{NAME}?num_classes=8").module.state_dict()
    assert same(found, weights, head=False)
    assert found["fc.weight"].shape[0] == 8
    assert caplog.messages == [f"{NAME}: {UNTRAINED}"]
    assert same(open_subject(f"{NAME}?num_classes=1000").module.state_dict(), weights)


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")
def test_a_network_with_two_heads(caplog):
    torch.manual_seed(0)
    net = models.googlenet(weights=None, num_classes=8, aux_logits=True, init_weights=False)
    torch.save(net.state_dict(), "mine.pt")
    module = open_subject("torchvision:googlenet?weights=mine.pt", regions={}).module
    assert torch.equal(module.aux1.fc2.weight, net.aux1.fc2.weight)
    assert caplog.messages == [f"mine.pt: {BUILT}"]


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        (lambda s: s, "&num_classes=10", r"mine\.pt has 8 classes in its head fc, but num_classes=10; leave out"),
        (lambda s: s, "&num_classes=x", "num_classes='x', which must be a number"),
        (lambda s: s, "&num_classes=0", r"num_classes=0, which must be 1 to 1,000,000"),
        (lambda s: s, "&num_classes=-3", "must be 1 to"),
        (lambda s: s, "&num_classes=2000000", "must be 1 to"),
        (lambda s: s, "&ema", "holds no averaged weights"),
        (lambda s: {**s, "more": torch.ones(1)}, "", r"does not contain .*0 are missing, 1 unexpected, 0 of another"),
        (lambda s: {**s, "conv1.0.weight": torch.ones(1)}, "", "1 of another shape, such as conv1.0.weight"),
        (lambda s: {k: v for k, v in s.items() if k != "conv1.0.weight"}, "", "1 are missing, .*such as conv1"),
        (lambda s: {**s, "conv1.0.weight": s["conv1.0.weight"].long()}, "", "must be floating-point"),
        (lambda s: {**s, "fc.weight": print}, "", "holds builtins.print under 'fc.weight'"),
        (lambda s: {**s, "fc.weight": torch.ones(8, 1024).long()}, "", "must be floating-point"),
        (
            lambda s: {**{f"a.{k}": v for k, v in s.items()}, **{f"b.{k}": v + 1 for k, v in s.items()}},
            "",
            "more than one set of weights that fit the network equally, under 'a.' and 'b.'",
        ),
    ],
)  # fmt: skip
def test_other_differences_are_one_sentence(change, options, match, caplog):
    with pytest.raises(CornetError, match=match) as error:
        opened(change(state(num_classes=8)), caplog, options)
    assert "\n" not in str(error.value)
    assert "mine.pt" in str(error.value)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (f"{NAME}?ema", "has ema, which chooses averaged weights in a file; give weights=PATH too"),
        (f"{NAME}?untrained&ema", "give weights=PATH too"),
        (f"{NAME}?ema=yes", "write ema alone"),
        ("cornet_s?ema", r"give cornet_s\?weights=PATH too"),
        ("pixels?ema", "no option 'ema'"),
    ],
)
def test_ema_needs_a_file(text, match):
    with pytest.raises(CornetError, match=match):
        open_subject(text)


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema"])
def test_averaged_weights_of_timm(key, caplog):
    pytest.importorskip("timm")
    import timm

    nets = [timm.create_model("test_vit", num_classes=5) for _ in range(2)]
    args = argparse.Namespace(lr=0.1)
    content = {"state_dict": nets[0].state_dict(), key: nets[1].state_dict(), "args": args, "epoch": 3}
    raw, [line] = opened(content, caplog, name="timm:test_vit")
    assert same(raw, nets[0].state_dict())
    assert line == (
        f"mine.pt: read state_dict; averaged weights are under {key} (choose them by ?ema or ema=True); "
        "args (argparse.Namespace) was not read; the head head has 5 classes in the file, not 1000; it was built with 5"
    )
    averaged, [line] = opened(content, caplog, "&ema", "timm:test_vit")
    assert same(averaged, nets[1].state_dict())
    assert line.startswith(
        f"mine.pt: read {key}; args (argparse.Namespace) was not read; the head head has 5"
    )


@pytest.mark.parametrize("named", [False, True])
def test_averaged_weights_of_our_own_networks(named, caplog):
    nets = [create_model("cornet_z", num_classes=5, width=0.05) for _ in range(2)]
    content = {"state_dict": to_published(nets[0]), "model_ema": to_published(nets[1]), "f": print}
    torch.save(content, "mine.pth")
    text = "cornet_z?weights=mine.pth&num_classes=5&width=0.05&ema" if named else "mine.pth?ema"
    assert same(open_subject(text).net.state_dict(), nets[1].state_dict())
    assert caplog.messages == ["mine.pth: read model_ema; f (builtins.print) was not read"]


def test_a_lightning_checkpoint_as_a_model(caplog):
    net = create_model("cornet_z", num_classes=5, width=0.05)
    weights = {f"model._orig_mod.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": {**weights, "criterion.weight": torch.ones(5)}, "loops": {}}, "mine.ckpt")
    assert same(open_subject("mine.ckpt").net.state_dict(), net.state_dict())
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 2  # the first says what a plain state dict does not
    assert lines[1] == (
        "mine.ckpt: read state_dict, removed the prefix model._orig_mod.; criterion.weight was not read"
    )


def test_the_head_is_the_last_linear_layer():
    assert head_of(models.squeezenet1_1(weights=None)) is None
    assert number_of_classes(models.squeezenet1_1(weights=None)) is None
    assert head_of(models.alexnet(weights=None)) == "classifier.6"
    net = models.squeezenet1_1(weights=None).state_dict()
    torch.save(net, "mine.pt")
    assert same(open_subject("torchvision:squeezenet1_1?weights=mine.pt").module.state_dict(), net)
