"""HMAX as a network: its cells, areas, variants, gradients, and what is refused."""

import logging

import numpy as np
import pytest
import torch

from cornet import CornetError, create_model
from cornet.brain import open_subject
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.subject import Site
from cornet.models.hmax.cells import FILTERS, squared_distances
from cornet.models.hmax.network import arrangements
from cornet.models.hmax.patches import learn_patches
from tests.helpers.stimuli.pictures import picture

PIXELS = {"mean": (0, 0, 0), "std": (1, 1, 1), "num_classes": 3}
"""Arguments of a network that takes pixels, 0..1."""


def scene(height=64, width=64, seed=0):
    """A made-up photograph (1, 3, y, x), 0..1."""
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    image = (picture(height, width, seed) + noise).clip(0, 255)
    return torch.tensor(image / 255, dtype=torch.float32).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def net():
    """Four bands, patches of 2, 4 and 6."""
    return create_model("hmax", size=64, per_size=10, **PIXELS).eval()


def states_of(net, images, **arguments):
    with torch.no_grad():
        _, states = net.eval()(images, return_states=True, **arguments)
    return {name: state[0] for name, state in states.items()}


@pytest.mark.parametrize("version", ["2007", "1999"])
@pytest.mark.parametrize("size", [7, 29, 37])
def test_filters_have_mean_0_and_norm_1_and_are_even(version, size):
    filters = FILTERS[version](size)
    assert np.abs(filters.sum((1, 2))).max() < 1e-12
    np.testing.assert_allclose(np.linalg.norm(filters, axis=(1, 2)), 1)
    np.testing.assert_allclose(filters, filters[:, ::-1, ::-1], atol=1e-15)
    np.testing.assert_allclose(filters[0], filters[2].T, atol=1e-15)


def test_contrast_and_brightness_scale_do_not_matter(net):
    dark, bright = states_of(net, scene() / 3), states_of(net, scene())
    for area in ("S1", "C1", "S2", "C2"):
        torch.testing.assert_close(dark[area], bright[area], rtol=0, atol=2e-6)


def test_normalisation_is_undone_and_black_stays_black(net):
    image = scene()
    image[..., :40, :] = 0
    image[..., 20, 20] = 1 / 255  # the weakest pixel that is not black
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    other = create_model("hmax", size=64, per_size=10, num_classes=3).eval()
    normalised = (image - mean[:, None, None]) / std[:, None, None]
    found, expected = states_of(other, normalised), states_of(net, image)
    for area in ("S1", "C1", "S2", "C2"):
        torch.testing.assert_close(found[area], expected[area], rtol=0, atol=1e-4)
    assert found["S1"][0, :8, 28:33].abs().max() < 1e-4
    assert found["S1"][0, :4, 20, 20].min() > 0.1


def test_a_grating_drives_its_band_and_orientation(net):
    wave = 0.5 + 0.5 * torch.cos(2 * torch.pi * torch.arange(64.0) / 5.6)
    for channel, image in ((0, wave[:, None].expand(64, 64)), (2, wave.expand(64, 64))):
        grey = image.expand(1, 1, 64, 64)
        strongest = torch.stack([cells[0].mean((1, 2)) for cells in net.c1_maps(grey)])
        assert strongest.argmax(1)[1] == channel
        peaks = torch.stack([cells[0].amax((1, 2)) for cells in net.c1_maps(grey)])
        assert peaks[:, channel].argmax() == 1


def test_c2_tolerates_a_shift_that_s1_does_not(net):
    image = scene(65, 65)
    one, other = states_of(net, image[..., 1:, 1:]), states_of(net, image[..., 1:, :-1])

    def change(area):
        return ((one[area] - other[area]).abs() / one[area].abs().clamp(min=1e-3)).median()

    assert change("C2") < 0.05
    assert change("S1") > 5 * change("C2")


