"""Interface of subjects: anything that can be shown stimuli and recorded from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["NoLayer", "Recording", "Site", "Subject"]


class NoLayer(CornetError):
    """The subject has no layer for a region."""


class Site(NamedTuple):
    """A layer of a subject (in cornet's networks an area, "decoder.avgpool" or "logits") and its step, from 0."""

    layer: str
    step: int = 0

    def __str__(self) -> str:
        return f"{self.layer}[{self.step}]"


@dataclass(frozen=True, eq=False)
class Recording:
    """Features of a subject for a stimulus set.

    stimulus_ids: (stimulus,). features: by site, (stimulus, feature) float32, or float64 if a file has values that
    float32 cannot represent; large features are memory maps.
    """

    stimulus_ids: NDArray[np.str_]
    features: Mapping[Site, NDArray[Any]]

    def __getitem__(self, site: Site) -> NDArray[Any]:
        try:
            return self.features[site]
        except KeyError:
            raise CornetError(
                f"{site} was not recorded; choose one of {', '.join(map(str, self.features)) or '(no sites)'}."
            ) from None


class Subject(Protocol):
    """A network, an image filter, or recorded features. name: label in tables."""

    name: str

    @property
    def identity(self) -> str:
        """Hash of everything that the features depend on: weights, preprocessing, code version, but not the name."""
        ...

    def sites(self) -> list[Site]:
        """All sites that can be recorded, in the order of processing and time."""
        ...

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The site for a region (V1, V2, V4, IT) and a time bin, in ms after onset (None: 70 to 170).

        Raises NoLayer, a CornetError, if no layer is assigned to the region.
        """
        ...

    def readout_site(self) -> Site:
        """The site for behaviour: in cornet's networks the decoder's pooled features at the last step."""
        ...

    def shapes(self, sites: "Sequence[Site]") -> "dict[Site, tuple[int, ...]]":
        """The shape of each site's features before they are flattened; (feature,) if it is unknown."""
        ...

    def with_regions(self, regions: "Mapping[str, Site | str]") -> "Subject":
        """Copy of the subject with these sites or layers for these regions."""
        ...

    def record(
        self, stimuli: StimulusSet, sites: Sequence[Site], degrees: float | None = None, label: str = ""
    ) -> Recording:
        """Show all stimuli once and record these sites.

        degrees: visual angle of the stimuli; None: that of the stimulus set, or else of the model's input.
        label: label of the progress bar; "" for no bar.
        """
        ...
