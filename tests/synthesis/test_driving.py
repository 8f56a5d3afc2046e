"""Images that drive neurons: the golden steps, known linear neuroids, and what cannot be driven."""

import math
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet.errors import CornetError
from cornet.synthesis.driven.factorised import FactorisedMapping
from cornet.synthesis.driving import drive, random_shifts, start_images, total_variation
from tests.helpers.paths import GOLDEN
from tests.helpers.stimuli.formula_stage import draw, stage


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "control.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def formula_network(dtype):
    """The stage and the mapping of the golden, for grey images in -1..1."""
    states = stage(dtype)
    space = torch.from_numpy(np.abs(draw("control:space", (2, 7, 7)))).to(dtype)
    features = torch.from_numpy(draw("control:features", (2, 12))).to(dtype)
    mapping = FactorisedMapping(space, features, torch.tensor([0.3, -0.2], dtype=dtype))
    return lambda images: mapping(states(((images + 1) / 2).expand(-1, 3, -1, -1)))


def golden_start(dtype):
    noise = np.random.default_rng(zlib.crc32(b"control:start")).uniform(-1, 1, (2, 32, 32))
    noise /= 2 * np.abs(noise).max(axis=(1, 2), keepdims=True)
    return torch.from_numpy(noise)[:, None].to(dtype)


@pytest.mark.parametrize("mode", ["stretch", "one_hot"])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equal_to_the_golden(golden, mode, dtype, atol):
    predict, start = formula_network(dtype), golden_start(dtype)
    neuroids = torch.arange(2)
    options = {"variation": 0.5, "step": 0.01}
    np.testing.assert_allclose(total_variation(start), golden["start_tv"], atol=atol)
    np.testing.assert_allclose(predict(start).detach(), golden["prediction_start"], atol=atol)
    one = drive(predict, start, neuroids, mode, steps=1, shifts=golden["shifts"][:1], **options)
    found = drive(predict, start, neuroids, mode, steps=20, shifts=golden["shifts"], **options)
    np.testing.assert_allclose(one.images[:, 0], golden[f"{mode}/image_after_1"], atol=atol)
    np.testing.assert_allclose(found.images[:, 0], golden[f"{mode}/image_after_20"], atol=10 * atol)
    np.testing.assert_allclose(found.losses, golden[f"{mode}/losses"], atol=10 * atol)
    np.testing.assert_allclose(found.predictions, golden[f"{mode}/prediction_end"], atol=10 * atol)


def test_total_variation_of_noise_and_of_nothing():
    noise = start_images(4, 64) * 2  # uniform in -1..1
    np.testing.assert_allclose(total_variation(noise), 2 / 3, rtol=0.05)
    assert total_variation(torch.full((1, 3, 8, 8), 0.3)).item() == 0


def test_a_linear_neuroid_is_followed_exactly():
    """Without variation and shifts, k steps change the image by .01 k w / sd(w); in the end it is the sign of w."""
    w = torch.randn(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def predict(images):
        return (images * w).sum(dim=(1, 2, 3))[:, None]

    start = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    which = torch.zeros(1, dtype=torch.int64)
    found = drive(predict, start, which, variation=0.0, steps=7)
    torch.testing.assert_close(found.images, 0.07 * w / w.std(correction=0), atol=1e-8, rtol=1e-7)
    ended = drive(predict, start, which, variation=0.0, steps=500, step=9.0)
    torch.testing.assert_close(ended.images, w.sign())
    assert (found.losses.diff(dim=0) < 0).all()


def test_a_batch_equals_single_runs():
    predict, start = formula_network(torch.float64), golden_start(torch.float64)
    shifts = random_shifts(5, 32)
    together = drive(
        predict, start, torch.tensor([1, 0]), "log_one_hot", variation=5.0, steps=5, shifts=shifts
    )
    for k, neuroid in enumerate((1, 0)):
        which = torch.tensor([neuroid])
        alone = drive(predict, start[k : k + 1], which, "log_one_hot", variation=5.0, steps=5, shifts=shifts)
        torch.testing.assert_close(alone.images[0], together.images[k], atol=1e-12, rtol=0)
    torch.testing.assert_close(start_images(3, 8)[:2], start_images(2, 8))


def test_shifts_change_nothing_for_a_neuroid_that_does_not_see_them():
    """A circular convolution, summed over all positions."""
    kernel = torch.randn(4, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def predict(images):
        states = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="circular"), kernel).square()
        return states.sum(dim=(2, 3))[:, :1]

    start, which = start_images(1, 12).double(), torch.zeros(1, dtype=torch.int64)
    options = {"variation": 0.0, "steps": 6}
    still = drive(predict, start, which, **options)
    shifted = drive(predict, start, which, shifts=torch.randint(-5, 6, (6, 2)), **options)
    torch.testing.assert_close(shifted.images, still.images, atol=1e-10, rtol=0)


def test_what_cannot_be_driven_is_refused():
    start, which = start_images(2, 8), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(CornetError, match="does not depend on the image"):
        drive(lambda images: images[:, 0, :1, 0] * 0 + 1, start, which, variation=0.0)
    with pytest.raises(CornetError, match="is not finite"):
        drive(lambda images: images[:, 0, :1, 0] * math.inf, start, which)
    with pytest.raises(CornetError, match="one neuroid for each image, not 1"):
        drive(lambda images: images[:, 0, :1, 0], start, which[:1])
    with pytest.raises(CornetError, match=r"shifts of shape \(3, 2\) must be \(200, 2\)"):
        drive(lambda images: images[:, 0, :1, 0], start, which, shifts=torch.zeros(3, 2))
    with pytest.raises(CornetError, match="mode"):
        drive(lambda images: images[:, 0, :1, 0], start, which, "strech")
    with pytest.raises(CornetError, match="must be"):
        FactorisedMapping(torch.zeros(2, 7, 7), torch.zeros(3, 12), torch.zeros(2))