def test_a_patch_is_found_where_it_was_cut(net):
    pixels = picture(64, 64, seed=3)
    cut = learn_patches([pixels], sizes=(4,), per_size=20, bands=net.bands)
    image = torch.tensor(pixels / 255, dtype=torch.float32).permute(2, 0, 1)[None]
    arguments = {"size": 64, "patches": cut, **PIXELS}
    assert states_of(create_model("hmax", tuning="euclidean", **arguments), image)["C2"].max() < 1e-3
    assert states_of(create_model("hmax", **arguments), image)["C2"].min() > 1 - 1e-6
    worst = states_of(create_model("hmax", published=True, **arguments), image)["C2"]
    assert worst.max() < 0.998


def test_images_that_are_not_square(net):
    image = scene(64, 96)
    whole, part = net.c1_maps(net.grey(image)), net.c1_maps(net.grey(image[..., :64]))
    for wide, square, band in zip(whole, part, net.bands, strict=True):
        assert wide.shape[-2:] == (64 // band.step + 1, 96 // band.step + 1)
        inside = (64 - max(band.sizes) // 2 - band.pool) // band.step - 1
        torch.testing.assert_close(wide[..., :inside], square[..., :inside], rtol=0, atol=1e-6)
    assert net(scene(40, 100)).shape == (1, 3)
    assert net(scene(1, 1)).isfinite().all()


def test_images_of_a_batch_do_not_influence_each_other(net):
    images = torch.cat([scene(seed=1), scene(seed=2)])
    together = states_of(net, images)
    for index in range(2):
        for area, state in states_of(net, images[index : index + 1]).items():
            torch.testing.assert_close(together[area][index], state[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("tuning", ["gaussian", "euclidean"])
def test_gradients_reach_the_pixels_from_every_area(tuning):
    cut = learn_patches([picture(64, 64)], sizes=(2,), per_size=4)
    net = create_model("hmax", size=64, patches=cut, tuning=tuning, **PIXELS).eval()
    image = torch.tensor(picture(64, 64) / 255, dtype=torch.float32).permute(2, 0, 1)[None]
    image[..., :20] = 0  # windows without energy, and distances of 0 to the patches that were cut
    for area in ("S1", "C1", "S2", "C2"):
        pixels = image.clone().requires_grad_()
        _, states = net(pixels, return_states=True)
        states[area].square().sum().backward()
        assert pixels.grad.isfinite().all()
        assert pixels.grad.abs().max() > 0
    assert not any(name.startswith(("filters", "patches")) for name, _ in net.named_parameters())


def test_areas_states_and_regions(net):
    states = states_of(net, scene().repeat(2, 1, 1, 1))
    assert {name: tuple(state.shape) for name, state in states.items()} == {
        "S1": (2, 32, 64, 64),
        "C1": (2, 4, 17**2 + 13**2 + 11**2 + 10**2),
        "S2": (2, 30, 4),
        "C2": (2, 30),
    }
    assert torch.equal(states["S2"].amax(-1), states["C2"])
    assert {name: area.region for name, area in net.area_table.items()} == {
        "S1": "V1",
        "C1": "V2",
        "S2": "V4",
        "C2": "IT",
    }
    assert torch.equal(net(scene()), net.decoder(states["C2"][:1]))


def test_the_areas_are_computed_in_float32_under_autocast(net):
    with torch.autocast("cpu", torch.bfloat16):
        logits, states = net(scene(), return_states=True)
    assert logits.dtype == torch.bfloat16
    assert all(torch.equal(states[area][0], state) for area, state in states_of(net, scene()).items())


def test_small_images_use_fewer_bands_and_smaller_patches(caplog):
    expected = {224: (8, 8), 111: (8, 8), 110: (7, 5), 64: (4, 3), 32: (1, 1), 9: (1, 1)}
    with torch.device("meta"):
        nets = {size: create_model("hmax", size=size) for size in expected}
    found = {size: (len(net.bands), len(net.patch_counts)) for size, net in nets.items()}
    assert found == expected
    assert nets[64].patch_counts == {2: 125, 4: 125, 6: 125}
    with caplog.at_level(logging.WARNING, "cornet"):
        create_model("hmax", size=64, per_size=1)
    assert [record.getMessage() for record in caplog.records] == [
        "images of 64 pixels are small: hmax uses filters up to 21 pixels and patches of 2, 4, 6 cells"
    ]


def test_1999():
    net = create_model("hmax", version=1999, size=64, **PIXELS)
    assert [max(band.sizes) for band in net.bands] == [9, 15, 21]
    states = states_of(net, scene())
    assert states["C2"].shape == (1, 256)
    assert states["S1"].shape[1] == 4 * 8
    cells = net.c1_maps(net.grey(scene()))[0]
    masks = torch.tensor(arrangements(), dtype=torch.float32)
    assert torch.equal(masks.sum((1, 2, 3)), torch.full((256,), 4.0))
    assert len(masks.unique(dim=0)) == 256
    # Each S2 cell reads four C1 cells and wants 1 from each.
    window = cells[0, :, 5:7, 8:10]
    expected = ((window - 1).square() * masks).sum((1, 2, 3))
    torch.testing.assert_close(squared_distances(cells, masks, masks)[0, :, 5, 8], expected)


def test_distances_are_those_of_a_loop():
    rng = torch.Generator().manual_seed(0)
    cells, patches = torch.rand(1, 4, 6, 7, generator=rng), torch.rand(3, 4, 3, 3, generator=rng)
    padded = torch.nn.functional.pad(cells, (1, 1, 1, 1))
    found = squared_distances(cells, patches)[0]
    for row in range(6):
        for column in range(7):
            window = padded[0, :, row : row + 3, column : column + 3]
            expected = (window - patches).square().sum((1, 2, 3))
            torch.testing.assert_close(found[:, row, column], expected)


def test_it_is_a_subject_without_a_checkpoint():
    subject = open_subject("hmax?per_size=2", size=64)
    assert subject.net.bands[-1].sizes == (19, 21)
    assert [subject.site(region) for region in ("V1", "V2", "V4", "IT")] == [
        Site(area, 0) for area in ("S1", "C1", "S2", "C2")
    ]
    assert subject.widths([Site("C2", 0)]) == {Site("C2", 0): 6}
    with pytest.raises(CornetError, match=r"hmax has no published weights; give pretrained=PATH"):
        create_model("hmax", pretrained=True)


def test_it_is_recorded_without_a_decoder_too():
    """As a task with heads of its own leaves it: without any parameter."""
    net = create_model("hmax", size=32, per_size=3, num_classes=2)
    net.decoder = torch.nn.Identity()
    assert NetworkSubject(net, size=32).widths([Site("C2", 0)]) == {Site("C2", 0): 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": 2005}, "version='2005' is unknown; choose one of 2007, 1999."),
        ({"tuning": "cosine"}, "tuning='cosine' is unknown; choose one of gaussian, euclidean."),
        ({"size": 0}, "size=0 must be 1 to 10,000 pixels per side"),
        ({"in_channels": 2}, "in_channels=2 must be 3 (RGB) or 1 (grey)."),
        ({"std": (1, 1, 0)}, "std=0.0 must be a number above 0."),
        ({"mean": (0.5, 0.5)}, "mean=[0.5, 0.5] has 2 numbers, but the images have in_channels=3"),
        ({"num_classes": -1}, "num_classes=-1 must be a whole number"),
        (
            {"sizes": []},
            "sizes=[] and per_size=125 must be different sizes and one number for all or for each",
        ),
        ({"sizes": [4, 4]}, "sizes=[4, 4] and per_size=125 must be different sizes"),
        ({"sizes": [4], "per_size": [3, 3]}, "sizes=[4] and per_size=[3, 3] must be different sizes"),
        ({"sizes": [1000]}, "sizes=1000 is too large; give at most 100."),
        ({"per_size": 0}, "per_size=0 must be a whole number, at least 1."),
        ({"patch_seed": -1}, "patch_seed=-1 must be a whole number, from 0 to 4294967295."),
        ({"version": 1999, "patches": "x.npz"}, "patches are fixed in version='1999'; leave them out"),
        ({"sizes": [40], "size": 32}, "a patch of size 40 does not fit into an image of 32 x 32 pixels"),
        ({"width": 0.5}, "hmax has no argument 'width'; choose from num_classes, version"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(CornetError) as caught:
        create_model("hmax", **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
