"""Transfer: the read-out against scikit-learn, the choice of its penalty, few-shot accuracy, and controls."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cornet.brain.metrics.choices.readout import readout_path
from cornet.brain.metrics.transfer import few_shot, transfer
from cornet.errors import CornetError

CLASSES, WIDTH = 5, 30


def data(train=40, test=20, noise=2.0, width=WIDTH, seed=0):
    """Features around class means, labels, and the rows of both parts."""
    rng = np.random.default_rng(seed)
    count = CLASSES * (train + test)
    codes = np.arange(count) % CLASSES
    means = rng.standard_normal((CLASSES, width))
    features = means[codes] + noise * rng.standard_normal((count, width))
    features = features * rng.uniform(0.1, 10, width) + 3  # of different scales
    return (
        features.astype(np.float32),
        np.array([f"class{code}" for code in codes]),
        np.arange(CLASSES * train),
        np.arange(CLASSES * train, count),
    )


@pytest.mark.parametrize("width", [WIDTH, 400])  # fewer and more features than images
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
def test_the_optimum_is_that_of_scikit_learn(C, width):
    features, labels, train, test = data(width=width)
    scaler = StandardScaler().fit(features[train].astype(float))
    model = LogisticRegression(C=C, tol=1e-10, max_iter=20_000)
    model.fit(scaler.transform(features[train].astype(float)), labels[train])
    expected = model.predict_proba(scaler.transform(features.astype(float)))
    strengths = [1e-5, C] if C > 1e-5 else [C]  # the second fit starts from the first
    found = dict(readout_path(features[train], labels[train], features, strengths))[C]
    codes = np.searchsorted(model.classes_, labels)
    losses = [-np.log(p[train, codes[train]]).mean() for p in (found, expected)]
    assert abs(losses[0] - losses[1]) < 1e-6
    hits = [(p.argmax(axis=1) == codes)[test].mean() for p in (found, expected)]
    assert hits[0] == hits[1]


def test_the_chosen_penalty_is_the_best_on_held_out_images():
    features, labels, train, test = data(noise=6.0, width=200)
    score = transfer(features, labels, train, test)
    held_out = score.details["held_out"]
    assert held_out[score.details["C"]] == max(held_out.values())
    alone = transfer(features, labels, train, test, strengths=[score.details["C"]])
    assert alone.raw == score.raw  # fitted on all training images
    assert alone.details["held_out"] == {}
    assert score.raw > 2 / CLASSES
    low, high = binomtest(round(score.raw * len(test)), len(test)).proportion_ci(method="wilson")
    assert (score.details["low"], score.details["high"]) == (low, high)
    assert score.n == len(test) == len(score.details["correct"])


def test_shuffled_labels_are_at_chance():
    features, labels, train, test = data(test=200)
    shuffled = labels.copy()
    shuffled[train] = np.random.default_rng(1).permutation(shuffled[train])
    assert transfer(features, labels, train, test).raw > 0.6
    assert abs(transfer(features, shuffled, train, test).raw - 1 / CLASSES) < 0.08


def test_few_shot_accuracy_rises_with_k_and_covers_the_truth():
    features, labels, train, test = data(train=60, test=100)
    found = few_shot(features, labels, train, test, [1, 5, 20], seeds=6)
    assert [one.k for one in found] == [1, 5, 20]
    assert found[0].accuracy < found[1].accuracy < found[2].accuracy
    assert all(one.low < one.accuracy < one.high for one in found)
    assert all(one.seeds == 6 for one in found)
    again = few_shot(features, labels, train, test, [1, 5, 20], seeds=6)
    assert again == found
    assert few_shot(features, labels, train, test, [5], seeds=6, seed=3)[0] != found[1]


def test_held_out_and_test_images_are_not_fitted():
    """A label that only one image has in its features would be learned from it."""
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 60)
    features = rng.standard_normal((120, 300)).astype(np.float32)  # noise that separates any fitted images
    train, test = np.arange(80), np.arange(80, 120)
    score = transfer(features, labels, train, test)
    assert max(score.details["held_out"].values()) < 0.85
    assert 0.2 < score.raw < 0.8


def test_mistakes():
    features, labels, train, test = data()
    with pytest.raises(CornetError, match=r"few-shot k=40 must be from 1 to 32, the images of class 'class"):
        few_shot(features, labels, train, test, [40])
    labels = labels.copy()
    labels[train[0]] = "single"
    with pytest.raises(CornetError, match="class 'single' has 1 training image"):
        transfer(features, labels, train, test)
