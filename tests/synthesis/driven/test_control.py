"""Several neuroids and starts: batches, what is there already, the choice by prediction, screens and 8-bit images."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.synthesis.driven import control
from cornet.synthesis.driven.control import Settings, score_of, synthesise
from cornet.synthesis.driven.predictor import image_side, to_images, to_pixels
from tests.helpers.stimuli.linear_predictor import linear_predictor

FEW = {"steps": 5, "starts": 2}


class Memory:
    """A store that counts."""

    def __init__(self):
        self.images = {}
        self.written = 0

    def read(self, neuroid, start):
        return self.images.get((neuroid, start))

    def write(self, neuroid, start, pixels):
        self.written += 1
        self.images[neuroid, start] = pixels


def test_batches_change_nothing_and_finished_images_are_not_made_again(monkeypatch):
    predictor, settings = linear_predictor(), Settings(**FEW)
    whole = synthesise(predictor, np.arange(3), 8, 1, settings)
    store = Memory()
    monkeypatch.setattr(control, "BATCH", 64)  # one image
    done = []
    single = synthesise(predictor, np.arange(3), 8, 1, settings, store, done.append)
    np.testing.assert_array_equal(single.pixels, whole.pixels)
    assert (store.written, single.made, done) == (6, 6, [0, 1, 2, 3, 4, 5, 6])
    del store.images[1, 0]
    store.images[2, 1] = np.zeros((4, 4, 1), np.uint8)  # of another size
    again = synthesise(predictor, np.arange(3), 8, 1, settings, store)
    np.testing.assert_array_equal(again.pixels, whole.pixels)
    assert (store.written, again.made) == (8, 2)


def test_a_stopped_synthesis_keeps_finished_batches(monkeypatch):
    monkeypatch.setattr(control, "BATCH", 128)  # two images
    store = Memory()

    def stop(done):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(linear_predictor(), np.arange(3), 8, 1, Settings(**FEW), store, stop)
    assert len(store.images) == 4
    assert synthesise(linear_predictor(), np.arange(3), 8, 1, Settings(**FEW), store).made == 2


def test_predictions_are_of_8_bit_images_in_the_unit_of_the_responses():
    predictor = linear_predictor()
    found = synthesise(predictor, np.array([2, 0]), 8, 1, Settings(**FEW))
    shown = found.pixels[..., 0].reshape(4, 64) / 255
    expected = shown @ predictor.mapping.weights.double().numpy() + 1
    np.testing.assert_allclose(found.predictions.reshape(4, 3), expected, atol=1e-4)
    np.testing.assert_allclose(found.scores[0], (found.predictions[0, :, 2] - 2) / 0.5, atol=1e-4)
    np.testing.assert_array_equal(found.best, found.scores.argmax(axis=1))
    np.testing.assert_array_equal(found.chosen[1], found.pixels[1, found.best[1]])


def test_one_hot_scores_are_of_the_population():
    predictor = linear_predictor()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    responses, scores, _ = score_of(predictor, pixels, np.array([1, 2]), "one_hot")
    z = (responses - 2) / 0.5
    expected = np.exp(z - z.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected[[0, 1], [1, 2]], atol=1e-5)


def test_images_come_back_from_8_bits():
    images = 2 * torch.rand(3, 3, 5, 5, generator=torch.Generator().manual_seed(0)) - 1
    assert (to_images(to_pixels(images)) - images).abs().max() <= 1 / 255 + 1e-6
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(to_pixels(to_images(every)), every)


def test_a_smaller_image_is_centred_on_grey():
    predictor = linear_predictor(5, screen=8)
    shown = predictor.on_screen(torch.ones(1, 1, 5, 5))
    assert shown.shape[-2:] == (8, 8)
    assert (shown[0, 0, 2:7, 2:7] == 1).all()  # half of the margin of 3, rounded to even
    assert shown[0, 0, 0, 0].item() == pytest.approx(128 / 255)
    assert shown.sum().item() == pytest.approx(25 + (64 - 25) * 128 / 255, rel=1e-6)
    assert (image_side(224, 8.0, 4.0), image_side(64, 8.0, 8.0), image_side(64, 8.0, 16.0)) == (112, 64, 64)
    with pytest.raises(CornetError, match="images of 1 degrees have 8 pixels"):
        image_side(64, 8.0, 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"mode": "stretched"}, "--mode='stretched' is unknown"),
        ({"steps": 0}, "--steps=0 must be"),
        ({"starts": 0}, "--starts=0 must be"),
        ({"step": 0.0}, "--step=0.0 must be a number above 0"),
        ({"variation": -1.0}, "--variation=-1.0 must be a number at least 0"),
        ({"variation": float("nan")}, "--variation=nan must be"),
        ({"seed": -1}, "--seed=-1 must be"),
    ],
)
def test_wrong_settings(words, message):
    with pytest.raises(CornetError, match=message):
        Settings(**words)


def test_one_hot_needs_a_population():
    with pytest.raises(
        CornetError, match="--mode one_hot drives one neuroid against the others, but there is 1"
    ):
        synthesise(linear_predictor(neuroids=1), np.arange(1), 8, 1, Settings("one_hot", **FEW))
