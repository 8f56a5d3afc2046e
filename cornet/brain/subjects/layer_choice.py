"""Choose the layer of a network for each brain region, on a bundle other than the one scored afterwards.

For a mapping, the features of each candidate are reduced to at most 1000 principal components and scored with
cross-validation. The components are fitted on other images (in the reference, 1000 of ImageNet's validation set) or on
the training stimuli of each split. With pls, ridge and linear, if there are at least (training stimuli - 1) components,
the reduction would change nothing and is skipped. A similarity, such as cka, is computed from the features themselves.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.data.responses import Responses
from cornet.brain.metrics.mapping.gram import MEMORY, RowView, gram_factor, gram_matrix
from cornet.brain.metrics.mapping.rounding import rounding_notes
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import Score
from cornet.brain.subjects.base import suggestion
from cornet.brain.subjects.record.recording import DEFAULT_MEMORY
from cornet.brain.subjects.record.sketch import sketched
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.files import atomic_write, cache_folder
from cornet.hashing import code_version, digest
from cornet.opening import is_foreign, open_entry
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ALL_COMPONENTS", "LayerChoice", "choose_layers"]

log = logging.getLogger("cornet")

COMPONENTS = 1000
ALL_COMPONENTS = 10**9
"""In place of `components`: no reduction."""


@dataclass(frozen=True, eq=False)
class LayerChoice:
    """The chosen site of each region.

    regions: site by region, for `subject.with_regions(choice.regions)`.
    table: all candidates: region, layer, step, features, score (mean over splits of the median r, and over seeds),
        error, notes (what was left out, with counts), best_in (in how many seeds of splits it is the best), chosen.
    seeds: number of seeds of splits.
    bundle: name of the bundle. path: the file that stores the choice; None if it is not cached. simulated: whether the
        responses are simulated.
    """

    regions: Mapping[str, Site]
    table: pd.DataFrame = field(repr=False)
    bundle: str
    path: Path | None = None
    seeds: int = 1
    simulated: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the chosen sites, by region, and the number of candidates without a score."""
        rows = self.table[self.table["chosen"] & (self.table["notes"] != "")]
        unscored = int(self.table["score"].isna().sum())
        note = (f"{unscored} of {len(self.table)} candidates have no score and are left out",) * (
            unscored > 0
        )
        return (*(f"{row.region}: {row.notes}" for row in rows.itertuples()), *note)


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
    metric: str = "pls",
    stratify: str | None = None,
    groups: str | None = None,
    ignore: Sequence[str] = (),
    splits: int = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    seeds: int = 1,
    sketch: int | None = None,
    device: torch.device | str = "cpu",
    memory: int = DEFAULT_MEMORY,
    cache: bool = True,
    label: str = "",
) -> LayerChoice:
    """Choose a layer and step for each region on a held-out bundle.

    regions: regions of the bundle; None: all. sites: candidates; None: all sites of the subject. images: stimuli to fit
    the principal components on; None: the training stimuli. degrees: visual angle of the bundle's stimuli. time_bin:
    (start, end) of the responses, in ms. stratify, groups: columns of the stimulus table (object_name, movie). ignore:
    as in `Bundle.responses`. metric: a name, see `cornet.brain.metrics.neural.registry`; one that is not a mapping uses
    neither components nor images. seeds: number of seeds of splits, from `seed` on; the choice is by the mean over
    them. sketch: record larger sites as this many random sums of their features, so that memory and disk do not grow
    with the layers (see `cornet.brain.subjects.record.sketch`). memory: bytes of features held in memory. cache: cache
    the recordings and the choice. label: label of the progress bar. Other arguments: as in `neural_predictivity`.

    The choice is cached in `cornet.files.cache_folder()`/layer-choices, with a hash of everything that it depends on as
    the name (see `cornet.brain.cache`). If scores are equal, the earlier site is chosen.

    Raises CornetError for unknown regions, sites or columns, and if no candidate can be scored.
    """
    if not components > 0:
        raise CornetError(f"components={components!r} must be above 0.")
    comparison = neural_metric(metric)
    wanted = _regions(bundle, regions)
    candidates = list(dict.fromkeys(sites)) if sites is not None else subject.sites()
    if not candidates:
        raise CornetError(f"{subject.name} has no candidate sites; give sites.")
    tasks = {region: bundle.responses(region, time_bin, ignore) for region in wanted}
    labels = {region: _column(responses, groups) for region, responses in tasks.items()}
    if seeds < 1:
        raise CornetError(f"seeds={seeds} must be at least 1.")
    if sketch is not None:
        subject = sketched(subject, sketch)
    several = range(seed, seed + (seeds if comparison.is_mapping else 1))
    pairs = {
        region: [
            make_splits(
                len(responses.stimulus_ids),
                stratify=_column(responses, stratify),
                groups=labels[region],
                splits=splits,
                train_fraction=train_fraction,
                seed=one,
            )
            if comparison.is_mapping
            else []
            for one in several
        ]
        for region, responses in tasks.items()
    }
    stimuli = [[shown.identity, shown.degrees, shown.code] for shown in (bundle.stimuli, images) if shown]
    compared = [
        [region, responses.mean, responses.stimulus_ids, responses.notes, pairs[region], labels[region]]
        for region, responses in tasks.items()
    ]
    settings = [candidates, degrees, components, metric, torch.device(device).type, memory]
    code = code_version(__name__, type(comparison).__module__)  # nothing imports the metric by name
    key = digest(subject.identity, stimuli, compared, settings, code)
    path = cache_folder() / "layer-choices" / f"{key}.json" if cache and bundle.identity else None
    if path is not None and is_foreign(path):
        path = None
    if path is not None and (cached := _read(path, bundle.name, len(several))) is not None:
        return cached
    options: dict[str, Any] = {"label": label}
    if not cache:
        options["cache"] = False
    if memory != DEFAULT_MEMORY:
        options["memory"] = memory
    recording = subject.record(bundle.stimuli, candidates, degrees, **options)
    reduces = comparison.is_mapping and comparison.predicts_neuroids
    fitted = subject.record(images, candidates, **options) if images and reduces else None
    rows: list[tuple[Any, ...]] = []
    by_seed: list[list[float]] = []
    for site in candidates:
        features = recording[site]
        if reduces:
            reduced = _Reduced(features, fitted[site] if fitted else None, components, torch.device(device))
        for region, responses in tasks.items():
            positions = bundle.stimuli.positions(list(responses.stimulus_ids))
            if reduces:
                scores = [reduced.score(responses.mean, positions, one, metric) for one in pairs[region]]
            else:
                shown = RowView(features, positions)
                given: Any = {"groups": labels[region], "device": device}
                scores = [comparison.score(shown, responses.mean, one, **given) for one in pairs[region]]
            notes = scores[0].with_notes(*responses.notes, *rounding_notes(features, site)).notes
            by_seed.append([score.raw for score in scores])
            mean, error = (float(np.mean([getattr(one, key) for one in scores])) for key in ("raw", "error"))
            rows.append((region, site.layer, site.step, features.shape[1], mean, error, "; ".join(notes)))
    columns = ["region", "layer", "step", "features", "score", "error", "notes"]
    table = pd.DataFrame(rows, columns=columns)
    table["best_in"] = _best_in(table, np.array(by_seed), wanted)
    best = _best(table, wanted, subject.name, bundle.name)
    choice = LayerChoice(best, _marked(table, wanted), bundle.name, seeds=len(several))
    return choice if path is None else _write(path, choice, subject)


