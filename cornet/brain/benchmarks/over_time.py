"""Responses in several time bins: open them, and compare every bin with every step of a subject."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cornet.brain.benchmarks.local_bundles import split_region
from cornet.brain.data.bundle import Bundle, load_bundle
from cornet.brain.data.columns import categories
from cornet.brain.data.responses import Responses
from cornet.brain.data.split_rule import SplitOptions, read_rule_file, split_rule
from cornet.brain.metrics.mapping.gram import RowView
from cornet.brain.metrics.predictivity import METRICS, Metric
from cornet.brain.metrics.temporal.grid import TemporalScore, check_bins, temporal_predictivity
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError, check_choice
from cornet.names import escaped
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["SIMULATED", "TimedResponses", "open_over_time"]

SIMULATED = "simulated"
"""Names the simulated IT over time."""


@dataclass(frozen=True, eq=False)
class TimedResponses:
    """Responses of a region in several bins, of the same stimuli and neuroids.

    responses: one `Responses` for each bin. bins: (bin, 2), ms after the onset of the image. stratify, groups: labels
    (stimulus,) of the splits, or None. notes: what was left out.
    """

    name: str
    region: str
    stimuli: StimulusSet
    responses: Sequence[Responses] = field(repr=False)
    bins: NDArray[np.float64]
    stratify: NDArray[Any] | None = field(default=None, repr=False)
    groups: NDArray[Any] | None = field(default=None, repr=False)
    degrees: float | None = None
    simulated: bool = False
    notes: tuple[str, ...] = ()

    def compare(
        self,
        recording: Recording,
        sites: Sequence[Site],
        metric: Metric = "ridgecv",
        device: torch.device | str = "cpu",
    ) -> TemporalScore:
        """Compare every bin with every site of a recording of the stimuli. Raises CornetError for an unknown metric."""
        check_choice("metric", metric, METRICS)
        first = self.responses[0]
        rows = self.stimuli.positions(list(first.stimulus_ids))
        repetitions = [one.repetitions for one in self.responses]
        known = all(one is not None for one in repetitions)
        return temporal_predictivity(
            {site: RowView(recording[site], rows) for site in sites},
            np.stack([one.mean for one in self.responses]),
            self.bins,
            metric,
            stratify=self.stratify,
            groups=self.groups,
            repetitions=np.stack(repetitions, axis=1) if known else None,  # type: ignore[arg-type]
            device=device,
        )


def open_over_time(text: str) -> TimedResponses:
    """Open the responses over time of a bundle, or of the simulated IT.

    text: a folder with a bundle of several time bins, with its region if it has several (my-bundle:IT), or "simulated".
    Splits are those of scoring. Raises CornetError for fewer than two bins, bins that overlap, several regions, and a
    bundle with one fixed split.
    """
    if text == SIMULATED:
        from cornet.brain import simulated

        bundle = simulated.it_over_time()
        timed = of_bundle(bundle, "simulated.IT-over-time", "IT", (), True)
        labels = timed.responses[0].table["category_name"].to_numpy(str)
        return replace(timed, stratify=labels, degrees=bundle.stimuli.degrees)
    folder, region = split_region(text)
    if not folder.is_dir():
        raise CornetError(
            f"{text!r} is not a folder with a bundle of several time bins; name one, or simulated for the simulated IT."
        )
    bundle = load_bundle(folder)
    rule = split_rule(bundle, read_rule_file(folder), SplitOptions())
    if rule.fixed:
        raise CornetError(
            f"{folder} defines one fixed split, but time needs several; leave it out of bundle.json."
        )
    timed = of_bundle(bundle, escaped(folder.name), region, rule.ignore, False)
    table = timed.responses[0].table

    def labels_of(name: str | None) -> NDArray[Any] | None:
        return None if name is None else categories(table[name], name, f"the stimuli of {folder}")

    stratify, groups = labels_of(rule.stratify), labels_of(rule.groups)
    return replace(timed, stratify=stratify, groups=groups, degrees=bundle.stimuli.degrees)


def of_bundle(
    bundle: Bundle, name: str, region: str, ignore: Sequence[str], simulated: bool
) -> TimedResponses:
    """Read all bins of a region."""
    coordinates = bundle.assembly.coords
    regions: list[str] = []
    if "region" in coordinates:
        regions = np.unique(np.atleast_1d(coordinates["region"].values).astype(str)).tolist()
    if len(regions) > 1 and not region:
        raise CornetError(
            f"{name} has several regions; name one: {', '.join(f'{name}:{one}' for one in regions)}."
        )
    if region and regions and region not in regions:
        raise CornetError(f"{name} has no region {region!r}, but {', '.join(regions)}; choose one of these.")
    region = region or (regions[0] if regions else "")
    ends = [
        np.atleast_1d(coordinates[key].values).astype(float)
        for key in ("time_bin_start", "time_bin_end")
        if key in coordinates
    ]
    if len(ends) < 2 or len(ends[0]) < 2:
        raise CornetError(
            f"{name} has {len(ends[0]) if ends else 0} time bin{'s' * (not ends or len(ends[0]) != 1)}, but a "
            "comparison over time needs several; use responses in bins, with time_bin_start and time_bin_end."
        )
    bins = np.stack(ends, axis=1)
    bins = bins[np.argsort(bins[:, 0])]
    check_bins(bins)
    parts = [bundle.responses(region or None, (start, end), ignore) for start, end in bins]
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return TimedResponses(name, region, bundle.stimuli, parts, bins, simulated=simulated, notes=notes)
