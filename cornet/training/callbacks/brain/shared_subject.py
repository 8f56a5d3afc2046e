"""The network in training as a subject: all ranks record it together, and nothing is cached."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray

from cornet.brain.subjects.base import ScreenSubject
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet
from cornet.training.loaders import rank_and_world

__all__ = ["SHARED", "SharedLayers", "SharedNetwork", "SharedSubject", "raise_on_all_ranks"]


class SharedSubject(ScreenSubject):
    """Each rank records its share of the stimuli, then all gather all features. No cache: the weights change."""

    def record(self, stimuli: StimulusSet, sites: Sequence[Site], *rest: Any, **options: Any) -> Recording:
        rank, ranks = rank_and_world()
        options = {**options, "cache": False}
        if ranks == 1:
            return super().record(stimuli, sites, *rest, **options)
        rows = np.array_split(np.arange(len(stimuli)), ranks)
        own_rows = rows[rank]
        part: Recording | None = None
        error = ""
        try:
            if len(own_rows):
                part = super().record(stimuli.subset(own_rows), sites, *rest, **options)
        except Exception as raised:  # the other ranks wait for the result
            prefix = "" if isinstance(raised, CornetError) else f"{type(raised).__name__}: "
            error = f"{prefix}{raised}"
        raise_on_all_ranks(error)
        features = {site: _gather(part[site] if part else None, [len(r) for r in rows]) for site in sites}
        return Recording(stimuli.ids, features)


class SharedNetwork(SharedSubject, NetworkSubject):
    """One of cornet's networks in training."""


class SharedLayers(SharedSubject, LayerSubject):
    """Any other network in training."""


SHARED = (SharedNetwork, SharedLayers)


def raise_on_all_ranks(error: str) -> None:
    """Raise CornetError on every rank if one of them has an error, so that none waits forever."""
    world = rank_and_world()[1]
    if world == 1:
        if error:
            raise CornetError(error)
        return
    errors: list[str | None] = [None] * world
    dist.all_gather_object(errors, error)
    for rank, message in enumerate(errors):
        if message:
            raise CornetError(f"{message.rstrip('.')} (on rank {rank}).")


def _gather(part: NDArray[Any] | None, counts: list[int]) -> NDArray[Any]:
    """Return the rows of all ranks, on every rank."""
    parts: list[Any] = [None] * len(counts)
    dist.all_gather_object(parts, None if part is None else np.ascontiguousarray(part))
    return np.concatenate([rows for rows in parts if rows is not None])
