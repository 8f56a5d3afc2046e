"""The read-out against the reference's values and scikit-learn taken to its optimum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cornet import brain
from cornet.brain.metrics.choices.readout import held_out_probabilities, readout_probabilities
from cornet.errors import CornetError
from tests.helpers.brain.golden_comparisons import golden

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def optimum(fit, labels, test, C: float = 1e-3):
    """scikit-learn's read-out, standardised, at its optimum. Two classes have one weight vector there: half the C."""
    scaler = StandardScaler().fit(np.asarray(fit, float))
    C = C if len(np.unique(labels)) > 2 else 2 * C
    regression = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=500)
    regression.fit(scaler.transform(np.asarray(fit, float)), labels)
    return regression.predict_proba(scaler.transform(np.asarray(test, float)))


@pytest.mark.parametrize("device", DEVICES)
def test_gives_the_references_probabilities_and_the_optimum(device: str) -> None:
    g = golden("behavior")
    arguments = g["fit_features"], g["fit_labels"], g["test_features"]
    probabilities, choices = brain.readout_probabilities(*arguments, device=device)
    assert (choices == g["choices"]).all()
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, g["probabilities"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(probabilities, optimum(*arguments), rtol=1e-9)


def features(seed: int, images: int, width: int, objects: int, rank: int | None = None):
    random = np.random.default_rng(seed)
    rank = rank or width
    mixing = random.normal(size=(rank, width)) * random.lognormal(0, 2, width)
    labels = np.arange(images) % objects
    shown = random.normal(size=(images, rank)) + random.normal(size=(objects, rank))[labels]
    return (shown @ mixing + 10 * random.normal(size=width)), np.array(
        [f"object {k}" for k in range(objects)]
    )[labels]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 10**6),
    st.integers(8, 40),
    st.integers(1, 60),
    st.integers(2, 6),
    st.sampled_from([1e-3, 0.05, 1.0]),
)
def test_equals_scikit_learn_at_its_optimum(
    seed: int, images: int, width: int, objects: int, C: float
) -> None:
    x, labels = features(seed, images, width, objects)
    test, _ = features(seed + 1, 7, width, objects)
    probabilities, choices = readout_probabilities(x, labels, test, C)
    assert (choices == np.unique(labels)).all()
    # A difference of 4.3e-8 was seen on one random example.
    np.testing.assert_allclose(probabilities, optimum(x, labels, test, C), rtol=0, atol=1e-7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("width", [12, 90])
def test_constant_and_repeated_features_and_images(width: int) -> None:
    x, labels = features(0, 40, width, 4, rank=5)
    x[:, 3], x[:, 4], x[:, 5] = 0.1, x[:, 6], 1e8
    x[20:] = x[:20]
    test, _ = features(1, 9, width, 4)
    probabilities, _ = readout_probabilities(x, labels, test)
    np.testing.assert_allclose(probabilities, optimum(x, labels, test), rtol=0, atol=1e-8)


def test_nothing_but_constant_features_leave_the_share_of_each_object() -> None:
    labels = ["a", "a", "a", "b"]
    for width in (2, 7):
        probabilities, _ = readout_probabilities(np.ones((4, width)), labels, np.zeros((2, width)))
        np.testing.assert_allclose(probabilities, [[0.75, 0.25]] * 2, atol=1e-6)


def test_separable_objects_and_a_weak_penalty_converge() -> None:
    x, labels = features(3, 60, 80, 3)
    np.testing.assert_allclose(
        readout_probabilities(x, labels, x, 100.0)[0], optimum(x, labels, x, 100.0), atol=1e-7
    )


@pytest.mark.parametrize("width", [30, 300])
def test_blocks_maps_and_tensors_give_the_same(width: int, tmp_path) -> None:
    x, labels = features(4, 60, width, 3)
    test, _ = features(5, 20, width, 3)
    np.save(tmp_path / "x.npy", x)
    kept = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected, _ = readout_probabilities(x, labels, test)
    for fit in (kept, torch.from_numpy(x)):
        for memory in (1, 100_000):
            found, _ = readout_probabilities(fit, labels, test, memory=memory)
            np.testing.assert_allclose(found, expected, atol=1e-10)
    same, _ = readout_probabilities(kept, labels, kept)  # fitted and tested on the same images
    np.testing.assert_allclose(same, readout_probabilities(x, labels, x.copy())[0], atol=1e-10)


def test_held_out_images_are_answered_by_a_readout_that_did_not_see_them() -> None:
    x, labels = features(6, 60, 20, 3)
    fold = np.random.default_rng(0).permutation(np.arange(60) % 5)
    probabilities, choices = held_out_probabilities(x, labels, fold)
    for k in range(5):
        expected = optimum(x[fold != k], labels[fold != k], x[fold == k])
        np.testing.assert_allclose(probabilities[fold == k], expected, atol=1e-8)
    assert (choices == np.unique(labels)).all()


def test_folds_are_dealt_by_object_and_keep_groups_together() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 40)
    noise = random.normal(size=(120, 30))
    probabilities, choices = held_out_probabilities(noise, labels, 10, seed=3)
    assert np.array_equal(probabilities, held_out_probabilities(noise, labels, 10, seed=3)[0])
    assert not np.array_equal(probabilities, held_out_probabilities(noise, labels, 10, seed=4)[0])
    assert abs((choices[probabilities.argmax(axis=1)] == labels).mean() - 1 / 3) < 0.2
    # Ten copies of each of 12 images: without groups they give the answer away, with groups they cannot.
    copies = np.repeat(random.normal(size=(12, 30)), 10, axis=0)
    film = np.repeat(np.arange(12), 10)
    leaking = held_out_probabilities(copies, labels, 4)[0]
    grouped = held_out_probabilities(copies, labels, 4, groups=film)[0]
    assert (choices[leaking.argmax(axis=1)] == labels).mean() == 1.0
    assert (choices[grouped.argmax(axis=1)] == labels).mean() < 0.8


