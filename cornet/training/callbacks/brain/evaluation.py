"""One evaluation during training: all ranks record, rank 0 compares."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch.distributed as dist

from cornet.brain.benchmarks import Benchmark, Result, run_battery
from cornet.errors import CornetError
from cornet.training.callbacks.brain.shared_subject import SharedSubject
from cornet.training.loaders import rank_and_world

__all__ = ["evaluate"]


def evaluate(subject: SharedSubject, benchmarks: Sequence[Benchmark[Any]], strict: bool) -> list[Result]:
    """Return the results on every rank: all ranks record, rank 0 compares and broadcasts.

    Global random numbers are left as they were. A failure is stored in its Result; with `strict` it is raised on all
    ranks.
    """
    rank, world = rank_and_world()
    with unchanged_random_numbers():
        results = list(
            run_battery([subject], benchmarks, strict=False, tolerate=Exception, compare=rank == 0)
        )
    if world > 1:
        sent: list[Any] = [{r.benchmark.name: (r.score, r.sites, r.seconds, r.failure) for r in results}]
        dist.broadcast_object_list(sent, src=0)
        known = {benchmark.name: benchmark for benchmark in benchmarks}
        results = [Result(subject.name, known[name], *found) for name, found in sent[0].items()]
    if strict and (failed := next((r for r in results if r.failure), None)):
        raise CornetError(f"{failed.benchmark.name} could not be scored, and strict=true: {failed.failure}")
    return results


@contextlib.contextmanager
def unchanged_random_numbers() -> Iterator[None]:
    """A context that restores the state of Python's and NumPy's global generators; subjects restore PyTorch's."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
