"""Crops and views against torchvision's transforms and Pillow's resizing."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop, v2

from cornet.stimuli.geometry import (
    VIEWS,
    Box,
    center_view,
    random_box,
    random_generator,
    resize_crop,
    squash_view,
)
from tests.helpers.stimuli.pictures import picture


def difference(a: torch.Tensor, b: torch.Tensor) -> int:
    assert a.shape == b.shape
    return int((a.int() - b.int()).abs().max())


def from_pillow(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def resized(image: np.ndarray, height: int, width: int) -> torch.Tensor:
    return from_pillow(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


BOXES = [Box(0, 0, 48, 64), Box(3, 5, 40, 31), Box(10, 20, 7, 9), Box(47, 63, 1, 1), Box(0, 0, 1, 64)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [8, 32, 56])
@pytest.mark.parametrize("flip", [False, True])
def test_resize_crop_is_pillows(box: Box, size: int, flip: bool) -> None:
    image = picture()
    crop = image[box.top : box.top + box.height, box.left : box.left + box.width]
    expected = resized(np.ascontiguousarray(crop), size, size)
    found = resize_crop(image, box, size, flip=flip)
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    assert difference(found, expected.flip(-1) if flip else expected) <= 1


def test_pixels_outside_the_box_have_no_influence() -> None:
    image, box = picture(), Box(10, 20, 21, 23)
    blank = np.zeros_like(image)
    blank[10:31, 20:43] = image[10:31, 20:43]
    assert torch.equal(resize_crop(image, box, 12), resize_crop(blank, box, 12))


def test_resizing_to_the_same_size_changes_nothing() -> None:
    image = picture(32, 32)
    same = torch.from_numpy(image).permute(2, 0, 1)
    assert torch.equal(resize_crop(image, Box(0, 0, 32, 32), 32), same)
    assert torch.equal(center_view(image, 32, 32), same)
    assert torch.equal(squash_view(image, 32), same)


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (50, 50), (31, 77), (300, 40), (20, 33)])
@pytest.mark.parametrize(("size", "short_side"), [(32, 37), (32, 32), (28, 32)])
def test_center_view_is_torchvisions(shape: tuple[int, int], size: int, short_side: int) -> None:
    image = picture(*shape)
    transform = v2.Compose([v2.Resize(short_side), v2.CenterCrop(size)])
    found = center_view(image, size, short_side)
    assert found.is_contiguous()
    assert difference(found, from_pillow(transform(Image.fromarray(image)))) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 400), (2, 17)])
@pytest.mark.parametrize("name", VIEWS)
def test_extreme_shapes(shape: tuple[int, int], name: str) -> None:
    image = picture(*shape)
    assert VIEWS[name](image, 32, 37).shape == (3, 32, 32)
    box = random_box(*shape, rng=random_generator(0, 0, 0))
    assert resize_crop(image, box, 32).shape == (3, 32, 32)


def test_center_view_shows_the_centre_of_a_long_image() -> None:
    image = np.zeros((4, 1000, 3), np.uint8)
    image[:, 498:502] = 255
    found = center_view(image, 32, 32)[0].float().mean(0)
    assert found[10:22].min() > 200
    assert center_view(image, 32, 32).flip(-1).sub(center_view(image, 32, 32)).abs().max() == 0


def test_squash_view_is_pillows() -> None:
    assert difference(squash_view(picture(77, 41), 32), resized(picture(77, 41), 32, 32)) <= 1


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (64, 64), (100, 900)])
def test_random_boxes_are_distributed_as_torchvisions(shape: tuple[int, int]) -> None:
    """Two-sample Kolmogorov-Smirnov distances of place and extent; 1,500 draws each."""
    count, image = 1500, torch.empty(3, *shape, dtype=torch.uint8)
    draws = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]
    ours = [random_box(*shape, rng=random_generator(5, 0, index)) for index in range(count)]
    for a, b in zip(np.array(draws).T, np.array(ours).T, strict=True):
        grid = np.unique(np.concatenate([a, b]))
        below = [np.searchsorted(np.sort(x), grid, side="right") / count for x in (a, b)]
        assert np.abs(below[0] - below[1]).max() < 1.95 * np.sqrt(2 / count)  # p = 0.001


def test_random_boxes_lie_within() -> None:
    rng = np.random.default_rng(0)
    for index in range(500):
        height, width = (int(n) for n in rng.integers(1, 60, 2))
        box = random_box(height, width, random_generator(0, 1, index), scale=(0.3, 0.9))
        assert box.top >= 0
        assert box.left >= 0
        assert box.height >= 1
        assert box.width >= 1
        assert box.top + box.height <= height
        assert box.left + box.width <= width


@pytest.mark.parametrize(
    ("shape", "expected"), [((10, 100), Box(0, 43, 10, 13)), ((100, 10), Box(43, 0, 13, 10))]
)
def test_fallback_is_the_largest_centred_box(shape: tuple[int, int], expected: Box) -> None:
    assert random_box(*shape, rng=random_generator(0, 0, 0), scale=(1, 1)) == expected


def test_whole_image() -> None:
    box = random_box(64, 64, random_generator(0, 0, 0), scale=(1, 1), ratio=(1, 1))
    assert box == Box(0, 0, 64, 64)


def test_draws_depend_on_seed_epoch_and_index_alone() -> None:
    def draw(*key: int) -> Box:
        return random_box(300, 400, random_generator(*key))

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert (
        len({draw(*key) for key in [(1, 2, 3), (2, 1, 3), (3, 2, 1), (0, 2, 3), (1, 0, 3), (1, 2, 0)]}) == 6
    )
