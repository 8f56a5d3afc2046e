import numpy as np
import pytest
import torch
from PIL import Image

from cornet.errors import CornetError
from cornet.stimuli.screen import grey_screens, place_on_screen

RNG = np.random.default_rng(0)


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_equal_degrees_resize_the_image_itself():
    image = noise(40, 60)
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    shown = place_on_screen(image, 8, 8, 32)
    assert shown.shape == (3, 32, 32)
    assert shown.dtype == torch.uint8
    assert np.abs(shown.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_a_small_stimulus_is_surrounded_by_mid_grey():
    image = noise(20, 20)
    shown = (
        place_on_screen(image, 4, 8, 40).permute(1, 2, 0).numpy()
    )  # the canvas is 40 pixels: nothing is resized
    expected = np.full((40, 40, 3), 128, np.uint8)
    expected[10:30, 10:30] = image
    assert np.array_equal(shown, expected)


def test_a_large_stimulus_loses_its_margin():
    image = noise(40, 60)
    shown = place_on_screen(image, 16, 8, 30)  # the canvas is 20 x 30
    expected = np.asarray(Image.fromarray(image[10:30, 15:45]).resize((30, 30), Image.Resampling.BILINEAR))
    assert np.abs(shown.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize("degrees", [1.7, 3.0, 5.3, 7.9, 8.1, 11.3, 16.0])
@pytest.mark.parametrize(("height", "width"), [(7, 9), (33, 20), (5, 5), (30, 32), (41, 43)])
def test_the_canvas_and_the_place_on_it_are_those_of_brain_score(height, width, degrees):
    """By the reference's rule: Pillow's paste or crop, at half of the margin as NumPy rounds it."""
    image = Image.fromarray(noise(height, width))
    size = np.array(image.size)
    canvas = (size * 8 / degrees).round().astype(int)
    first = (abs(canvas - size) / 2).round().astype(int)
    if degrees < 8:
        expected = Image.new("RGB", tuple(canvas.tolist()), "gray")
        expected.paste(image, tuple(first.tolist()))
    else:
        expected = image.crop((*first.tolist(), *(first + canvas).tolist()))
    shown = place_on_screen(np.array(image), degrees, 8, 16)
    assert torch.equal(shown, place_on_screen(np.array(expected), 8, 8, 16))


def test_a_uniform_grey_stimulus_cannot_be_told_from_an_empty_screen():
    shown = place_on_screen(np.full((31, 17, 3), 128, np.uint8), 3, 8, 24)
    assert torch.equal(shown, grey_screens(1, 24)[0])


@pytest.mark.parametrize("degrees", [0, -1, float("nan"), float("inf"), 0.1, 1000])
def test_visual_angles_that_cannot_be_are_refused(degrees):
    with pytest.raises(CornetError, match="degrees"):
        place_on_screen(noise(4, 4), degrees, 8, 8)
