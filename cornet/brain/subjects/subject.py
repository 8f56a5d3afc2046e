"""Who is compared with a brain: anything that can be shown stimuli and recorded from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Recording", "Site", "Subject"]


class Site(NamedTuple):
    """Where and when a subject is recorded: a layer (for our networks an area, "decoder.avgpool", "logits"), and its
    step, counted from 0."""

    layer: str
    step: int = 0

    def __str__(self) -> str:
        return f"{self.layer}[{self.step}]"


@dataclass(frozen=True, eq=False)
class Recording:
    """What a subject answered to a stimulus set.

    stimulus_ids: in the order of the rows. features: by site, (stimulus, feature) float32 (float64 where a file holds
    what float32 cannot); an array, or a memory map where they are large.
    """

    stimulus_ids: NDArray[np.str_]
    features: Mapping[Site, NDArray[Any]]

    def __getitem__(self, site: Site) -> NDArray[Any]:
        try:
            return self.features[site]
        except KeyError:
            raise CornetError(
                f"{site} was not recorded; there are {', '.join(map(str, self.features)) or 'no sites'}."
            ) from None


class Subject(Protocol):
    """A network, an image filter, or recorded features. name: for tables."""

    name: str

    @property
    def identity(self) -> str:
        """A hash of all that its answers depend on (weights, preprocessing, code version), never of its name."""
        ...

    def sites(self) -> list[Site]:
        """Every site that can be recorded, in the order from the eye inwards and in time."""
        ...

    def site(self, region: str, time_bin: tuple[float, float] | None = None) -> Site:
        """The site that answers for a region (V1, V2, V4, IT) in a time bin (ms after onset; None: 70 to 170).

        Raises CornetError where the subject has none, or was not told which layer it is.
        """
        ...

    def readout_site(self) -> Site:
        """The site that behaviour is read from: for our networks the decoder's pooled features at the last step."""
        ...

    def with_regions(self, regions: "Mapping[str, Site | str]") -> "Subject":
        """The same subject, with these sites or layers for these regions."""
        ...

    def record(
        self, stimuli: StimulusSet, sites: Sequence[Site], degrees: float | None = None, label: str = ""
    ) -> Recording:
        """Show all stimuli once and record these sites.

        degrees: visual angle of the stimuli; None: as the stimulus set says, or else that of the model's own input.
        label: for a progress bar; "" for none.
        """
        ...
