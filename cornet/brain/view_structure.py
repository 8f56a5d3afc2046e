"""How much of a network's similarity of heads follows the view, its mirror image, and the identity.

analysis = ViewStructure()
table = analysis.table(subject.record(analysis.stimuli, sites))    # a row for each site, measure and structure
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.metrics.rsa.structure_bootstrap import bootstrap_correlations, bootstrap_decompositions
from cornet.brain.metrics.rsa.views import (
    STRUCTURES,
    decompose,
    similarity_correlation,
    similarity_matrix,
    view_structures,
)
from cornet.brain.simulated.face_patches import face_patches
from cornet.brain.simulated.stimuli import GreyPictures
from cornet.brain.subjects.subject import Recording
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.sizes import check_positive_int
from cornet.stimuli.objects.heads import PARAMETERS, head_views, render_heads
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["IMAGE", "ViewStructure"]

IMAGE = "image"
"""The structure of the pixels' own similarities, to which networks are compared beside `STRUCTURES`."""

OUTPUT = "output"
"""The area of the outputs of a task."""


class ViewStructure:
    """Compares similarities between rendered heads in seven views with idealised structures. An `Analysis`.

    identities: number of heads, at least 2; none is in the training images. seed: of the heads. size: pixels per side.
    background: plain white, or a kind as in `cornet.stimuli.objects.heads.head_views`. draws: bootstrap samples of the
    images. interval: their share between low and high. Raises CornetError for invalid arguments.

    The table has the columns kind (network; pixels; simulated: populations made from formulas), area, step, measure,
    structure, value, low, high. measure: coefficient, of the non-negative least squares of view, mirror and identity
    beside a background (`decompose`); or correlation, Pearson's with the similarities of each structure and of the
    pixels (image). Outputs of a regression enter without pose, position and light, as published.
    """

    name = "view_structure"

    def __init__(
        self,
        identities: int = 25,
        seed: int = 0,
        size: int = 64,
        background: str = "plain",
        draws: int = 1000,
        interval: float = 0.95,
    ) -> None:
        check_positive_int("draws", draws)
        if not 0 < interval < 1:
            raise CornetError(
                f"interval={interval!r} must be a share between 0 and 1; give for example 0.95."
            )
        self.heads = head_views(identities, seed=seed, background=background)
        if identities < 2:
            raise CornetError(
                f"identities={identities} must be at least 2 to compare heads; give for example 25."
            )
        self.images = render_heads(self.heads, size)
        self.draws, self.interval = draws, interval
        self.structures = view_structures(self.heads["view"].to_numpy(str), self.heads["identity"])

    @cached_property
    def stimuli(self) -> StimulusSet:
        """The images, which fill the screen of any subject."""
        return StimulusSet("heads in views", self.heads, GreyPictures(self.images, digest(self.images)))

    @cached_property
    def pixels(self) -> NDArray[np.float64]:
        """Similarities of the pixels, (image, image)."""
        return similarity_matrix(self.images.reshape(len(self.images), -1).astype(np.float64))

    def table(
        self,
        recording: Recording,
        outputs: Mapping[str, NDArray[Any]] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> pd.DataFrame:
        """Rows of all recorded sites, and of the outputs of a task.

        outputs: (image, output) by head. names: of the outputs of a head, where they have names.
        """
        found: dict[tuple[str, int], Any] = {
            (site.layer, site.step): features for site, features in recording.features.items()
        }
        for head, values in (outputs or {}).items():
            kept = shape_outputs(values, (names or {}).get(head))
            if kept is not None:
                found[OUTPUT if len(outputs or {}) == 1 else f"{OUTPUT} {head}", 0] = kept
        return self.compared(found, "network")

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Rows of the pixels, and of the *simulated* patches of `face_patches`."""
        pixels = self.compared({(IMAGE, 0): self.images.reshape(len(self.images), -1)}, "pixels")
        patches = {(name, 0): values for name, values in face_patches(self.heads).items()}
        return pd.concat([pixels, self.compared(patches, "simulated")], ignore_index=True)

    def compared(self, features: Mapping[tuple[str, int], Any], kind: str) -> pd.DataFrame:
        """Rows of features (image, feature) by (area, step)."""
        if not features:
            return pd.DataFrame(
                columns=["kind", "area", "step", "measure", "structure", "value", "low", "high"]
            )
        matrices = [similarity_matrix(np.asarray(each)) for each in features.values()]
        references = {**self.structures, IMAGE: self.pixels}
        del references["background"]
        coefficients = [list(decompose(one, self.structures).values()) for one in matrices]
        correlations = [
            [similarity_correlation(one, other) for other in references.values()] for one in matrices
        ]
        parts = (
            (
                "coefficient",
                STRUCTURES,
                coefficients,
                bootstrap_decompositions(matrices, self.structures, self.draws),
            ),
            (
                "correlation",
                tuple(references),
                correlations,
                bootstrap_correlations(matrices, list(references.values()), self.draws),
            ),
        )
        rows = []
        for measure, structures, values, drawn in parts:
            tail = 50 * (1 - self.interval)
            low, high = np.percentile(drawn, [tail, 100 - tail], axis=0)
            for place, (area, step) in enumerate(features):
                for column, structure in enumerate(structures):
                    bounds = {"low": low[place, column], "high": high[place, column]}
                    key = {
                        "kind": kind,
                        "area": area,
                        "step": step,
                        "measure": measure,
                        "structure": structure,
                    }
                    rows.append({**key, "value": values[place][column], **bounds})
        return pd.DataFrame(rows)


def shape_outputs(values: NDArray[Any], names: Sequence[str] | None) -> NDArray[Any] | None:
    """Outputs without those of pose, position and light; None if fewer than two are left."""
    if names is not None:
        values = values[:, [k for k, name in enumerate(names) if name in PARAMETERS]]
    return values if values.shape[1] > 1 else None
