"""Steps of the search for metamers: their length, what they converge to, and what they cannot change."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet.synthesis.metamers import (
    Closeness,
    closeness,
    metamers,
    noise_images,
    passes,
    step_lengths,
    thresholds,
)
from tests.helpers.stimuli.formula_stage import stage


def targets(size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 + 0.4 * torch.rand(2, 3, size, size, dtype=torch.float64, generator=generator)


def start(size=16):
    return noise_images(2, size).double()


def test_each_step_moves_the_image_by_its_length():
    target, image, states = targets(32), start(32), stage(torch.float64)
    for length in (0.5, 0.05):
        moved = metamers(states, target, image, np.array([length])).images
        inside = (moved > 0) & (moved < 1)
        assert inside.all()  # nothing is clipped
        distance = (moved - image).flatten(1).norm(dim=1)
        torch.testing.assert_close(distance, torch.full((2,), length, dtype=torch.float64), atol=1e-8, rtol=0)
        image = moved


def test_clipping_shortens_a_step():
    image = torch.full((1, 3, 4, 4), 0.999, dtype=torch.float64)
    target = torch.ones_like(image)
    moved = metamers(lambda images: 2 * images, target, image, np.array([1.0])).images
    assert torch.equal(moved, target)


def test_the_input_converges_to_the_target():
    found = metamers(lambda images: images, targets(), start(), step_lengths(0.5, 60, 12))
    pixels = closeness(found.images, targets())
    assert (pixels.pearson > 0.999).all()


def test_an_invertible_linear_stage_converges_to_the_target():
    generator = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(192, 192, dtype=torch.float64, generator=generator)).Q
    scales = torch.linspace(1, 2, 192, dtype=torch.float64)
    found = metamers(
        lambda images: (images.flatten(1) @ turn) * scales, targets(8), start(8), step_lengths(0.5, 60, 14)
    )
    assert (closeness(found.images, targets(8)).pearson > 0.999).all()


def test_a_null_space_keeps_the_noise():
    """Average pooling: what differs from the mean of its window is invisible, so that it is never changed."""

    def rest(images):
        return images - F.interpolate(F.avg_pool2d(images, 4), scale_factor=4, mode="nearest")

    found = metamers(lambda images: F.avg_pool2d(images, 4), targets(), start(), step_lengths(0.3, 40, 14))
    assert float((rest(found.images) - rest(start())).abs().max()) < 1e-6
    pooled = closeness(F.avg_pool2d(found.images, 4), F.avg_pool2d(targets(), 4))
    assert (pooled.pearson > 0.999).all()  # a metamer
    assert (closeness(found.images, targets()).pearson < 0.5).all()  # of another image


def test_scaling_all_activations_changes_no_loss_and_no_step():
    states = stage(torch.float64)
    lengths = step_lengths(1.0, 3, 2)
    one = metamers(states, targets(32), start(32), lengths)
    other = metamers(lambda images: 17 * states(images), targets(32), start(32), lengths)
    torch.testing.assert_close(one.losses, other.losses, atol=1e-9, rtol=0)
    torch.testing.assert_close(one.images, other.images, atol=1e-9, rtol=0)


def test_the_loss_is_zero_at_the_target():
    states = stage(torch.float64)
    assert metamers(states, targets(32), targets(32), np.array([1e-9])).losses.max() == 0


def null(pairs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.rand(pairs, 80, generator=generator) for _ in range(2))
    return closeness(left, right)


def test_a_threshold_is_a_maximum_so_it_grows_with_the_pairs():
    every = null(400)

    def first(count):
        return Closeness(every.spearman[:count], every.pearson[:count], every.snr[:count], every.units)

    limits = [thresholds(first(count))["spearman"] for count in (5, 50, 400)]
    assert limits == sorted(limits)
    assert limits[0] < limits[2]
    assert limits[2] == pytest.approx(every.spearman.max())


def test_a_pair_of_equal_images_lets_nothing_pass():
    image = torch.rand(1, 80)
    equal = closeness(image, image)
    assert thresholds(equal) == {"spearman": pytest.approx(1), "pearson": pytest.approx(1), "snr": np.inf}
    assert not passes(closeness(image, image), equal).any()


def test_a_silent_pair_counts_zero():
    silent = closeness(torch.zeros(1, 80), torch.rand(1, 80))
    assert thresholds(silent) == {"spearman": 0, "pearson": 0, "snr": pytest.approx(0)}
    both = closeness(torch.rand(1, 80), torch.zeros(1, 80))
    assert thresholds(both)["snr"] == 0


def test_few_units_have_no_threshold_of_ranks():
    few = closeness(torch.rand(3, 49), torch.rand(3, 49))
    assert set(thresholds(few)) == {"pearson", "snr"}
