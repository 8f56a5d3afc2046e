"""Which layer of a network stands for which region, chosen on a bundle other than the one scored afterwards.

Each candidate's features are reduced to at most 1000 principal components, fitted on other images (the reference: 1000
of ImageNet's validation set) or else on each split's training stimuli, and scored cross-validated. With pls and ridge
and a component for each training stimulus but one, the reduction changes nothing and is left out.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.data.responses import Responses
from cornet.brain.metrics.gram import MEMORY, gram_factor, gram_matrix
from cornet.brain.metrics.predictivity import METRICS, Metric, neural_predictivity
from cornet.brain.metrics.rounding import rounding_notes
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import Score
from cornet.brain.subjects.base import nearby
from cornet.brain.subjects.recording import DEFAULT_MEMORY
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.files import atomic_write, cache_folder
from cornet.hashing import code_version, digest
from cornet.opening import is_foreign, open_entry
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["LayerChoice", "choose_layers"]

log = logging.getLogger("cornet")

COMPONENTS = 1000


@dataclass(frozen=True, eq=False)
class LayerChoice:
    """The site that stands for each region.

    regions: site by region; `subject.with_regions(choice.regions)` then answers `site(region)`.
    table: all candidates: region, layer, step, features, score (mean over splits of the median r), error, notes (what
        was left out, counted), chosen.
    bundle: the name of the data that it was found on. path: the file that records it; None where none could be kept.
    """

    regions: Mapping[str, Site]
    table: pd.DataFrame = field(repr=False)
    bundle: str
    path: Path | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out at the chosen sites, by region, and how many candidates have no score."""
        rows = self.table[self.table["chosen"] & (self.table["notes"] != "")]
        unscored = int(self.table["score"].isna().sum())
        lacking = (f"{unscored} of {len(self.table)} candidates have no score and are left out",) * (
            unscored > 0
        )
        return (*(f"{row.region}: {row.notes}" for row in rows.itertuples()), *lacking)


def choose_layers(
    subject: Subject,
    bundle: Bundle,
    regions: Sequence[str] | None = None,
    *,
    sites: Sequence[Site] | None = None,
    images: StimulusSet | None = None,
    degrees: float | None = None,
    time_bin: tuple[float, float] | None = None,
    components: int = COMPONENTS,
    metric: Metric = "pls",
    stratify: str | None = None,
    groups: str | None = None,
    ignore: Sequence[str] = (),
    splits: int = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    device: torch.device | str = "cpu",
    memory: int = DEFAULT_MEMORY,
    cache: bool = True,
    label: str = "",
) -> LayerChoice:
    """Find each region's layer and step on a bundle set aside for it.

    regions: of the bundle; None: all that it has. sites: the candidates; None: all of the subject. images: on which
    the principal components are fitted; None: the training stimuli. degrees: visual angle of the bundle's stimuli.
    time_bin: of the responses, in ms. stratify, groups: columns of the stimulus table (object_name, movie). ignore: as
    in `Bundle.responses`. The rest as in `neural_predictivity`. memory: bytes of features held in memory. cache: keep
    the recordings and the choice. label: for the progress bar.

    The choice is recorded below `cornet.files.cache_folder()`/layer-choices, named by a hash of all that it depends on
    (see `cornet.brain.cache`), and read from there the next time. Of equal scores the earlier site is taken.

    Raises CornetError for regions, sites or columns that there are not, and where no candidate can be scored.
    """
    if not components > 0 or metric not in METRICS:
        raise CornetError(
            f"components={components!r} and metric={metric!r} must be a number above 0 and one of {', '.join(METRICS)}."
        )
    wanted = _regions(bundle, regions)
    candidates = list(dict.fromkeys(sites)) if sites is not None else subject.sites()
    if not candidates:
        raise CornetError(f"{subject.name} offers no sites to choose from; name some.")
    tasks = {region: bundle.responses(region, time_bin, ignore) for region in wanted}
    pairs = {
        region: make_splits(
            len(one.stimulus_ids),
            stratify=_column(one, stratify),
            groups=_column(one, groups),
            splits=splits,
            train_fraction=train_fraction,
            seed=seed,
        )
        for region, one in tasks.items()
    }
    shown = [[one.identity, one.degrees, one.code] for one in (bundle.stimuli, images) if one]
    compared = [
        [region, one.mean, one.stimulus_ids, one.notes, pairs[region]] for region, one in tasks.items()
    ]
    settings = [candidates, degrees, components, metric, torch.device(device).type, memory]
    key = digest(subject.identity, shown, compared, settings, code_version(__name__))
    path = cache_folder() / "layer-choices" / f"{key}.json" if cache and bundle.identity else None
    if path is not None and is_foreign(path):
        path = None
    if path is not None and (kept := _read(path, bundle.name)) is not None:
        return kept
    options: dict[str, Any] = {"label": label}
    if not cache:
        options["cache"] = False
    if memory != DEFAULT_MEMORY:
        options["memory"] = memory
    recording = subject.record(bundle.stimuli, candidates, degrees, **options)
    fitted = subject.record(images, candidates, **options) if images else None
    rows = []
    for site in candidates:
        features = recording[site]
        reduced = _Reduced(features, fitted[site] if fitted else None, components, torch.device(device))
        for region, one in tasks.items():
            where = bundle.stimuli.positions(list(one.stimulus_ids))
            score = reduced.score(one.mean, where, pairs[region], metric)
            notes = score.noted(*one.notes, *rounding_notes(features, site)).notes
            found = features.shape[1], score.raw, score.error, "; ".join(notes)
            rows.append((region, site.layer, site.step, *found))
    columns = ["region", "layer", "step", "features", "score", "error", "notes"]
    table = pd.DataFrame(rows, columns=columns)
    choice = LayerChoice(_best(table, wanted, subject.name, bundle.name), _marked(table, wanted), bundle.name)
    return choice if path is None else _write(path, choice, subject)


