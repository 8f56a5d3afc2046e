"""Benchmark of maps of activity: which layer predicts where in an image each neuron responds?"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark, rows_of
from cornet.brain.data.bundle import Bundle
from cornet.brain.data.map_bundle import Maps, load_maps
from cornet.brain.metrics.activity_maps import (
    best_pair_ceiling,
    map_ceiling,
    map_features,
    map_predictivity,
)
from cornet.brain.score import Score
from cornet.brain.subjects.subject import NoLayer, Recording, Site, Subject

__all__ = ["MAPS", "MapsBenchmark"]

MAPS = "activity_maps"
"""Name of the metric, and end of the benchmarks' names."""

PAIR_SCALE = "r/c"
"""Scale of a score whose ceiling is a correlation of two neurons, as published."""


class MapsBenchmark(Benchmark[Bundle]):
    """The comparison of `cornet.brain.metrics.activity_maps` with one region of a bundle of maps.

    It compares every layer and step that has maps, and its score is that of the best. This layer is in the notes and in
    details["site"], and all are in the table details["by_site"]. A layer that the user gave is compared alone.

    The ceiling is the split-half reliability over trials, else the published one of the best pair; a note says which.
    With the former the score is on `scale`, with the latter it is r/c.

    map_by, ignore, keep_above: see `load_maps`. published: see `cornet.brain.metrics.activity_maps`; the ceiling is
    then the published one too. area: the layer to compare; None: see above. Others: as in `NeuralBenchmark`.
    """

    def __init__(
        self,
        name: str,
        region: str,
        description: str,
        load: Callable[[], Bundle],
        *,
        map_by: Sequence[str],
        published: bool = False,
        ignore: Sequence[str] = (),
        keep_above: Mapping[str, float] | None = None,
        response_bin: tuple[float, float] | None = None,
        area: str | Site | None = None,
        scale: str = "r^2/c",
        **options: Any,
    ) -> None:
        options |= {"scale": scale, "time_bin": response_bin, "split_rule": "one image left out at a time"}
        super().__init__(name, region, description, load, **options)
        self.map_by, self.published = tuple(map_by), published
        self.ignore, self.keep_above, self.area = tuple(ignore), dict(keep_above or {}), area

    @property
    def suffix(self) -> str:
        return f"-{MAPS}"

    @cached_property
    def maps(self) -> Maps:
        """The maps of the region. Raises CornetError as `load_maps`."""
        bundle = self.data
        return load_maps(bundle, self.region, self.map_by, self.time_bin, self.ignore, self.keep_above)

    def prepare(self) -> None:
        self.ceiling  # noqa: B018

    def fingerprint_parts(self) -> list[Any]:
        maps = self.maps
        known = [maps.mean, maps.repetitions, maps.weights, maps.stimulus_ids, maps.y, maps.x, maps.time_bin]
        return [*(part for part in known if part is not None), self.published]

    @cached_property
    def ceiling(self) -> tuple[Score, str]:
        """The ceiling and the sentence that says which it is."""
        maps = self.maps
        if maps.repetitions is not None and not self.published:
            return map_ceiling(
                maps.repetitions, maps.weights
            ), "the ceiling is the split-half reliability over trials"
        why = "as published" if self.published else "as there are no trials"
        pair = best_pair_ceiling(maps.mean, self.published)
        return pair, f"the ceiling is the best pair of neurons, {why}: it is not a reliability"

    def sites(self, subject: Subject) -> list[Site]:
        """Every site with maps, or the one that the user gave for the region."""
        if isinstance(self.area, Site):
            return [self.area]
        if self.area or self.region in getattr(subject, "regions", {}):
            return [subject.site(self.area or self.region, self.time_bin)]
        shapes = subject.shapes(subject.sites())
        found = [site for site, shape in shapes.items() if len(shape) == 3]
        if not found:
            raise NoLayer(
                f"{subject.name} has no layer whose features are maps (channel, y, x), which {self.name} needs; "
                "choose a network with convolutions."
            )
        return found

    def memory(self, width: int) -> int:
        """Bytes of the features on the grid, once and centred, and of the maps."""
        return 8 * (2 * len(self.stimuli) * width + 2 * self.maps.mean.size)

    def exclusions(self) -> list[str]:
        return [*self.maps.notes, *self.missing_note(self.maps.stimulus_ids, "maps")]

    def score(self, recording: Recording, subject: Subject) -> Score:
        sites = self.sites(subject)
        shapes = subject.shapes(sites)
        found: dict[Site, Score] = {}
        for site in sites:
            features = rows_of(recording, site, self.stimuli, self.maps.stimulus_ids)
            found[site] = self._compare(np.asarray(features[:]), shapes[site])
        defined = {site: one for site, one in found.items() if math.isfinite(one.raw)}
        best = max(defined, key=lambda site: defined[site].raw) if defined else sites[0]
        ceiling, which = self.ceiling
        pair = self.maps.repetitions is None or self.published
        score = found[best].with_ceiling(ceiling, PAIR_SCALE if pair else self.scale)
        notes = [self._choice(best, found), which]
        if math.isfinite(score.details.get("spearman", math.nan)):
            notes.append(f"Spearman of the mean predicted and the mean map: {score.details['spearman']:.3f}")
        if self.published:
            notes.append("the comparison repeats the differences of the published code")
        details = {**score.details, "metric": MAPS, "site": best, "by_site": _table(found)}
        return dataclasses.replace(score, details=details).with_notes(*notes)

    def _compare(self, features: NDArray[Any], shape: tuple[int, ...]) -> Score:
        grid = (len(self.maps.y), len(self.maps.x))
        maps = map_features(features.reshape(len(features), *shape), grid, self.published)
        return map_predictivity(maps, self.maps.mean, device=self.device)

    def _choice(self, best: Site, found: Mapping[Site, Score]) -> str:
        if len(found) == 1:
            return f"compared with {best} alone"
        return (
            f"{best} is the best of {len(found)} layers and steps, chosen on the same data, so the score is rather too "
            "high"
        )


def _table(found: Mapping[Site, Score]) -> pd.DataFrame:
    """All sites: layer, step, score, error, spearman."""
    return pd.DataFrame(
        [
            {
                "layer": site.layer,
                "step": site.step,
                "score": one.raw,
                "error": one.error,
                "spearman": one.details.get("spearman", math.nan),
            }
            for site, one in found.items()
        ]
    )
