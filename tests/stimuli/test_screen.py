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


@pytest.mark.parametrize(
    ("height", "width", "degrees"), [(7, 9, 3.0), (33, 20, 11.3), (5, 5, 7.9), (1, 1, 5.0)]
)
def test_canvas_is_the_rounded_ratio_and_the_smaller_margin_above_and_left(height, width, degrees):
    image = noise(height, width)
    canvas = [max(1, round(side * 8 / degrees)) for side in (height, width)]
    expected = np.full((*canvas, 3), 128, np.uint8)
    for y in range(canvas[0]):
        for x in range(canvas[1]):
            down = y + (height - canvas[0]) // 2 if height > canvas[0] else y - (canvas[0] - height) // 2
            right = x + (width - canvas[1]) // 2 if width > canvas[1] else x - (canvas[1] - width) // 2
            if 0 <= down < height and 0 <= right < width:
                expected[y, x] = image[down, right]
    assert torch.equal(place_on_screen(image, degrees, 8, 16), place_on_screen(expected, 8, 8, 16))


def test_a_uniform_grey_stimulus_cannot_be_told_from_an_empty_screen():
    shown = place_on_screen(np.full((31, 17, 3), 128, np.uint8), 3, 8, 24)
    assert torch.equal(shown, grey_screens(1, 24)[0])


@pytest.mark.parametrize("degrees", [0, -1, float("nan"), float("inf"), 0.1, 1000])
def test_visual_angles_that_cannot_be_are_refused(degrees):
    with pytest.raises(CornetError, match="degrees"):
        place_on_screen(noise(4, 4), degrees, 8, 8)
