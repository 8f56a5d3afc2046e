"""The visual diet: ages, the measured points, gratings at the limits, and images that are adult at the end."""

import math

import pytest
import torch

from cornet import CornetError
from cornet.stimuli.diet import (
    ADULT_THRESHOLD,
    VisualDiet,
    acuity,
    blurred,
    colour_sensitivity,
    contrast_threshold,
)


def images(size=64, seed=0):
    return torch.randint(
        0, 256, (4, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def grating(cycles_per_pixel, contrast=1.0, size=128):
    x = torch.arange(size, dtype=torch.float64)
    wave = 128 * (1 + contrast * torch.cos(2 * math.pi * cycles_per_pixel * x))
    return wave.expand(1, 3, size, size).clone()


def test_the_measured_points():
    assert acuity(1) == pytest.approx(30 * 6 / 360)
    assert acuity(12) == pytest.approx(30 * 6 / 18)
    assert acuity(60) == acuity(300) == pytest.approx(30)
    assert math.log10(contrast_threshold(2) / contrast_threshold(120)) == pytest.approx(1.9)
    assert contrast_threshold(400) == ADULT_THRESHOLD < contrast_threshold(96)  # not yet adult at 8 years
    for months in (3, 11, 50):
        assert colour_sensitivity(2 * months) == pytest.approx(2 * colour_sensitivity(months))
    assert colour_sensitivity(500) == 1


@pytest.mark.parametrize("limit", [0.05, 0.125, 0.25])
def test_a_tenth_of_the_contrast_is_left_at_the_acuity_limit(limit):
    shown = blurred(grating(limit), limit)[0, 0, 0, 32:-32]
    assert float(shown.max() - shown.min()) / 256 == pytest.approx(0.1, rel=0.05)
    assert torch.equal(blurred(grating(0.25), 0.5), grating(0.25))
    torch.testing.assert_close(
        blurred(torch.full((1, 3, 32, 32), 77.0), limit), torch.full((1, 3, 32, 32), 77.0)
    )


def test_contrast_below_the_threshold_vanishes():
    diet = VisualDiet(2, start=6, end=180, acuity=False, colour=False)
    lost = contrast_threshold(6)
    for contrast, left in ((0.9 * lost, 0.0), (0.8, 0.8 - lost + ADULT_THRESHOLD)):
        given = grating(1 / 16, contrast).clamp(0, 255).round().to(torch.uint8)
        shown = diet(given, 0)[0, 0, 0].float()
        assert float(shown.max() - shown.min()) / 256 == pytest.approx(left, abs=0.01)


def test_colours_fade_to_grey_of_the_same_luminance():
    diet = VisualDiet(2, start=18, end=180, acuity=False, contrast=False)
    given = images()
    shown, weights = (
        diet(given, 0).double(),
        torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(3, 1, 1),
    )
    assert ((shown - given.double()) * weights).sum(1).abs().max() < 1.1  # rounded
    spread = [(one.max(1).values - one.min(1).values).mean() for one in (shown, given.double())]
    assert float(spread[0] / spread[1]) == pytest.approx(0.1, abs=0.02)


def test_ages():
    diet = VisualDiet(5, start=2, end=162)
    assert [diet.age(k) for k in range(7)] == pytest.approx([2, 6, 18, 54, 162, 162, 162])
    back = VisualDiet(5, start=2, end=162, order="reversed")
    assert [back.age(k) for k in range(5)] == [diet.age(k) for k in range(4, -1, -1)]
    mixed = VisualDiet(5, start=2, end=162, order="shuffled", seed=1)
    assert sorted(mixed.age(k) for k in range(5)) == [diet.age(k) for k in range(5)]
    assert VisualDiet(1).age(0) == 180


def test_adult_images_are_unchanged_and_each_part_acts_alone():
    given = images()
    assert torch.equal(VisualDiet(3)(given, 2), given)
    for part in ("acuity", "contrast", "colour"):
        off = dict.fromkeys({"acuity", "contrast", "colour"} - {part}, False)
        assert not torch.equal(VisualDiet(3, start=1, **off)(given, 0), given)
    assert torch.equal(VisualDiet(3, acuity=False, contrast=False, colour=False)(given, 0), given)
    assert torch.equal(VisualDiet(3)(given, 0)[1:2], VisualDiet(3)(given[1:2], 0))


def test_mistakes():
    with pytest.raises(CornetError, match=r"start=12 and end=6 must be ages in months"):
        VisualDiet(3, start=12, end=6)
    with pytest.raises(CornetError, match="order"):
        VisualDiet(3, order="falling")
    with pytest.raises(CornetError, match="epochs"):
        VisualDiet(0)
