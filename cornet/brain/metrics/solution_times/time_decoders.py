"""The two decoders of solution times behind one function."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.solution_times.decoding import Task
from cornet.brain.metrics.solution_times.optimum_decoder import TOLERANCE, optimum_probabilities
from cornet.brain.metrics.solution_times.reference_decoder import draw_weights, reference_probabilities
from cornet.errors import CornetError

__all__ = ["DECODERS", "MEMORY", "check_decoder", "decode"]

DECODERS = ("reference", "optimum")

MEMORY = 2**30
"""Bytes for a decoder's working arrays unless told otherwise."""


def check_decoder(decoder: str) -> None:
    """Refuse a decoder that is not there."""
    if decoder not in DECODERS:
        raise CornetError(f"decoder={decoder!r} is unknown; choose one of {', '.join(DECODERS)}.")


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
    """Probabilities (state, split, test image, class) of an object, and sentences that a reader must know.

    states: (image, feature) each. initial_weights: (feature, class) for the reference decoder; None: drawn from
    `seed`. device: None: the CPU. memory: bytes for working arrays; None: MEMORY.
    """
    place = _device(device)
    limit = MEMORY if memory is None else memory
    if decoder == "reference":
        weights = initial_weights
        if weights is None:
            weights = draw_weights(states[0].shape[1], task.classes, seed)
        return reference_probabilities(states, task, weights, device=place, memory=limit), ()
    answers, bound = optimum_probabilities(states, task, device=place, memory=limit)
    if bound < TOLERANCE:
        return answers, ()
    note = f"the decoder's logits may be {bound:.1e} from the optimum, where {TOLERANCE:.0e} was asked for"
    return answers, (note,)


def _device(device: str | torch.device | None) -> torch.device:
    try:
        place = torch.device("cpu" if device is None else device)
    except RuntimeError:
        raise CornetError(f'device={device!r} is unknown; give "cpu", "cuda" or "cuda:1".') from None
    if place.type not in ("cpu", "cuda") or (place.type == "cuda" and not torch.cuda.is_available()):
        raise CornetError(
            f'device={str(place)!r} cannot decode here; give "cpu", or "cuda" where there is one.'
        )
    return place
