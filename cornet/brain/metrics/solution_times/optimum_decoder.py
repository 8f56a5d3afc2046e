"""The solution-time decoder at the optimum of the reference's objective.

    mean cross-entropy + 0.5 * penalty * (|W|^2 + |b|^2),   W (feature, class), b (class)

The objective is strictly convex. At the optimum W = Z' A and b = 1' A (Z: standardised training features), so A
(image, class) depends only on K = Z Z' + 1, which is computed in blocks. Solved by Newton's method with conjugate
gradients in the inner product <u, v> = u' K v, in which the Hessian penalty + S K / n is symmetric and positive
definite. K may be singular.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.solution_times.decoding import PENALTY, Task, standardised_blocks
from cornet.errors import CornetError

__all__ = ["TOLERANCE", "optimum_probabilities"]

TOLERANCE = 1e-8
"""Maximum error of the logits of training and test images. The objective is strongly convex, so the distance to the
optimum is at most |gradient| / penalty; a logit's error is at most sqrt(k(x, x)) times that."""

NEWTON_STEPS = 60
CG_STEPS = 1000


def optimum_probabilities(
    states: list[NDArray[Any]],
    task: Task,
    *,
    device: torch.device,
    memory: int,
    penalty: float = PENALTY,
    tolerance: float = TOLERANCE,
) -> tuple[NDArray[np.float64], float]:
    """Return probabilities (state, split, test image, class) at the optimum, float64, and an error bound.

    The bound is the maximum error of a logit; it exceeds `tolerance` only if rounding prevents less.
    memory: bytes for working arrays, in addition to the states.

    Raises CornetError if memory is too small for one classifier.
    """
    images = task.rows.shape[1]
    splits, n_train = task.train.shape
    scratch = 8 * 6 * images * min(2048, states[0].shape[1])
    per_split = 8 * n_train * (images + 14 * task.classes)
    splits_per_batch = min(splits, (memory - scratch) // per_split)
    if splits_per_batch < 1:
        raise CornetError(
            f"memory={memory:,} bytes is too small for a classifier of {n_train:,} training images; set at least "
            f"{scratch + per_split:,}."
        )
    result = np.empty((len(states), splits, task.test.shape[1], task.classes))
    bound = 0.0
    for k, state in enumerate(states):
        for first in range(0, splits, splits_per_batch):
            some = slice(first, first + splits_per_batch)
            part = Task(task.train[some], task.test[some], task.codes[some], task.classes)
            kernel, norm = _kernels(state, part, device)
            codes = torch.as_tensor(part.codes, device=device)
            target = torch.nn.functional.one_hot(codes, task.classes).double()
            coefficients, batch_bound = _newton(kernel[:, :n_train], target, penalty, tolerance, norm)
            logits = torch.bmm(kernel[:, n_train:], coefficients)
            result[k, some] = logits.softmax(2).cpu().numpy()
            bound = max(bound, batch_bound)
    return result, bound


def _kernels(state: NDArray[Any], task: Task, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernels, (split, training and then test image, training image): feature products plus 1 for the bias.

    Also returns each split's maximum sqrt(k(x, x)) over these images, (split,).
    """
    rows = torch.as_tensor(task.rows, device=device)
    n_train = task.train.shape[1]
    kernel = torch.ones(*rows.shape, n_train, dtype=torch.float64, device=device)
    square = torch.ones(*rows.shape, dtype=torch.float64, device=device)
    for block in standardised_blocks(state, task.train, device):
        for s in range(len(rows)):
            z = (block.x.index_select(0, rows[s]) - block.shift[s]) * block.scale[s]
            kernel[s].addmm_(z, z[:n_train].T)
            square[s] += z.square().sum(1)
    return kernel, square.amax(1).sqrt()


def _newton(
    kernel: torch.Tensor, target: torch.Tensor, penalty: float, tolerance: float, norm: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Return coefficients (problem, image, class) and the maximum error of a logit.

    kernel: (problem, image, image). target: (problem, image, class), one-hot. norm: (problem,), maximum sqrt(k(x, x)).
    """
    images = kernel.shape[1]
    a = torch.zeros_like(target)
    best, best_bound = a, torch.full_like(norm, torch.inf)
    previous = torch.inf
    for _ in range(NEWTON_STEPS):
        logits = torch.bmm(kernel, a)
        p = logits.softmax(2)
        gradient = (p - target) / images + penalty * a
        image_of_gradient = torch.bmm(kernel, gradient)
        length = _inner(gradient, image_of_gradient).clamp_min(0).sqrt()
        bound = length * norm / penalty
        better = bound < best_bound
        best = torch.where(better[:, None, None], a, best)
        best_bound = torch.where(better, bound, best_bound)
        worst = float(best_bound.max())
        if worst < tolerance or (worst < 1e-4 and worst > 0.5 * previous):
            break  # converged, or limited by rounding
        previous = worst
        # Solving each system more accurately than the last preserves Newton's fast convergence.
        forcing = torch.clamp(0.1 * length / penalty, 1e-6, 0.1)
        step, image_of_step = _solve(kernel, p, gradient, image_of_gradient, penalty, forcing)
        slope = _inner(step, image_of_gradient)
        share = _line_search(logits, image_of_step, a, step, target, penalty, slope)
        a = a + share * step
    return best, float(best_bound.max())


def _solve(
    kernel: torch.Tensor,
    p: torch.Tensor,
    gradient: torch.Tensor,
    image_of_gradient: torch.Tensor,
    penalty: float,
    forcing: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Solve (penalty + S K / n) x = -gradient to the relative tolerance `forcing`; returns x and K x."""
    images = kernel.shape[1]
    x, kx = torch.zeros_like(gradient), torch.zeros_like(gradient)
    r, kr = -gradient, -image_of_gradient
    d, kd = r, kr
    length = _inner(r, kr)
    goal = forcing.square() * length
    for _ in range(CG_STEPS):
        active = length > goal
        if not active.any():
            break
        curved = p * (kd - (p * kd).sum(2, keepdim=True)) / images + penalty * d
        share = torch.where(active, length / _inner(curved, kd), 0.0)[:, None, None]
        share = torch.nan_to_num(share)
        x, kx = x + share * d, kx + share * kd
        r = r - share * curved
        kr = torch.bmm(kernel, r)
        new = _inner(r, kr).clamp_min(0)
        turn = torch.where(active, torch.nan_to_num(new / length), 0.0)[:, None, None]
        d, kd = r + turn * d, kr + turn * kd
        length = torch.where(active, new, length)
    return x, kx


def _line_search(
    logits: torch.Tensor,
    change: torch.Tensor,
    a: torch.Tensor,
    step: torch.Tensor,
    target: torch.Tensor,
    penalty: float,
    slope: torch.Tensor,
) -> torch.Tensor:
    """Return each problem's step size, (problem, 1, 1): 1, halved until the objective decreases enough."""

    def objective(share: torch.Tensor) -> torch.Tensor:
        moved = logits + share * change
        loss = torch.logsumexp(moved, 2) - (target * moved).sum(2)
        return loss.mean(1) + 0.5 * penalty * _inner(a + share * step, moved)

    share = torch.ones_like(slope)[:, None, None]
    now = objective(torch.zeros_like(share))
    for _ in range(40):
        allowed = now + 1e-4 * share[:, 0, 0] * slope + 1e-13 * now.abs()
        short = objective(share) > allowed
        if not short.any():
            break
        share = torch.where(short[:, None, None], share / 2, share)
    return share


def _inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum((1, 2))
