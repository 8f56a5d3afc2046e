"""Features that somebody recorded elsewhere, as a subject."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.npz import read_arrays, read_ids
from cornet.brain.subjects.base import nearby, site_or_layer, to_site
from cornet.brain.subjects.step_times import Intervals, check_intervals, step_for
from cornet.brain.subjects.subject import Recording, Site
from cornet.errors import CornetError
from cornet.hashing import code_version, digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["RecordedSubject"]

IDS = "stimulus_ids"
READOUTS = ("decoder.avgpool", "readout")


class RecordedSubject:
    """The features of a file features.npz: `stimulus_ids` (stimulus,) and one array a site, (stimulus, feature...).

    A site is named like "V4", or with its step "V4[1]". path: the file, or a folder with features.npz in it.
    regions: by region, its layer or site; a layer named like the region needs none. intervals: by layer, its steps'
    (start, end) in ms; without, the last step answers at every time. Behaviour is read from "decoder.avgpool" or
    "readout" where there is one, else from the last site.

    Raises CornetError for a file that is missing, damaged or holds objects, ids that occur twice, arrays of another
    number of rows, and features that are no numbers or not finite.
    """

    def __init__(
        self,
        path: Path | str,
        regions: Mapping[str, Site | str] | None = None,
        name: str | None = None,
        intervals: Intervals | None = None,
    ):
        given = Path(path)
        self.path = given / "features.npz" if given.is_dir() else given
        self.name = name or str(given)
        self.intervals = dict(intervals or {})
        check_intervals(self.intervals)
        self._ids, self._features = _read(self.path)
        named = {str(site): features for site, features in self._features.items()}
        self.identity = digest("recorded", self._ids, named, code_version(__name__))
        self.regions: dict[str, Site | str] = {}
        if regions:
            self.regions = self.with_regions(regions).regions

    def sites(self) -> list[Site]:
        """The file's sites, in its order, each layer's in time."""
        layers = list(dict.fromkeys(site.layer for site in self._features))
        return sorted(self._features, key=lambda site: (layers.index(site.layer), site.step))

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The region's site. Raises CornetError where none is named so."""
        layer = self.regions.get(region, region)
        if isinstance(layer, Site):
            return layer
        steps = [site.step for site in self._features if site.layer == layer]
        if not steps:
            raise CornetError(f"{self.name} has no {region!r}; {nearby(region, map(str, self._features))}.")
        if layer in self.intervals:
            return Site(layer, step_for(self.intervals[layer], time_bin))
        return Site(layer, max(steps))

    def _unknown(self, site: Site | str) -> CornetError:
        return CornetError(f"{self.name} has no {site}; {nearby(str(site), map(str, self._features))}.")

    def readout_site(self) -> Site:
        for layer in READOUTS:
            if any(site.layer == layer for site in self._features):
                return self.site(layer)
        return self.sites()[-1]

    def with_regions(self, regions: Mapping[str, Site | str]) -> "RecordedSubject":
        """The same features, with these sites for these regions."""
        chosen: dict[str, Site | str] = {}
        for region, value in regions.items():
            layer = site_or_layer(value)
            layers = [site.layer for site in self._features]
            if layer not in (self._features if isinstance(layer, Site) else layers):
                raise self._unknown(layer)
            chosen[region] = layer
        twin = copy.copy(self)
        twin.regions = {**self.regions, **chosen}
        return twin

    def record(
        self,
        stimuli: StimulusSet,
        sites: Sequence[Site],
        degrees: float | None = None,
        label: str = "",
        **_: Any,
    ) -> Recording:
        """The rows of these stimuli; nothing is shown, so degrees, label and the other arguments change nothing.

        Raises CornetError for stimuli that were not recorded.
        """
        rows = pd.Index(self._ids).get_indexer(pd.Index(stimuli.ids))
        if (rows < 0).any():
            missing = stimuli.ids[rows < 0]
            raise CornetError(
                f"{self.path} lacks {len(missing)} of the {len(stimuli)} stimuli of {stimuli.name}, such as "
                f"{str(missing[0])!r}; record them too."
            )
        found = {}
        for site in map(to_site, sites):
            if site not in self._features:
                raise self._unknown(site)
            found[site] = self._features[site][rows]
        return Recording(stimuli.ids, found)


def _read(path: Path) -> tuple[NDArray[np.str_], dict[Site, NDArray[Any]]]:
    arrays = read_arrays(path, "a features.npz or the folder that holds it")
    ids = read_ids(arrays, IDS, path)
    if not arrays:
        raise CornetError(f"{path} holds no features beside {IDS}; add one array a site.")
    features = {}
    for name, array in arrays.items():
        if array.ndim < 2 or len(array) != len(ids) or array.dtype.kind not in "fiub" or not array.size:
            raise CornetError(
                f"{path} has {name} as {array.dtype} of shape {array.shape}, but needs numbers, (stimulus, feature), "
                f"for its {len(ids)} stimuli."
            )
        if bad := int(np.count_nonzero(~np.isfinite(array))):
            raise CornetError(
                f"{path} has {bad} values in {name} that are not finite; leave those features out."
            )
        # Whatever float32 cannot hold exactly stays float64: an offset must not round the variation away.
        exact = np.promote_types(array.dtype, np.float32)
        features[to_site(name)] = array.reshape(len(ids), -1).astype(exact)
    return ids, features
