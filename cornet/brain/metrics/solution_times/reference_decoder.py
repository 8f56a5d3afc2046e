"""The decoder of the published solution times, for all splits and time bins at once.

Kar et al. (2019), Nat. Neurosci. 22, 974, as brainscore-vision 2.4.2: a linear softmax layer on standardised features,
trained by Adam for at most 40 epochs, long before its optimum, so initial weights, image order and Keras' epsilon
matter. All classifiers see the same positions of their training sets at a step, and are trained side by side.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import norm

from cornet.brain.metrics.solution_times.decoding import BATCH, PENALTY, Task, standardised_blocks
from cornet.errors import CornetError

__all__ = ["EPOCHS", "draw_weights", "reference_probabilities"]

EPOCHS = 40
RATE = 1e-4
EPSILON = 1e-7
"""Keras' own, added to the root of the raw second moment: Adam's usual epsilon is this / sqrt(1 - 0.999^step)."""
BETAS = (0.9, 0.999)
STOP = 1e-4
"""A classifier stops after an epoch whose last batch has a cross-entropy below this."""

CACHE = 32 * 2**20
"""On a CPU, classifiers are trained in groups whose weights and batches take about so many bytes, because they are
passed over several times in each step. Seen with 25,088 features: 2 at a time take 0.6 of the time of 20."""


def draw_weights(features: int, classes: int, seed: int = 0) -> NDArray[np.float32]:
    """Initial weights (feature, class): a normal truncated at 2 sd, with variance 1 / features after truncation."""
    inside = norm.cdf(2.0)
    uniform = np.random.default_rng(seed).uniform(1 - inside, inside, (features, classes))
    return (ndtri(uniform) * math.sqrt(1 / features) / 0.87962566103423978).astype(np.float32)


def reference_probabilities(
    states: list[NDArray[Any]],
    task: Task,
    initial_weights: NDArray[Any],
    *,
    device: torch.device,
    memory: int,
    epochs: int = EPOCHS,
    stop: float = STOP,
) -> NDArray[np.float64]:
    """Probabilities (state, split, test image, class) after the reference's training.

    states: (image, feature) each. initial_weights: (feature, class), the same for every classifier; biases start
    at 1. memory: bytes that the working arrays may take, besides the states themselves.

    Raises CornetError where memory does not hold one state and one classifier.
    """
    images, features = states[0].shape
    splits, tests = task.test.shape
    per_state = 4 * features * (images + 2 * splits)
    per_classifier = 4 * features * (7 * task.classes + BATCH)
    scratch = max(8 * 3 * images * min(features, 2048), 4 * features * tests)
    if (least := per_state + per_classifier + scratch) > memory:
        raise CornetError(
            f"memory={memory:,} bytes do not hold one time bin of {images:,} x {features:,} features and a "
            f"classifier; give at least {least:,}."
        )
    together = max(1, min(len(states), (memory - per_classifier - scratch) // per_state))
    result = np.empty((len(states), splits, tests, task.classes))
    for first in range(0, len(states), together):
        some = states[first : first + together]
        group = max(1, (memory - scratch - per_state * len(some)) // per_classifier)
        if device.type == "cpu":
            group = max(1, min(group, CACHE // per_classifier))
        result[first : first + len(some)] = _train_states(
            some, task, initial_weights, device, group, epochs, stop
        )
    return result


def _train_states(
    states: list[NDArray[Any]],
    task: Task,
    initial_weights: NDArray[Any],
    device: torch.device,
    group: int,
    epochs: int,
    stop: float,
) -> NDArray[np.float64]:
    images, features = states[0].shape
    splits = len(task.train)
    x = torch.empty(len(states), images, features, device=device)
    shift = torch.empty(len(states), splits, features, device=device)
    scale = torch.empty_like(shift)
    for k, state in enumerate(states):
        for block in standardised_blocks(state, task.train, device):
            x[k, :, block.columns] = block.x
            shift[k, :, block.columns] = block.shift
            scale[k, :, block.columns] = block.scale
    x = x.view(-1, features)
    weights = torch.as_tensor(np.asarray(initial_weights, np.float32).T.copy(), device=device)
    first_row = np.arange(len(states))[:, None, None] * images
    train = torch.as_tensor((first_row + task.train).reshape(-1, task.train.shape[1]), device=device)
    test = torch.as_tensor((first_row + task.test).reshape(-1, task.test.shape[1]), device=device)
    codes = torch.as_tensor(np.tile(task.codes, (len(states), 1)), device=device)
    shift, scale = shift.view(-1, 1, features), scale.view(-1, 1, features)
    parts = []
    for start in range(0, len(train), group):
        some = slice(start, start + group)
        parts.append(
            _train_group(
                x, shift[some], scale[some], train[some], test[some], codes[some], weights, epochs, stop
            )
        )
    result = torch.cat(parts).double().cpu().numpy()
    return result.reshape(len(states), splits, task.test.shape[1], task.classes)


@torch.no_grad()
def _train_group(
    x: torch.Tensor,
    shift: torch.Tensor,
    scale: torch.Tensor,
    train: torch.Tensor,
    test: torch.Tensor,
    codes: torch.Tensor,
    initial: torch.Tensor,
    epochs: int,
    stop: float,
) -> torch.Tensor:
    """Probabilities (classifier, test image, class).

    x: (row, feature), shared. shift, scale: (classifier, 1, feature). train, test: (classifier, image), rows of x.
    codes: (classifier, training image). initial: (class, feature).
    """
    classifiers, images = train.shape
    result = torch.empty(classifiers, test.shape[1], len(initial), device=x.device)
    running = torch.arange(classifiers, device=x.device)
    weights = initial.repeat(classifiers, 1, 1)
    biases = torch.ones(classifiers, len(initial), 1, device=x.device)
    adam = _Adam([weights, biases])
    targets = torch.nn.functional.one_hot(codes, len(initial)).to(x.dtype).transpose(1, 2)
    random = np.random.RandomState(0)  # the reference's: one stream of orders that runs on over the epochs
    for _ in range(epochs):
        order = torch.as_tensor(random.permutation(images), device=x.device)
        for start in range(0, images, BATCH):
            batch = order[start : start + BATCH]
            rows = _rows(x, train[:, batch])
            answer = _logits(rows, weights, biases, shift, scale).softmax(1)
            target = targets[:, :, batch]
            error = (answer - target) / len(batch)
            total = error.sum(2, keepdim=True)
            gradient = torch.bmm(error, rows).addcmul_(total, shift, value=-1).mul_(scale)
            adam.step([gradient, total])
        done = -(answer * target).sum(1).log().mean(1) < stop
        if done.any():
            kept = ~done
            ready = done.nonzero()[:, 0].tolist()
            result[running[ready]] = _answers(x, test, weights, biases, shift, scale, ready)
            running, train, test, targets = running[kept], train[kept], test[kept], targets[kept]
            shift, scale = shift[kept], scale[kept]
            weights, biases = adam.keep(kept)
            if not len(running):
                break
    if len(running):
        result[running] = _answers(x, test, weights, biases, shift, scale, range(len(running)))
    return result


def _rows(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(classifier, image, feature) of rows (classifier, image)."""
    return x.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)


