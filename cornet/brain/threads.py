"""Run independent tasks in threads, each with a single BLAS thread.

The BLAS threads of one matrix product synchronise many thousand times in a comparison. When other processes use the
same cores, this waiting takes most of the time. Independent tasks synchronise once, at the end.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

from cornet.memory import available_memory

__all__ = ["run_in_threads"]


def run_in_threads(
    task: Callable[[int], None], indices: Sequence[int], device: torch.device, memory: int
) -> None:
    """Call `task` with each index, in as many threads as torch uses; on a GPU, one after the other.

    memory: bytes that one call needs. Fewer calls run at once if they would use more than half of the free memory.
    The result does not depend on the number of threads. A single task uses all threads for its products instead, so
    that its last digits may. Raises the exception of the first call that fails.
    """
    if device.type != "cpu" or len(indices) == 1:
        for index in indices:
            task(index)
        return
    threads = torch.get_num_threads()
    workers = max(1, min(threads, len(indices), available_memory() // 2 // memory))
    try:
        with (
            _blas_libraries().limit(limits=1, user_api="blas"),
            ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            for _ in pool.map(task, indices):
                pass
    finally:
        torch.set_num_threads(threads)  # the workers changed the process-wide default of new threads


@cache
def _blas_libraries() -> ThreadpoolController:
    return ThreadpoolController()
