"""The batched decoders against one classifier at a time: the reference's training by a loop, the optimum by
scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cornet.brain.metrics.solution_times.decoding import PENALTY, Task
from cornet.brain.metrics.solution_times.optimum_decoder import optimum_probabilities
from cornet.brain.metrics.solution_times.reference_decoder import draw_weights, reference_probabilities
from cornet.errors import CornetError

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
GENEROUS = 2**30


def made_up(
    images: int = 150, features: int = 12, classes: int = 4, states: int = 2, signal: float = 0.7
) -> tuple[list[np.ndarray], Task, np.ndarray]:
    rng = np.random.default_rng(features)
    labels = rng.integers(0, classes, images)
    centers = signal * rng.normal(size=(states, classes, features))
    x = [
        5 + 3 * rng.gamma(2, size=features) * (rng.normal(size=(images, features)) + c[labels])
        for c in centers
    ]
    orders = [rng.permutation(images) for _ in range(3)]
    train = np.array([np.sort(order[:-20]) for order in orders])
    test = np.array([np.sort(order[-20:]) for order in orders])
    return [a.astype(np.float32) for a in x], Task(train, test, labels[train], classes), labels


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def trained_by_loop(
    x: np.ndarray, test: np.ndarray, y: np.ndarray, weights: np.ndarray, epochs: int, stop: float
) -> tuple[np.ndarray, int]:
    """The specification, in float64, one image set at a time; also how many epochs it took."""
    scaler = StandardScaler().fit(x)
    x, test = scaler.transform(x), scaler.transform(test)
    parameters = [weights.astype(float), np.ones(weights.shape[1])]
    m, v = [0 * p for p in parameters], [0 * p for p in parameters]
    target = np.eye(weights.shape[1])[y]
    random, t = np.random.RandomState(0), 0
    for epoch in range(1, epochs + 1):  # noqa: B007 - returned
        order = random.permutation(len(x))
        for start in range(0, len(x), 64):
            batch = order[start : start + 64]
            p = softmax(x[batch] @ parameters[0] + parameters[1])
            loss = -np.log((p * target[batch]).sum(1)).mean()
            error = (p - target[batch]) / len(batch)
            t += 1
            for k, gradient in enumerate((x[batch].T @ error, error.sum(0))):
                gradient = gradient + PENALTY * parameters[k]
                m[k] = 0.9 * m[k] + 0.1 * gradient
                v[k] = 0.999 * v[k] + 0.001 * gradient**2
                rate = 1e-4 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                parameters[k] = parameters[k] - rate * m[k] / (np.sqrt(v[k]) + 1e-7)
        if loss < stop:
            break
    return softmax(test @ parameters[0] + parameters[1]), epoch


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("memory", [GENEROUS, 100_000])
def test_reference_equals_a_loop(device: str, memory: int) -> None:
    states, task, _ = made_up()
    states[0][:, 3] = 7  # constant: to be left unscaled
    states[1][:, 5] = 0.1
    states[1][task.test[0][0], 5] = 9  # constant in the first split's training images
    weights = draw_weights(12, 4, seed=3)
    answers = reference_probabilities(
        states, task, weights, device=torch.device(device), memory=memory, epochs=5
    )
    for k, x in enumerate(states):
        for s in range(3):
            expected, _ = trained_by_loop(
                x[task.train[s]].astype(float), x[task.test[s]].astype(float), task.codes[s], weights, 5, 1e-4
            )
            np.testing.assert_allclose(answers[k, s], expected, rtol=0, atol=3e-6)


def test_classifiers_stop_one_by_one() -> None:
    states, task, _ = made_up(features=2000, classes=3, states=3, signal=0.2)
    weights = draw_weights(2000, 3)
    answers = reference_probabilities(
        states, task, weights, device=torch.device("cpu"), memory=GENEROUS, epochs=8, stop=0.5
    )
    epochs = set()
    for k, x in enumerate(states):
        for s in range(3):
            expected, took = trained_by_loop(
                x[task.train[s]].astype(float), x[task.test[s]].astype(float), task.codes[s], weights, 8, 0.5
            )
            epochs.add(took)
            np.testing.assert_allclose(answers[k, s], expected, rtol=0, atol=2e-4)
    assert len(epochs) > 1, "the test must see classifiers that stop at different epochs"
    assert min(epochs) < 8


def test_drawn_weights() -> None:
    weights = draw_weights(400, 500, seed=1)
    assert weights.shape == (400, 500)
    assert abs(weights).max() < 2 * np.sqrt(1 / 400) / 0.8796
    np.testing.assert_allclose(weights.var() * 400, 1, atol=0.02)
    np.testing.assert_array_equal(weights, draw_weights(400, 500, seed=1))
    assert (weights != draw_weights(400, 500, seed=2)).any()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("features", [12, 400])
def test_optimum_equals_scikit_learn(device: str, features: int) -> None:
    states, task, labels = made_up(features=features)
    states[0][:, 3] = 7
    states[1][:, 4] = states[1][:, 6]
    answers, bound = optimum_probabilities(states, task, device=torch.device(device), memory=GENEROUS)
    assert bound < 1e-8
    for k, x in enumerate(states):
        for s, (train, test) in enumerate(zip(task.train, task.test, strict=True)):
            scaler = StandardScaler().fit(x[train].astype(float))
            # The bias is penalised as the weights are: a constant feature.
            inside, outside = (
                np.c_[scaler.transform(x[i].astype(float)), np.ones(len(i))] for i in (train, test)
            )
            model = LogisticRegression(
                C=1 / (PENALTY * len(train)),
                fit_intercept=False,
                tol=1e-11,
                max_iter=1000,
                solver="newton-cg",
            ).fit(inside, labels[train])
            np.testing.assert_allclose(answers[k, s], model.predict_proba(outside), rtol=0, atol=1e-7)


def test_optimum_does_not_depend_on_memory_and_repeats_exactly() -> None:
    states, task, _ = made_up(features=40)
    run = {
        memory: optimum_probabilities(states, task, device=torch.device("cpu"), memory=memory)[0]
        for memory in (GENEROUS, 700_000)
    }
    np.testing.assert_allclose(run[GENEROUS], run[700_000], rtol=0, atol=1e-9)
    again, _ = optimum_probabilities(states, task, device=torch.device("cpu"), memory=GENEROUS)
    np.testing.assert_array_equal(run[GENEROUS], again)


def test_optimum_of_easy_and_of_hopeless_objects() -> None:
    for signal in (0.0, 30.0):
        states, task, _ = made_up(features=60, signal=signal)
        answers, bound = optimum_probabilities(
            states, task, device=torch.device("cpu"), memory=GENEROUS, penalty=1e-4
        )
        assert bound < 1e-6  # so small a penalty leaves rounding more room
        np.testing.assert_allclose(answers.sum(-1), 1, atol=1e-12)


def test_too_little_memory() -> None:
    states, task, _ = made_up()
    with pytest.raises(CornetError, match="set at least"):
        optimum_probabilities(states, task, device=torch.device("cpu"), memory=1000)
    with pytest.raises(CornetError, match="set at least"):
        reference_probabilities(states, task, draw_weights(12, 4), device=torch.device("cpu"), memory=1000)
