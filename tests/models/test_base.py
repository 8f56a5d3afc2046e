"""What `Network` does for a family: states, steps, read-outs, features, normalisation, compiling."""

import copy

import pytest
import torch

from cornet import CornetError, create_model
from cornet.models import Area, Network
from cornet.models.base import pooled
from tests.helpers.models.two_areas import TwoAreas


class Silent(Network):
    """A family without any output."""

    def run_areas(self, images, steps, keep_all):
        return {}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TwoAreas(num_classes=5).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32)


def test_states_and_the_table(net, images):
    logits, states = net(images, return_states=True)
    assert {name: tuple(state.shape) for name, state in states.items()} == {
        "A": (3, 2, 6, 8, 8),
        "B": (3, 2, 6, 4, 4),  # the step before the image has a batch of one
    }
    torch.testing.assert_close(logits, net.decoder(states["B"][-1].mean((2, 3))))
    assert net.steps == {"A": 3, "B": 3}
    assert (net.first_driven_step("A"), net.first_driven_step("B")) == (0, 1)
    assert not states["B"][0].any()
    with pytest.raises(CornetError, match="area 'V1' is unknown; this network has A, B"):
        net.first_driven_step("V1")


def test_readouts_are_of_the_driven_steps_and_features_are_what_the_decoder_reads(net, images):
    logits, (_, states) = net(images), net(images, return_states=True)
    every, features = net(images, readouts=True), net(images, features=True, readouts=True)
    assert every.shape == (2, 2, 5)
    assert torch.equal(every[-1], logits)
    assert torch.equal(features, states["B"][1:].mean((3, 4)))
    assert torch.equal(net.decoder(features), every)
    assert torch.equal(net(images, features=True), features[-1])


@pytest.mark.parametrize("name", ["cornet_z", "cornet_rt", "cornet_s"])
def test_features_of_cornet_are_those_of_it(name, images):
    net = create_model(name, num_classes=5, width=0.1).eval()
    features, states = net(images, features=True, return_states=True)
    assert torch.equal(features, states["IT"][-1].mean((2, 3)))
    assert torch.equal(net.decoder(features), net(images))


def test_more_steps(net, images):
    assert net.table_for(None) == net.area_table
    table = net.table_for(5)
    assert [area.steps for area in table.values()] == [5, 5]
    assert table["B"].region == "IT"
    assert net.table_for({"A": 4})["B"].steps == 3
    _, states = net(images, return_states=True, times=5)
    _, trained = net(images, return_states=True)
    assert torch.equal(states["A"][:3], trained["A"])
    assert not torch.equal(states["B"][4], states["B"][2])
    assert net.steps == {"A": 3, "B": 3}
    with pytest.raises(CornetError, match="first_driven_step=1 of area B must be 0 to 0"):
        net.table_for(1)


def test_pixels_are_normalised_inside(net):
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = torch.full((3, 1, 1), 120.0), torch.full((3, 1, 1), 60.0)
    expected = net((pixels - mean) / std)
    assert torch.equal(net(pixels, pixels=(mean, std)), expected)


def test_a_network_without_convolutions_normalises_too():
    class Flat(Network):
        def __init__(self):
            super().__init__([Area("V1", 1, 50, 100)], num_classes=2)
            self.decoder = torch.nn.Linear(12, 2)

        def run_areas(self, images, steps, keep_all):
            return {"V1": [images.flatten(1)]}

    net, pixels = Flat(), torch.randint(0, 256, (3, 3, 2, 2), dtype=torch.uint8)
    mean, std = torch.full((3, 1, 1), 120.0), torch.full((3, 1, 1), 60.0)
    logits, states = net(pixels, pixels=(mean, std), return_states=True)
    assert torch.equal(states["V1"][0], ((pixels - mean) / std).flatten(1))
    assert torch.equal(logits, net.decoder(states["V1"][0]))


def test_compiled_in_place(net, images):
    expected, states = net(images, return_states=True)
    features = net(images, features=True)
    keys = list(net.state_dict())
    torch._dynamo.reset()
    net.compile(backend="eager")
    with torch.no_grad():
        found, found_states = net(images, return_states=True)
        torch.testing.assert_close(net(images, features=True), features)
    assert net.compiled
    assert list(net.state_dict()) == keys
    assert not copy.deepcopy(net).compiled
    torch.testing.assert_close((found, found_states), (expected, states))
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("areas", "message"),
    [
        ([], "areas of name none"),
        ([Area("A", 1, 0, 1), Area("A", 1, 0, 1, region="B")], "areas of name A, A"),
        ([Area("A", 1, 0, 1), Area("B", 1, 0, 1, region="A")], "areas of region A, A"),
    ],
)
def test_tables_that_are_refused(areas, message):
    with pytest.raises(CornetError, match=message):
        Silent(areas, num_classes=2)


def test_a_family_must_say_how_its_areas_run():
    with pytest.raises(TypeError, match="run_areas"):
        Network([Area("A", 1, 0, 1)], num_classes=2)


def test_pooled():
    maps = torch.randn(2, 3, 4, 5)
    assert torch.equal(pooled(maps), maps.mean(dim=(-2, -1)))
    assert torch.equal(pooled(maps[..., 0, 0]), maps[..., 0, 0])
