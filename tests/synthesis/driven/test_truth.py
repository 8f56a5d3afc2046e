"""True responses of the simulated V1 and V2: what is known, what the truth itself can be driven to, and controls."""

import numpy as np
import pytest
import torch

from cornet.brain import open_subject, simulated
from cornet.brain.neuron.target import open_target
from cornet.brain.simulated.early import v1_drive
from cornet.brain.simulated.stimuli import table_of
from cornet.errors import CornetError
from cornet.stimuli.objects import render
from cornet.synthesis.driven.choice import site_of
from cornet.synthesis.driven.control import Settings
from cornet.synthesis.driven.outcome import Measure, of_images
from cornet.synthesis.driven.predictor import to_pixels
from cornet.synthesis.driven.study import controlled, read_out, run_study
from cornet.synthesis.driven.truth import known_truth, noise_pixels
from cornet.synthesis.driving import drive, random_shifts, start_images
from tests.helpers.brain import neuron_bundle
from tests.helpers.brain.small_brain import IMAGES, SIZE, small_brain
from tests.helpers.brain.torch_v1 import TorchV1


@pytest.fixture(autouse=True)
def brain(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(simulated, "brain", small_brain)
    return small_brain()


@pytest.mark.slow
def test_the_true_responses_are_those_of_the_bundle(brain):
    """Mean counts scatter around them as Poisson counts do."""
    target = open_target("simulated.V1")
    truth = known_truth(target)
    np.testing.assert_allclose(truth.shown, 0.1 * brain.truth("V1").rates, rtol=1e-9)
    z = (target.responses - truth.shown) / np.sqrt(truth.shown / 10)
    assert abs(z.mean()) < 0.05
    assert z.std() == pytest.approx(1, abs=0.03)


@pytest.mark.slow
def test_more_natural_images_include_the_first(brain):
    target = open_target("simulated.V2")
    truth = known_truth(target, 160)
    assert len(truth.natural) == 160
    assert truth.shown.shape[0] == IMAGES
    own = render(
        table_of(192, brain.seed, brain.variation), SIZE
    )  # what a larger brain of this seed would show
    np.testing.assert_allclose(truth.natural, 0.1 * brain.respond(own, "V2")[:160], rtol=1e-9)
    with pytest.raises(CornetError, match="--natural=100 must be at least the 128 images"):
        known_truth(target, 100)


def test_where_no_truth_is_known(tmp_path):
    reason = known_truth(open_target("simulated.IT"))
    assert "IT of the simulated brain responds to rendered objects, not to pixels" in str(reason)
    measured = open_target(str(neuron_bundle.write(tmp_path / "mine")))
    assert "show the images to the animal" in str(known_truth(measured))
    with pytest.raises(CornetError, match="--natural needs the true responses"):
        known_truth(measured, 4096)


@pytest.mark.slow
def test_the_true_drive_as_the_model_reaches_beyond_natural_images():
    """The best that synthesis can do: predicted = true, and at least 1.4 times the best natural image at every site."""
    target = open_target("simulated.V1")
    truth = known_truth(target)
    columns = np.arange(0, 60, 3)
    model = TorchV1(SIZE, 60, 0)
    noise = noise_pixels(SIZE, 5)
    shown = torch.from_numpy(noise[:, None] / 255).float()
    np.testing.assert_allclose(model(shown), v1_drive(noise, 60, 0), rtol=1e-3, atol=1e-4)

    def predict(images):
        return model((images + 1) / 2)

    # A simple cell can be silent for a start, without a gradient; of four starts, the best prediction is used.
    start = start_images(4, SIZE).repeat(len(columns), 1, 1, 1)
    which = torch.from_numpy(columns).repeat_interleave(4)
    found = drive(predict, start, which, variation=1e-6, shifts=random_shifts(200, SIZE, share=0.0))
    rows = np.arange(len(columns))
    predicted = found.predictions.reshape(-1, 4, 60)[rows, :, columns]
    best = predicted.argmax(dim=1)
    pixels = to_pixels(found.images.reshape(-1, 4, 1, SIZE, SIZE)[rows, best])[..., 0]
    empty = np.zeros(len(columns))
    outcome = of_images(
        "true", truth.respond(pixels)[:, columns], truth.shown[:, columns], Measure("stretch", empty, empty)
    )
    assert outcome.ratio.min() >= 1.4
    reached = predicted[rows, best].numpy()
    true = v1_drive(pixels, 60, 0)[rows, columns]
    np.testing.assert_allclose(true, reached, rtol=0.02)  # 8 bits
    optimum = truth.optimum(columns)
    assert optimum is not None
    assert (optimum > truth.shown[:, columns].max(axis=0)).all()
    assert (truth.noise < truth.shown.max(axis=0)).mean() > 0.9


@pytest.mark.slow
def test_shuffled_responses_do_not_drive():
    """The control: the same synthesis through a mapping of permuted responses stays below natural images."""
    target = open_target("simulated.V1")
    truth, columns = known_truth(target), np.arange(20)
    subject = open_subject("cornet_z?untrained&width=0.25&num_classes=4", size=SIZE)
    own = read_out(subject, site_of(subject, target, []), target, columns)
    settings = Settings(starts=2, steps=60)
    study = run_study(own, target, columns, settings, SIZE, 8.0, False, truth)
    study = controlled(study, subject, "ridge")
    images, shuffled = study.outcomes[0], study.outcomes[-1]
    assert shuffled.name == "shuffled responses"
    assert shuffled.beyond <= 0.05
    assert images.median > 2 * shuffled.median


def test_known_outcomes():
    """Ratios, shares beyond, and softmax shares of a few numbers."""
    natural = np.array([[1.0, 4.0], [2.0, 0.0]])
    measure = Measure("stretch", natural.mean(axis=0), natural.std(axis=0))
    found = of_images("x", np.array([[3.0, 0.0], [9.0, 4.0]]), natural, measure, np.array([[5.0, 1.0]]))
    np.testing.assert_allclose(found.ratio, [1.5, 1.0])
    assert (found.beyond, found.beyond_more, found.median) == (0.5, 0.0, 1.25)
    assert np.isnan(found.right)
    hot = of_images(
        "x", np.array([[3.0, 2.0], [1.5, 4.0]]), natural, Measure("one_hot", *measure_of(natural))
    )
    e = np.exp(3.0)
    np.testing.assert_allclose(hot.values, [e / (e + 1), np.exp(1) / (np.exp(1) + 1)])
    assert (hot.right, hot.on_target, hot.off_target) == (1.0, 2.0, 0.0)


def measure_of(natural):
    return natural.mean(axis=0), natural.std(axis=0)
