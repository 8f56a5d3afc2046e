"""Independent pieces of work, one thread for each, and one thread of the linear algebra library in each.

Threads within one matrix product wait for each other many thousand times in a comparison. Where other processes use
the same cores, such waits take most of the time. Pieces that are independent wait once, at the end.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

from cornet.memory import available_memory

__all__ = ["each_in_a_thread"]


def each_in_a_thread(
    work: Callable[[int], None], numbers: Sequence[int], device: torch.device, memory: int
) -> None:
    """Call `work` with each number, as many at a time as torch has threads; on a GPU one after the other.

    memory: bytes that one call takes; fewer run at a time where they would take more than half of what is free.
    The result does not depend on the number of threads. Raises what the first failing call raises.
    """
    if device.type != "cpu":
        for number in numbers:
            work(number)
        return
    threads = torch.get_num_threads()
    workers = max(1, min(threads, len(numbers), available_memory() // 2 // memory))
    try:
        with (
            _libraries().limit(limits=1, user_api="blas"),
            ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            for _ in pool.map(work, numbers):
                pass
    finally:
        torch.set_num_threads(threads)  # the setting of new threads is one for the whole process


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