class _Reduced:
    """Features of a site as a Gram matrix, whose size does not depend on the number of features."""

    def __init__(self, features: Any, other_images: Any, components: int, device: torch.device):
        self.components = components
        self.width = features.shape[1]
        self.whole: tuple[NDArray[np.int64], NDArray[np.float64]] | None = (
            None  # rows, and all their components
        )
        self.others = 0 if other_images is None else len(other_images)
        rows = features if other_images is None else _Stacked(other_images, features)
        if self.width <= components and other_images is None:
            self.features: NDArray[Any] | None = np.asarray(features)
        else:
            self.features = None
            self.gram = gram_matrix(rows, device, memory=MEMORY).cpu().numpy()
            self.factor = cache(lambda: gram_factor(rows, device, MEMORY).cpu().numpy())

    def score(
        self,
        responses: NDArray[Any],
        rows: NDArray[np.int64],
        pairs: Sequence[tuple[Any, Any]],
        metric: str,
    ) -> Score:
        """Predictivity of the components. rows: row of each response stimulus in the recording."""
        comparison = neural_metric(metric)
        compare = comparison.score
        if self.features is not None:
            return compare(self.features[rows], responses, pairs)
        rows = rows + self.others
        if self.others:
            return compare(self._project(np.arange(self.others), rows), responses, pairs)
        if comparison.rotation_invariant and max(len(train) for train, _ in pairs) - 1 <= self.components:
            if self.whole is None or not np.array_equal(self.whole[0], rows):
                self.whole = rows, self._project(rows, rows)
            return compare(self.whole[1], responses, pairs)
        parts = [
            compare(self._project(rows[train], rows), responses, [(train, test)]) for train, test in pairs
        ]
        values = np.concatenate([part.values for part in parts])
        return Score.of_splits(values, n=parts[0].n).with_notes(
            *(note for part in parts for note in part.notes)
        )

    def _project(self, fit: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Project the rows `rows` on the principal components of the rows `fit`: (stimulus, component).

        X = U sqrt(w) V' for the centred rows `fit`, so a new row x projects to x V = x X' U / sqrt(w).
        """
        own = self.gram[np.ix_(fit, fit)]
        mean = own.mean(axis=0)
        values, vectors = np.linalg.eigh(own - mean - mean[:, None] + mean.mean())
        most = len(fit) if fit is rows else self.components
        order = np.argsort(values)[::-1][:most]
        order = order[values[order] > 1e-10 * max(values[-1], 0)]
        if len(order) < min(most, self.width, len(fit) - 1):  # the rest may be real or rounding errors
            return self._project_factor(fit, rows, most)
        cross = self.gram[np.ix_(rows, fit)]
        cross = cross - mean - cross.mean(axis=1, keepdims=True) + mean.mean()
        return cross @ (vectors[:, order] / np.sqrt(values[order]))

    def _project_factor(
        self, fit: NDArray[np.int64], rows: NDArray[np.int64], most: int
    ) -> NDArray[np.float64]:
        """Project with an SVD, for features where one direction is so long that the Gram matrix hides others."""
        Z = self.factor()
        mean = Z[fit].mean(axis=0)
        _, s, axes = np.linalg.svd(Z[fit] - mean, full_matrices=False)
        axes = axes[:most][s[:most] > s[0] * len(Z) * np.finfo(float).eps]
        return (Z[rows] - mean) @ axes.T if len(axes) else np.zeros((len(rows), 1))


class _Stacked:
    """Two matrices stacked by rows and read block by block."""

    def __init__(self, above: Any, below: Any):
        self.parts = (above, below)
        self.shape = (len(above) + len(below), above.shape[1])
        self.dtype = above.dtype

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.concatenate([np.asarray(part[index]) for part in self.parts])


def _regions(bundle: Bundle, regions: Sequence[str] | None) -> list[str]:
    coordinates = bundle.assembly.coords
    known = sorted(set(map(str, coordinates["region"].values))) if "region" in coordinates else []
    wanted = known if regions is None else list(dict.fromkeys(regions))
    if not wanted:
        raise CornetError(f"bundle {bundle.name} has no regions to choose layers for; give regions.")
    for region in wanted:
        if known and region not in known:
            raise CornetError(f"bundle {bundle.name} has no region {region!r}; {suggestion(region, known)}")
    return wanted


def _column(responses: Responses, name: str | None) -> NDArray[Any] | None:
    if name is None:
        return None
    if name not in responses.table:
        raise CornetError(
            f"the stimuli have no column {name!r}; {suggestion(name, map(str, responses.table.columns))}"
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


def _best_in(table: pd.DataFrame, by_seed: NDArray[np.float64], regions: Sequence[str]) -> NDArray[np.int64]:
    """The number of seeds in which each candidate is the best of its region. by_seed: (candidate, seed)."""
    counts = np.zeros(len(table), int)
    for region in regions:
        rows = np.flatnonzero(table["region"] == region)
        for values in by_seed[rows].T:
            if np.isfinite(values).any():
                counts[rows[np.nanargmax(values)]] += 1
    return counts


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
        log.warning("the choice of layers is not cached (%s)", error)
        return choice
    return replace(choice, path=path)


def _read(path: Path, bundle: str, seeds: int) -> LayerChoice | None:
    """Read a cached choice; None if the file is missing or damaged."""
    try:
        with open_entry(path) as file:
            content = json.load(file)
        regions = {
            region: Site(str(layer), int(step)) for region, (layer, step) in content["regions"].items()
        }
        return LayerChoice(regions, pd.DataFrame(content["candidates"]), bundle, path, seeds)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
