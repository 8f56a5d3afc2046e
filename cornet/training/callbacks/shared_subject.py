"""The network in training as a subject: recorded by all ranks together, and never kept on disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray

from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet
from cornet.training.loaders import rank_and_world

__all__ = ["SharedSubject", "raise_together"]


class SharedSubject(NetworkSubject):
    """Each rank shows its share of the stimuli; all then hold all features. Not cached: weights change."""

    def record(self, stimuli: StimulusSet, sites: Sequence[Site], *rest: Any, **options: Any) -> Recording:
        rank, ranks = rank_and_world()
        options = {**options, "cache": False}
        if ranks == 1:
            return super().record(stimuli, sites, *rest, **options)
        rows = np.array_split(np.arange(len(stimuli)), ranks)
        mine = rows[rank]
        part: Recording | None = None
        error = ""
        try:
            if len(mine):
                part = super().record(stimuli.subset(mine), sites, *rest, **options)
        except Exception as raised:  # the others wait: they must be told
            kind = "" if isinstance(raised, CornetError) else f"{type(raised).__name__}: "
            error = f"{kind}{raised}"
        raise_together(error)
        features = {site: _together(part[site] if part else None, [len(r) for r in rows]) for site in sites}
        return Recording(stimuli.ids, features)


def raise_together(error: str) -> None:
    """Raise CornetError on every rank when one of them met an error; nobody waits for who will not come."""
    world = rank_and_world()[1]
    if world == 1:
        if error:
            raise CornetError(error)
        return
    errors: list[str | None] = [None] * world
    dist.all_gather_object(errors, error)
    for rank, found in enumerate(errors):
        if found:
            raise CornetError(f"{found.rstrip('.')} (on rank {rank}).")


def _together(part: NDArray[Any] | None, counts: list[int]) -> NDArray[Any]:
    """All ranks' rows, on every rank."""
    parts: list[Any] = [None] * len(counts)
    dist.all_gather_object(parts, None if part is None else np.ascontiguousarray(part))
    return np.concatenate([rows for rows in parts if rows is not None])