X = np.random.default_rng(0).normal(size=(8, 5))
LABELS = list("aabbccdd")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: readout_probabilities(X, LABELS[:5], X),
            "fit_labels of shape .5,. do not match 8 fitting images",
        ),
        (
            lambda: readout_probabilities(X, LABELS, X[:, :3]),
            "fit_features has 5 features, but test_features has 3",
        ),
        (
            lambda: readout_probabilities(X, ["a"] * 8, X),
            "contains 1 object, but a read-out needs at least 2",
        ),
        (lambda: readout_probabilities(X, LABELS, X, C=0), "C=0 must be above 0"),
        (lambda: readout_probabilities(X * [1e200, 1, 1, 1, 1], LABELS, X), "did not converge"),
        (
            lambda: readout_probabilities(X * np.nan, LABELS, X),
            "the fit_features contain nan .stimulus 0, feature 0.",
        ),
        (lambda: readout_probabilities(X, LABELS, X / 0.0), "the test_features contain -?inf"),
        (lambda: readout_probabilities(X[0], LABELS, X), "must be .stimulus, feature."),
        (lambda: held_out_probabilities(X, LABELS[:3]), "labels of shape .3,. do not match 8 images"),
        (
            lambda: held_out_probabilities(X, LABELS, 3),
            "folds=3 must be between 2 and the number of images of the rarest object",
        ),
        (lambda: held_out_probabilities(X, LABELS, [0] * 8), "to one of at least 2 folds"),
        (lambda: held_out_probabilities(X, LABELS, LABELS), "all images of 'a' are in one fold"),
        (lambda: held_out_probabilities(X, LABELS, 2, groups=[1] * 8), "groups of shape .8,. must assign"),
        (lambda: held_out_probabilities(X, LABELS, 2, groups=LABELS), "are in one fold"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence: str) -> None:
    with np.errstate(divide="ignore"), pytest.raises(CornetError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
