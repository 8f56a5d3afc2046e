"""Run either of the two solution-time decoders through one function."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.solution_times.decoding import Task
from cornet.brain.metrics.solution_times.optimum_decoder import TOLERANCE, optimum_probabilities
from cornet.brain.metrics.solution_times.reference_decoder import draw_weights, reference_probabilities
from cornet.errors import CornetError

__all__ = ["DECODERS", "decode"]

DECODERS = ("reference", "optimum")

MEMORY = 2**30
"""Default bytes for a decoder's working arrays."""


def decode(
    states: list[NDArray[Any]],
    task: Task,
    decoder: str = "reference",
    *,
    seed: int = 0,
    initial_weights: NDArray[Any] | None = None,
    device: str | torch.device | None = None,
    memory: int | None = None,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return object probabilities (state, split, test image, class), and notes for the score.

    states: (image, feature) each. initial_weights: (feature, class) for the reference decoder; None: drawn from
    `seed`. device: None: the CPU. memory: bytes for working arrays; None: MEMORY.
    """
    target = _device(device)
    limit = MEMORY if memory is None else memory
    if decoder == "reference":
        weights = initial_weights
        if weights is None:
            weights = draw_weights(states[0].shape[1], task.classes, seed)
        return reference_probabilities(states, task, weights, device=target, memory=limit), ()
    answers, bound = optimum_probabilities(states, task, device=target, memory=limit)
    if bound < TOLERANCE:
        return answers, ()
    note = f"the decoder's logits may differ from the optimum by {bound:.1e}, more than the tolerance {TOLERANCE:.0e}"
    return answers, (note,)


def _device(device: str | torch.device | None) -> torch.device:
    """Return the torch device. Raises CornetError if it is unknown or not available."""
    try:
        result = torch.device("cpu" if device is None else device)
    except RuntimeError:
        raise CornetError(f'device={device!r} is unknown; use "cpu", "cuda" or "cuda:1".') from None
    if result.type not in ("cpu", "cuda") or (result.type == "cuda" and not torch.cuda.is_available()):
        raise CornetError(
            f'device={str(result)!r} is not available for decoding; use "cpu", or "cuda" with a GPU.'
        )
    return result
