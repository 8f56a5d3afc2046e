"""Features from a file as a subject."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.files.npz import read_arrays, read_ids
from cornet.brain.subjects.base import site_or_layer, suggestion, to_site
from cornet.brain.subjects.step_times import Intervals, check_intervals, step_for
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError
from cornet.hashing import code_version, digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["RecordedSubject"]

IDS = "stimulus_ids"
READOUTS = ("decoder.avgpool", "readout")


class RecordedSubject:
    """The features of a file features.npz: `stimulus_ids` (stimulus,), and an array (stimulus, feature...) per site.

    Arrays (stimulus, channel, y, x) can be compared with maps of activity.

    Sites have names such as "V4", or with a step "V4[1]". path: the file, or the folder of features.npz.
    regions: layer or site of each region; other regions use the layer of their name. intervals: by layer, the (start,
    end) of each step in ms; without them the last step is compared at all times. The readout site is
    "decoder.avgpool" or "readout" if the file has one, or else the last site.

    Raises CornetError for a file that is missing, damaged or contains objects, duplicate ids, a wrong number of rows,
    and features that are not finite numbers.
    """

    def __init__(
        self,
        path: Path | str,
        regions: Mapping[str, Site | str] | None = None,
        name: str | None = None,
        intervals: Intervals | None = None,
    ):
        path = Path(path)
        self.path = path / "features.npz" if path.is_dir() else path
        self.name = name or str(path)
        self.intervals = dict(intervals or {})
        check_intervals(self.intervals)
        self._ids, self._features, self._shapes = _read(self.path)
        named = {str(site): features for site, features in self._features.items()}
        self.identity = digest("recorded", self._ids, named, code_version(__name__))
        self.regions: dict[str, Site | str] = {}
        if regions:
            self.regions = self.with_regions(regions).regions

    def sites(self) -> list[Site]:
        """Layers in the order of the file, each with its steps in order."""
        layers = list(dict.fromkeys(site.layer for site in self._features))
        return sorted(self._features, key=lambda site: (layers.index(site.layer), site.step))

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The site of a region. Raises CornetError for an unknown region."""
        layer = self.regions.get(region, region)
        if isinstance(layer, Site):
            return layer
        steps = [site.step for site in self._features if site.layer == layer]
        if not steps:
            raise CornetError(
                f"{self.name} has no {region!r}; {suggestion(region, map(str, self._features))}"
            )
        if layer in self.intervals:
            return Site(layer, step_for(self.intervals[layer], time_bin))
        return Site(layer, max(steps))

    def shapes(self, sites: Sequence[Site]) -> dict[Site, tuple[int, ...]]:
        """The shape of each site's features in the file, without the stimuli."""
        return {site: self._shapes[site] for site in sites}

    def _unknown(self, site: Site | str) -> CornetError:
        return CornetError(f"{self.name} has no {site}; {suggestion(str(site), map(str, self._features))}")

    def readout_site(self) -> Site:
        for layer in READOUTS:
            if any(site.layer == layer for site in self._features):
                return self.site(layer)
        return self.sites()[-1]

    def with_regions(self, regions: Mapping[str, Site | str]) -> "RecordedSubject":
        """Copy of the subject with these sites or layers for these regions."""
        chosen: dict[str, Site | str] = {}
        for region, value in regions.items():
            layer = site_or_layer(value)
            layers = [site.layer for site in self._features]
            if layer not in (self._features if isinstance(layer, Site) else layers):
                raise self._unknown(layer)
            chosen[region] = layer
        subject = copy.copy(self)
        subject.regions = {**self.regions, **chosen}
        return subject

    def record(
        self,
        stimuli: StimulusSet,
        sites: Sequence[Site],
        degrees: float | None = None,
        label: str = "",
        **_: Any,
    ) -> Recording:
        """Return the rows of these stimuli; degrees, label and other arguments are ignored, as nothing is shown.

        Raises CornetError for stimuli that are not in the file.
        """
        rows = pd.Index(self._ids).get_indexer(pd.Index(stimuli.ids))
        if (rows < 0).any():
            missing = stimuli.ids[rows < 0]
            raise CornetError(
                f"{self.path} has no features for {len(missing)} of the {len(stimuli)} stimuli of {stimuli.name}, such "
                f"as {str(missing[0])!r}; add them."
            )
        features = {}
        for site in map(to_site, sites):
            if site not in self._features:
                raise self._unknown(site)
            features[site] = self._features[site][rows]
        return Recording(stimuli.ids, features)


def _read(
    path: Path,
) -> tuple[NDArray[np.str_], dict[Site, NDArray[Any]], dict[Site, tuple[int, ...]]]:
    arrays = read_arrays(path, "a features.npz or the folder that holds it")
    ids = read_ids(arrays, IDS, path)
    if not arrays:
        raise CornetError(f"{path} contains only {IDS}; add an array of features per site.")
    features = {}
    for name, array in arrays.items():
        if array.ndim < 2 or len(array) != len(ids) or array.dtype.kind not in "fiub" or not array.size:
            raise CornetError(
                f"{path} has {name} as {array.dtype} of shape {array.shape}, but needs numbers, (stimulus, feature), "
                f"for its {len(ids)} stimuli; replace the array."
            )
        if bad := int(np.count_nonzero(~np.isfinite(array))):
            raise CornetError(
                f"{path} has {bad} values in {name} that are not finite; leave these features out."
            )
        # Keep float64 if float32 is not exact, so that a large offset does not round small differences away.
        exact = np.promote_types(array.dtype, np.float32)
        features[to_site(name)] = array.reshape(len(ids), -1).astype(exact)
    return ids, features, {to_site(name): array.shape[1:] for name, array in arrays.items()}
