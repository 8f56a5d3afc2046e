"""What brain scores will cost, from the first evaluation."""

import math
from collections.abc import Sequence

from cornet.brain.benchmarks import Result
from cornet.terminal import duration
from cornet.training.callbacks.brain.schedule import Schedule

__all__ = ["cost_text"]


def cost_text(
    results: Sequence[Result], seconds: float, schedule: Schedule, rare: Sequence[str], epochs: float
) -> str:
    """Return a line on the first evaluation and all that follow.

    seconds: of the first evaluation. rare: benchmarks that are scored only at the start and the end; results say how
    long their comparison took. epochs: of the training; infinite if unknown.
    """
    each = seconds - sum(result.seconds for result in results if result.benchmark.name in rare)
    text = f"Brain scores: {len(results)} benchmark{'s' * (len(results) != 1)} took {duration(seconds)}"
    if not math.isfinite(epochs):
        return f"{text}."
    count = schedule.evaluations(int(epochs))
    total = each * count + (seconds - each) * min(2, count)
    return (
        f"{text}; {count} evaluation{'s' * (count != 1)} in {epochs:g} epoch{'s' * (epochs != 1)} will take about "
        f"{duration(total)}, {duration(total / max(epochs, 1))} per epoch."
    )
