"""The decoder of the published solution times, trained for all splits and time bins in parallel.

Kar et al. (2019), Nat. Neurosci. 22, 974, as in brainscore-vision 2.4.2: a linear softmax layer on standardised
features, trained by Adam for at most 40 epochs. It stops long before the optimum, so initial weights, image order and
Keras' epsilon matter. At each step all classifiers use the same positions of their training sets.
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

__all__ = ["draw_weights", "reference_probabilities"]

EPOCHS = 40
RATE = 1e-4
EPSILON = 1e-7
"""Keras adds this to the root of the uncorrected second moment: torch's epsilon is this / sqrt(1 - 0.999^step)."""
BETAS = (0.9, 0.999)
STOP = 1e-4
"""A classifier stops after an epoch whose last batch has a lower cross-entropy."""

CACHE = 32 * 2**20
"""On a CPU, classifiers are trained in groups with about this many bytes of weights and batches, since each step reads
them several times. With 25,088 features, groups of 2 take 0.6 of the time of groups of 20."""


def draw_weights(features: int, classes: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw initial weights (feature, class): normal, truncated at 2 sd, with variance 1 / features after truncation."""
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
    """Train as the reference does and return probabilities (state, split, test image, class).

    states: (image, feature) each. initial_weights: (feature, class), shared by all classifiers; biases start at 1.
    memory: bytes for working arrays, in addition to the states.

    Raises CornetError if memory is too small for one state and one classifier.
    """
    images, features = states[0].shape
    splits, tests = task.test.shape
    per_state = 4 * features * (images + 2 * splits)
    per_classifier = 4 * features * (7 * task.classes + BATCH)
    scratch = max(8 * 3 * images * min(features, 2048), 4 * features * tests)
    if (least := per_state + per_classifier + scratch) > memory:
        raise CornetError(
            f"memory={memory:,} bytes is too small for one time bin of {images:,} x {features:,} features and a "
            f"classifier; set at least {least:,}."
        )
    states_per_batch = max(1, min(len(states), (memory - per_classifier - scratch) // per_state))
    result = np.empty((len(states), splits, tests, task.classes))
    for first in range(0, len(states), states_per_batch):
        some = states[first : first + states_per_batch]
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
    """Train the classifiers of several states, `group` at a time; see `reference_probabilities`."""
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
    """Train a group of classifiers and return probabilities (classifier, test image, class).

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
    random = np.random.RandomState(0)  # as in the reference: one stream of orders across epochs
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
            unfinished = ~done
            ready = done.nonzero()[:, 0].tolist()
            result[running[ready]] = _probabilities(x, test, weights, biases, shift, scale, ready)
            running, train, test, targets = (
                running[unfinished],
                train[unfinished],
                test[unfinished],
                targets[unfinished],
            )
            shift, scale = shift[unfinished], scale[unfinished]
            weights, biases = adam.select(unfinished)
            if not len(running):
                break
    if len(running):
        result[running] = _probabilities(x, test, weights, biases, shift, scale, range(len(running)))
    return result


def _rows(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Gather rows (classifier, image) of x as (classifier, image, feature)."""
    return x.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)


def _logits(
    rows: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Return logits (classifier, class, image). Standardisation is folded into the weights, which are smaller."""
    folded = weights * scale
    offset = biases - torch.bmm(folded, shift.transpose(1, 2))
    return torch.baddbmm(offset, folded, rows.transpose(1, 2))


def _probabilities(
    x: torch.Tensor,
    test: torch.Tensor,
    weights: torch.Tensor,
    biases: torch.Tensor,
    shift: torch.Tensor,
    scale: torch.Tensor,
    which: Iterable[int],
) -> torch.Tensor:
    """Return probabilities (classifier, test image, class) of the classifiers `which`, computed one at a time."""
    each = [
        _logits(_rows(x, test[k : k + 1]), *(part[k : k + 1] for part in (weights, biases, shift, scale)))
        for k in which
    ]
    return torch.cat(each).softmax(1).transpose(1, 2)


class _Adam:
    """torch's fused Adam (one pass over memory) with Keras' epsilon, and the penalty as weight decay."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        self.parameters = parameters
        self.steps = 0
        self.optimizer = torch.optim.Adam(parameters, RATE, BETAS, weight_decay=PENALTY, fused=True)

    def step(self, gradients: list[torch.Tensor]) -> None:
        """Update the parameters in place."""
        self.steps += 1
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.param_groups[0]["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** self.steps)
        self.optimizer.step()

    def select(self, which: torch.Tensor) -> list[torch.Tensor]:
        """Drop all classifiers except `which` (mask) and return the remaining parameters."""
        states = [self.optimizer.state[parameter] for parameter in self.parameters]
        selected = [parameter[which] for parameter in self.parameters]
        self.optimizer = torch.optim.Adam(selected, RATE, BETAS, weight_decay=PENALTY, fused=True)
        for parameter, state in zip(selected, states, strict=True):
            moments = {name: state[name][which] for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": state["step"], **moments}
        self.parameters = selected
        return selected
