"""Brain-Score as one number, as the papers of 2018 and 2019 defined it: the mean of raw values.

2018 (Schrimpf et al.): V4, IT and behaviour. 2019 (Kubilius, Schrimpf et al.): V4, IT, solution times and behaviour,
where a network without solution times counts 0 for them.
"""

import math
from collections.abc import Mapping, Sequence

from cornet.brain.benchmarks import Result

__all__ = ["FAMILIES", "averages"]

FAMILIES: Mapping[str, tuple[str, str, str, str]] = {
    "public": ("majajhong2015.V4", "majajhong2015.IT", "rajalingham2018-i2n", "kar2019-ost"),
    "simulated": ("simulated.V4", "simulated.IT", "simulated-i2n", "simulated-ost"),
}
"""V4, IT, behaviour and solution times of one origin: recorded and simulated brains are never mixed."""


def averages(results: Sequence[Result]) -> dict[str, float]:
    """brain/average_2018 and brain/average_2019 of the public benchmarks; of the simulated ones with simulated_ before.

    One is left out where a part of it was not scored or failed; undefined solution times count 0, as published.
    """
    raw = {result.benchmark.name: result.score.raw for result in results if not result.failure}
    found = {}
    for family, (v4, it, behaviour, times) in FAMILIES.items():
        prefix = "brain/" if family == "public" else f"brain/{family}_"
        parts = [raw.get(name, math.nan) for name in (v4, it, behaviour)]
        if not all(map(math.isfinite, parts)):
            continue
        found[f"{prefix}average_2018"] = sum(parts) / 3
        if times in raw:
            late = raw[times] if math.isfinite(raw[times]) else 0.0
            found[f"{prefix}average_2019"] = (sum(parts) + late) / 4
    return found