class _Reduced:
    """A site's features by their Gram matrix: few numbers, whatever the layer's size."""

    def __init__(self, features: Any, others: Any, components: int, device: torch.device):
        self.components = components
        self.width = features.shape[1]
        self.others = 0 if others is None else len(others)
        rows = features if others is None else _Stacked(others, features)
        if self.width <= components and others is None:
            self.features: NDArray[Any] | None = np.asarray(features)
        else:
            self.features = None
            self.gram = gram_matrix(rows, device, memory=MEMORY).cpu().numpy()
            self.factor = cache(lambda: gram_factor(rows, device, MEMORY).cpu().numpy())

    def score(
        self,
        responses: NDArray[Any],
        where: NDArray[np.int64],
        pairs: Sequence[tuple[Any, Any]],
        metric: Metric,
    ) -> Score:
        """How well the components predict; `where`: the responses' stimuli among the recorded ones."""
        if self.features is not None:
            return neural_predictivity(self.features[where], responses, metric, splits=pairs)
        where = where + self.others
        if self.others:
            return neural_predictivity(
                self._project(np.arange(self.others), where), responses, metric, splits=pairs
            )
        if metric != "neuron_to_neuron" and max(len(train) for train, _ in pairs) - 1 <= self.components:
            return neural_predictivity(self._project(where, where), responses, metric, splits=pairs)
        parts = [
            neural_predictivity(self._project(where[train], where), responses, metric, splits=[(train, test)])
            for train, test in pairs
        ]
        values = np.concatenate([part.values for part in parts])
        return Score.of_splits(values, n=parts[0].n).noted(*(note for part in parts for note in part.notes))

    def _project(self, fit: NDArray[np.int64], where: NDArray[np.int64]) -> NDArray[np.float64]:
        """(stimulus, component): principal components of the rows `fit`, of the rows `where`.

        X = U sqrt(w) V' of the centred rows, so new rows x are projected by x V = x X' U / sqrt(w).
        """
        own = self.gram[np.ix_(fit, fit)]
        mean = own.mean(axis=0)
        values, vectors = np.linalg.eigh(own - mean - mean[:, None] + mean.mean())
        most = len(fit) if fit is where else self.components
        order = np.argsort(values)[::-1][:most]
        order = order[values[order] > 1e-10 * max(values[-1], 0)]
        if len(order) < min(most, self.width, len(fit) - 1):  # the others may be real, or rounding
            return self._project_factor(fit, where, most)
        cross = self.gram[np.ix_(where, fit)]
        cross = cross - mean - cross.mean(axis=1, keepdims=True) + mean.mean()
        return cross @ (vectors[:, order] / np.sqrt(values[order]))

    def _project_factor(
        self, fit: NDArray[np.int64], where: NDArray[np.int64], most: int
    ) -> NDArray[np.float64]:
        """The same by singular values, where one direction is so long that the Gram matrix hides others."""
        Z = self.factor()
        mean = Z[fit].mean(axis=0)
        _, s, axes = np.linalg.svd(Z[fit] - mean, full_matrices=False)
        axes = axes[:most][s[:most] > s[0] * len(Z) * np.finfo(float).eps]
        return (Z[where] - mean) @ axes.T if len(axes) else np.zeros((len(where), 1))