def _logits(
    rows: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """(classifier, class, image): the standardisation is done on the weights, of which there are fewer."""
    folded = weights * scale
    offset = biases - torch.bmm(folded, shift.transpose(1, 2))
    return torch.baddbmm(offset, folded, rows.transpose(1, 2))


def _answers(
    x: torch.Tensor,
    test: torch.Tensor,
    weights: torch.Tensor,
    biases: torch.Tensor,
    shift: torch.Tensor,
    scale: torch.Tensor,
    which: Iterable[int],
) -> torch.Tensor:
    """Of some classifiers, (classifier, test image, class); one at a time, for their test images are many."""
    each = [
        _logits(_rows(x, test[k : k + 1]), *(part[k : k + 1] for part in (weights, biases, shift, scale)))
        for k in which
    ]
    return torch.cat(each).softmax(1).transpose(1, 2)


class _Adam:
    """torch's fused Adam (one pass over memory), with Keras' epsilon and the penalty as its weight decay."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        self.parameters = parameters
        self.steps = 0
        self.optimizer = torch.optim.Adam(parameters, RATE, BETAS, weight_decay=PENALTY, fused=True)

    def step(self, gradients: list[torch.Tensor]) -> None:
        self.steps += 1
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.param_groups[0]["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** self.steps)
        self.optimizer.step()

    def keep(self, which: torch.Tensor) -> list[torch.Tensor]:
        """Go on with some classifiers only; returns their parameters."""
        states = [self.optimizer.state[parameter] for parameter in self.parameters]
        kept = [parameter[which] for parameter in self.parameters]
        self.optimizer = torch.optim.Adam(kept, RATE, BETAS, weight_decay=PENALTY, fused=True)
        for parameter, state in zip(kept, states, strict=True):
            moments = {name: state[name][which] for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": state["step"], **moments}
        self.parameters = kept
        return kept
