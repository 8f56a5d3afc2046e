"""Shifts and mirror images: where one bright pixel goes tells them."""

import numpy as np

from cornet.stimuli.samples import Key
from cornet.stimuli.shift import shift_and_flip

COUNT = 40_000


def draws(seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Top, left and mirrored of many images."""
    one = np.zeros((1, 1, 9, 41), np.uint8)
    one[..., 4, 8] = 255
    keys = [Key(index, epoch) for index in range(COUNT)]
    images = np.broadcast_to(one, (COUNT, 1, 9, 41))
    shown = shift_and_flip(images, keys, stream="test", seed=seed, shift=4, flip=True, colour=(0,))
    _, _, row, column = np.nonzero(shown)
    mirrored = column > 20
    return 8 - row, 12 - np.where(mirrored, 40 - column, column), mirrored


def test_places_and_flips_are_uniform_and_independent() -> None:
    first, second = draws(3, 0), draws(3, 1)
    for top, left, mirrored in (first, second):
        counts = np.bincount((top * 9 + left) * 2 + mirrored, minlength=162)
        expected = COUNT / 162
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert 161 - 4 * 18 < chi2 < 161 + 4 * 18  # mean and standard deviation of chi2 are 161 and 18
    assert abs(np.mean(first[0] == second[0]) - 1 / 9) < 0.01
    assert abs(np.corrcoef(first[0][1:], first[0][:-1])[0, 1]) < 0.02


def test_nothing_asked_for_is_nothing_done() -> None:
    images = np.arange(2 * 3 * 5 * 5, dtype=np.uint8).reshape(2, 3, 5, 5)
    shown = shift_and_flip(images, [Key(1, 7)], stream="test", seed=0, shift=0, flip=False)
    assert np.array_equal(shown[0], images[1])