class _Stacked:
    """Two matrices of the same width, one above the other, read block by block."""

    def __init__(self, above: Any, below: Any):
        self.parts = (above, below)
        self.shape = (len(above) + len(below), above.shape[1])
        self.dtype = above.dtype

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.concatenate([np.asarray(part[index]) for part in self.parts])


def _regions(bundle: Bundle, regions: Sequence[str] | None) -> list[str]:
    coordinates = bundle.assembly.coords
    there = sorted(set(map(str, coordinates["region"].values))) if "region" in coordinates else []
    wanted = there if regions is None else list(dict.fromkeys(regions))
    if not wanted:
        raise CornetError(f"the bundle {bundle.name} does not say which regions it has; name them.")
    for region in wanted:
        if there and region not in there:
            raise CornetError(f"the bundle {bundle.name} has no region {region!r}; {nearby(region, there)}.")
    return wanted


def _column(responses: Responses, name: str | None) -> NDArray[Any] | None:
    if name is None:
        return None
    if name not in responses.table:
        raise CornetError(
            f"the stimuli have no column {name!r}; {nearby(name, map(str, responses.table.columns))}."
        )
    return responses.table[name].to_numpy()


def _best(table: pd.DataFrame, regions: Sequence[str], subject: str, bundle: str) -> dict[str, Site]:
    chosen = {}
    for region in regions:
        rows = table[(table["region"] == region) & np.isfinite(table["score"])]
        if rows.empty:
            raise CornetError(
                f"none of the {int((table['region'] == region).sum())} candidates of {subject} has a score for "
                f"{region} on {bundle}: responses or features do not vary; use another bundle."
            )
        best = rows.loc[rows["score"].idxmax()]
        chosen[region] = Site(str(best["layer"]), int(best["step"]))
    return chosen


def _marked(table: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    best = {table["score"].where(table["region"] == region).idxmax() for region in regions}
    return table.assign(chosen=table.index.isin(best))


def _write(path: Path, choice: LayerChoice, subject: Subject) -> LayerChoice:
    content = {
        "subject": {"name": subject.name, "identity": subject.identity},
        "bundle": choice.bundle,
        "regions": {region: [site.layer, site.step] for region, site in choice.regions.items()},
        "candidates": choice.table.to_dict("list"),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(content, indent=1) + "\n")
    except (OSError, CornetError) as error:
        log.warning("the choice of layers is not kept for the next time (%s)", error)
        return choice
    return LayerChoice(choice.regions, choice.table, choice.bundle, path)


def _read(path: Path, bundle: str) -> LayerChoice | None:
    """A recorded choice; None where there is none, or the file is damaged."""
    try:
        with open_entry(path) as file:
            content = json.load(file)
        regions = {
            region: Site(str(layer), int(step)) for region, (layer, step) in content["regions"].items()
        }
        return LayerChoice(regions, pd.DataFrame(content["candidates"]), bundle, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
