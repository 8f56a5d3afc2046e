import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain.subjects import LayerSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.stimuli.geometry import squash_view
from tests.helpers.brain.made_up_stimuli import stimuli


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


class Loop(nn.Module):
    """A layer that is called three times, one whose output is a tuple, and work in place."""

    def __init__(self):
        super().__init__()
        self.eye = nn.Conv2d(3, 4, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.again = nn.Conv2d(4, 4, 3, 1, 1)
        self.pair = Pair()
        self.unused = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.eye(x))
        for _ in range(3):
            x = torch.tanh(self.again(x))
        x, _ = self.pair(x)
        return self.head(x.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, {"rest": x}


@pytest.fixture
def loop():
    return LayerSubject(Loop(), regions={"V1": "eye", "IT": "again"}, size=16)


def shown_to(one, shown):
    screens = torch.stack([squash_view(image, one.size) for image in shown.pictures.images])
    mean, std = torch.tensor(one.mean).view(3, 1, 1), torch.tensor(one.std).view(3, 1, 1)
    return (screens / 255 - mean) / std


def test_a_layer_called_several_times_has_as_many_steps(loop):
    assert [str(site) for site in loop.sites()] == [
        *("eye[0]", "relu[0]", "again[0]", "again[1]", "again[2]", "pair[0]", "head[0]")
    ]
    shown, net = stimuli(5), loop.module
    found = loop.record(shown, loop.sites())
    with torch.no_grad():
        x = net.eye(shown_to(loop, shown))
        np.testing.assert_allclose(
            found[Site("eye")], x.flatten(1), atol=1e-5
        )  # before what follows in place
        x = x.relu()
        np.testing.assert_allclose(found[Site("relu")], x.flatten(1), atol=1e-5)
        for step in range(3):
            x = net.again(x)
            np.testing.assert_allclose(found[Site("again", step)], x.flatten(1), atol=1e-5)
            x = x.tanh()
        np.testing.assert_allclose(found[Site("pair")], 2 * x.flatten(1), atol=1e-5)
        np.testing.assert_allclose(found[Site("head")], net.head(2 * x.mean((2, 3))), atol=1e-5)


def test_regions_readout_inputs_and_logits(loop):
    assert loop.site("V1") == Site("eye")
    assert loop.site("IT", (70, 80)) == Site("again", 2)  # without intervals the last step
    assert loop.readout_site() == Site("head.input")
    timed = LayerSubject(
        loop.module, regions={"IT": "again"}, size=16, intervals={"again": [(0, 50), (50, 100), (100, 150)]}
    )
    assert timed.site("IT", (60, 80)) == Site("again", 1)
    assert LayerSubject(loop.module, regions={"IT": "again[1]"}, size=16).site("IT") == Site("again", 1)
    assert LayerSubject(loop.module, readout="pair", size=16).readout_site() == Site("pair")
    shown = stimuli(3)
    found = loop.record(shown, [Site("head.input"), Site("logits")])
    assert found[Site("head.input")].shape == (3, 4)
    with torch.no_grad():
        logits = loop.module(shown_to(loop, shown))
    np.testing.assert_allclose(found[Site("logits")], logits, atol=1e-5)


def test_hooks_and_flags_are_gone_afterwards(loop):
    loop.module.train()
    loop.record(stimuli(2), loop.sites())
    assert loop.module.training
    for part in loop.module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


@pytest.mark.parametrize("name", ["resnet18", "alexnet"])
def test_torchvision_networks_offer_their_blocks(name):
    from torchvision import models

    one = LayerSubject(models.get_model(name, weights=None, num_classes=7), size=64)
    layers = [site.layer for site in one.sites()]
    wanted = {
        "resnet18": ["conv1", "maxpool", "layer1.0", "layer1.1", "layer4.1", "avgpool", "fc"],
        "alexnet": ["features.0", "features.2", "features.12", "avgpool", "classifier.6"],
    }[name]
    assert set(wanted) <= set(layers)
    assert not {"layer1", "features", "classifier", "features.dropout"} & set(layers)
    assert layers.index(wanted[0]) < layers.index(wanted[-1])
    found = one.record(stimuli(2), [Site(wanted[2]), one.readout_site()], cache=False)
    assert all(len(values) == 2 and np.isfinite(values).all() for values in found.features.values())


def test_a_vision_transformer_of_timm():
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=3)
    one = LayerSubject(net, regions={"IT": "blocks.9"}, size=32)
    assert one.record(stimuli(2), [one.site("IT")])[one.site("IT")].shape == (2, 5 * 192)
    assert one.readout_site() == Site("head.input")


def test_identity_is_of_weights_structure_and_code():
    torch.manual_seed(0)
    first = Loop()
    second = Loop()
    second.load_state_dict(first.state_dict())
    assert LayerSubject(first, size=16).identity == LayerSubject(second, name="x", size=16).identity
    second.head.bias.data[0] += 1
    assert LayerSubject(first, size=16).identity != LayerSubject(second, size=16).identity

    def named_alike(scale):
        class Same(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = scale

            def forward(self, x):
                return x * self.scale

        return Same()

    assert LayerSubject(named_alike(1)).identity != LayerSubject(named_alike(2)).identity
    source = "class Made(nn.Module):\n    def forward(self, x):\n        return x {} 2\n"
    kinds = []
    for sign in "+*":
        space = {"nn": nn, "__name__": "console"}
        exec(source.format(sign), space)  # as typed in a console: without a source file
        kinds.append(space["Made"]())
    assert LayerSubject(kinds[0]).identity != LayerSubject(kinds[1]).identity


def test_noise_in_a_network_comes_from_a_fixed_seed():
    class Noisy(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) + torch.randn(len(x), 3)

    one, state = LayerSubject(Noisy(), size=8), torch.random.get_rng_state()
    first = one.record(stimuli(3), [Site("logits")], cache=False)
    again = one.record(stimuli(3), [Site("logits")], cache=False)
    np.testing.assert_array_equal(first[Site("logits")], again[Site("logits")])
    assert torch.equal(torch.random.get_rng_state(), state)


class Transposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten(0)

    def forward(self, x):
        self.flat(x)
        return x.mean((1, 2, 3))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: LayerSubject(Loop(), regions={"V4": "agian"}, size=16),
            "no layer 'agian'; did you mean again",
        ),
        (lambda: LayerSubject(Loop(), layers=["nothing.9"], size=16), "no layer 'nothing.9'"),
        (
            lambda: LayerSubject(Loop(), size=16).site("V4"),
            "no layer for region 'V4' .assigned: none.; assign one, such as V4=",
        ),
        (lambda: LayerSubject(Loop(), size=16).record(stimuli(2), [Site("again", 3)]), "called 3 times"),
        (
            lambda: LayerSubject(Loop(), size=16).record(stimuli(2), [Site("unused")]),
            "does not call its layer",
        ),
        (
            lambda: LayerSubject(Transposed(), size=8).record(stimuli(2), [Site("flat")]),
            "one row per stimulus",
        ),
        (lambda: LayerSubject(nn.Linear(3, 3), size=8).sites(), "does not accept images of"),
    ],
)
def test_mistakes(make, match):
    with pytest.raises(CornetError, match=match):
        make()
