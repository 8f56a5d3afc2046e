"""Each input of a recording is changed in turn: the features are then those recorded without a cache."""

import functools
import os
import shutil
import threading
from types import MethodType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from cornet import brain
from cornet.brain.subjects import LayerSubject, NetworkSubject
from cornet.brain.subjects.identity import module_identity
from cornet.brain.subjects.subject import Site
from cornet.models import create_model
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.brain.small_bundles import ids

pytestmark = pytest.mark.usefixtures("caches")  # of its own for every test


def gained(gain):
    return lambda x: gain * torch.relu(x)


class Small(nn.Module):
    """A network with settings of all kinds besides its weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 3, 2, 1)
        self.register_buffer("shift", torch.zeros(1), persistent=False)
        self.gain, self.options = 1.0, SimpleNamespace(scale=[1.0], name="x")
        self.masks = {"one": [torch.ones(4, 1, 1)]}
        self.act, self.power = gained(1.0), functools.partial(torch.pow, exponent=1)
        self.plain = [nn.Conv2d(4, 4, 1)]

    def forward(self, x):
        x = self.gain * self.options.scale[0] * self.one(x) * self.masks["one"][0] + self.shift
        return self.power(self.plain[0](self.act(x)))


def lesion(module, inputs, output):
    return output * 0


def changed_forward(self, x):
    return self.one(x)


NETWORK_CHANGES = {
    "a weight": lambda net: net.one.weight.data[0, 0, 0, 0].add_(1e-3),
    "a buffer": lambda net: net.shift.add_(1),
    "a number": lambda net: setattr(net, "gain", 2.0),
    "a number inside an object": lambda net: net.options.scale.__setitem__(0, 2.0),
    "a tensor inside collections": lambda net: net.masks["one"][0].mul_(2),
    "what a function closes over": lambda net: setattr(net, "act", gained(2.0)),
    "an argument of a partial function": lambda net: setattr(
        net, "power", functools.partial(torch.pow, exponent=2)
    ),
    "a module in a plain list": lambda net: net.plain[0].weight.data.mul_(2),
    "a hook": lambda net: net.one.register_forward_hook(lesion),
    "a method": lambda net: setattr(net, "forward", MethodType(changed_forward, net)),
    "a stride": lambda net: setattr(net.one, "stride", (1, 1)),
}


@pytest.mark.parametrize("what", NETWORK_CHANGES)
def test_a_recording_after_a_change_of_the_network(what):
    net, shown = Small(), stimuli(4)
    one = LayerSubject(net, size=16)
    before = one.identity
    first = one.record(shown, [Site("logits")])
    assert one.identity == before == LayerSubject(Small(), size=16, name="another").identity
    NETWORK_CHANGES[what](net)
    changed, fresh = one.record(shown, [Site("logits")]), one.record(shown, [Site("logits")], cache=False)
    assert np.array_equal(changed[Site("logits")], fresh[Site("logits")])
    assert not np.array_equal(changed[Site("logits")], first[Site("logits")])


SHOWN = {
    "mean": ({"mean": (0, 0, 0)}, {}, {}),
    "std": ({"std": (1, 1, 1)}, {}, {}),
    "size": ({"size": 24}, {}, {}),
    "degrees": ({"degrees": 4.0}, {}, {}),
    "precision": ({"precision": "bfloat16"}, {}, {}),
    "steps": ({"times": {"V4": 6}}, {}, {}),
    "images": ({}, {"seed": 1}, {}),
    "degrees of the stimuli": ({}, {"degrees": 5.0}, {}),
    "degrees asked for": ({}, {}, {"degrees": 3.0}),
    "dtype": ({}, {}, {"dtype": "float16"}),
    "batch": ({}, {}, {"batch": 1}),
    "memory": ({}, {}, {"memory": 2000}),
}


@pytest.mark.parametrize("what", SHOWN)
def test_a_recording_after_a_change_of_what_is_shown(what):
    settings, looked_at, options = SHOWN[what]
    site = Site("V4", 3)
    net = create_model("cornet_s", width=0.1, num_classes=3)
    NetworkSubject(net, size=32).record(stimuli(6), [site])
    other, shown = NetworkSubject(net, **{"size": 32, **settings}), stimuli(6, **looked_at)
    found = other.record(shown, [site], **options)[site]
    assert np.array_equal(found, other.record(shown, [site], cache=False, **options)[site])


def test_features_of_a_file(tmp_path):
    path, known = tmp_path / "features.npz", set()
    for value in (0.0, 1.0):
        features = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
        features[2, 1] = value
        np.savez(path, stimulus_ids=ids(6), V4=features)
        os.utime(path, ns=(10**18, 10**18))
        known.add(brain.open_subject(str(path)).identity)
    shutil.copy(path, tmp_path / "copy.npz")
    assert len({*known, brain.open_subject(str(tmp_path / "copy.npz")).identity}) == 2


@pytest.mark.parametrize("text", ["seed=1", "times=3", "steps.V4=3", "width=0.2", "size=48", "degrees=4"])
def test_every_option_of_a_named_network_is_in_its_identity(text):
    plain = "cornet_s?untrained&width=0.1"
    other = f"cornet_s?untrained&{text}" if "width" in text else f"{plain}&{text}"
    assert brain.open_subject(plain).identity == brain.open_subject(plain).identity
    assert brain.open_subject(plain).identity != brain.open_subject(other).identity


def test_an_identity_can_be_had_of_a_network_that_holds_anything():
    net = Small()
    net.lock, net.itself, net.log = threading.Lock(), [net], __import__("logging").getLogger("x")
    net.many = {"set": {"b", "a"}, 3: None, "deep": [[[[[[[[[1]]]]]]]]]}
    assert module_identity(net) == module_identity(net)
