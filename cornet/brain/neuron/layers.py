"""The layers of a subject: which are compared, and the Gram matrix of each.

A Gram matrix, (image, image), replaces the features, however many there are (3.2 M for an early layer of VGG-16). If
the features of a subject are many, they are recorded in several passes over the images, in temporary files of at most
`DISK` bytes, and only their Gram matrices are cached.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cornet.brain.cache import cached_arrays
from cornet.brain.metrics.mapping.gram import column_blocks, gram_matrix
from cornet.brain.subjects.base import suggestion, to_site
from cornet.brain.subjects.layer_file import is_layer_file
from cornet.brain.subjects.layer_file import read_layers as layers_in
from cornet.brain.subjects.record.recording import DEFAULT_MEMORY
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["PROJECTED", "Layer", "choose_sites", "read_layers"]

DISK = 16 * 10**9
"""Bytes of features in temporary files at a time."""

MAX_STEPS = 1000

PROJECTED = 1000
"""Features after a sparse random projection; layers with fewer features are not projected."""

WIDE = 1 << 16
"""Features above which the Gram matrix is computed in float32: its rounding changes r by less than 1e-5."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer at one step.

    width: number of features. gram: (image, image) float64, of the features minus their mean. features: (image,
    feature) float64 if there are at most `PROJECTED`, or if they were projected; else None.
    """

    site: Site
    width: int
    gram: NDArray[np.float64]
    features: NDArray[np.float64] | None = None


class NotCached(Exception):
    """The cache does not have the Gram matrix of a layer."""


def choose_sites(subjects: Sequence[Subject], words: Sequence[str]) -> list[list[Site]]:
    """The sites of each subject that are compared.

    words: layers ("V4", "features.28"), each with all its steps, sites with a step ("V4[2]"), or files of `cornet
    layers`: all sites that are chosen in them; none: all sites. A subject with a single site, such as pixels, is always
    compared.

    Raises CornetError for a word that no subject has, with near names, and for a subject without any of the words.
    """
    known = [subject.sites() for subject in subjects]
    if not words:
        return known
    files, words = list(filter(is_layer_file, words)), [word for word in words if not is_layer_file(word)]
    several = [subject for subject, sites in zip(subjects, known, strict=True) if len(sites) > 1]
    words += [
        str(site) for path in files for subject in several for site in layers_in(path, subject).values()
    ]
    chosen = [[site for site in sites if {site.layer, str(site)} & set(words)] for sites in known]
    names = list(dict.fromkeys(name for sites in known for site in sites for name in (site.layer, str(site))))
    for word in words:
        if word in names:
            continue
        found = [_other_sites(subject, word) for subject in subjects]
        if not any(found):
            whose = subjects[0].name if len(subjects) == 1 else f"none of the {len(subjects)} models"
            has = "has no" if len(subjects) == 1 else "has a"
            layers = [name for name in names if not name.endswith("]")]
            raise CornetError(f"{whose} {has} layer {word!r}; {suggestion(word, layers)}")
        for sites, others in zip(chosen, found, strict=True):
            sites += others
    for subject, sites, every in zip(subjects, chosen, known, strict=True):
        if not sites and len(every) > 1:
            own = dict.fromkeys(site.layer for site in every)
            raise CornetError(
                f"{subject.name} has none of the layers {', '.join(words)}; {suggestion(words[0], own)}"
            )
    return [sites or every for sites, every in zip(chosen, known, strict=True)]


def _other_sites(subject: Subject, word: str) -> list[Site]:
    """Sites that a subject can record but does not list: a layer inside a block or area, at one step or all."""
    found: list[Site] = []
    first = to_site(word)
    steps = [first.step] if word.endswith("]") else range(first.step, MAX_STEPS)
    for step in steps:
        site = Site(first.layer, step)
        try:
            subject.with_regions({"layer": site})
        except CornetError:
            break
        found.append(site)
    return found


def read_layers(
    subject: Subject,
    stimuli: StimulusSet,
    sites: Sequence[Site],
    degrees: float | None = None,
    *,
    project: bool = False,
    device: torch.device | str = "cpu",
    label: str = "",
) -> list[Layer]:
    """Show the stimuli to a subject and return its layers, from the cache if they are there.

    degrees: visual angle of the stimuli. project: replace features by a sparse random projection if there are more
    than `PROJECTED` (Li, Hastie & Church 2006, KDD), so that lasso and PLS see features instead of components.
    device: where the Gram matrices are computed. label: label of the progress bar.
    """
    caches = getattr(subject, "caches", True)
    key = {
        "subject": subject.identity,
        "stimuli": [stimuli.identity, stimuli.code],
        "degrees": degrees if degrees is not None else stimuli.degrees,
        "project": project,
        "device": torch.device(device).type,
    }

    def arrays_of(site: Site, features: Any = None) -> dict[str, NDArray[Any]]:
        def compute() -> dict[str, NDArray[Any]]:
            if features is None:
                raise NotCached
            return _arrays(features, project, torch.device(device))

        return cached_arrays("grams", {**key, "site": str(site)}, compute) if caches else compute()

    found: dict[Site, dict[str, NDArray[Any]]] = {}
    missing = []
    for site in sites:
        try:
            found[site] = arrays_of(site)
        except NotCached:
            missing.append(site)
    for group, options in _passes(subject, stimuli, missing):
        recording = subject.record(stimuli, group, degrees, label=label, **options)
        for site in group:
            found[site] = arrays_of(site, recording[site])
    return [
        Layer(site, int(found[site]["width"]), found[site]["gram"], found[site].get("features"))
        for site in sites
    ]


def _passes(
    subject: Any, stimuli: StimulusSet, sites: Sequence[Site]
) -> Iterator[tuple[list[Site], dict[str, Any]]]:
    """Groups of sites to record together, and arguments of `record`."""
    if not sites:
        return
    widths = subject.widths(sites) if hasattr(subject, "widths") else {}
    size = {site: 4 * len(stimuli) * widths.get(site, 0) for site in sites}
    if sum(size.values()) <= DEFAULT_MEMORY:
        yield list(sites), {}
        return
    group: list[Site] = []
    for site in sites:
        if group and sum(size[one] for one in group) + size[site] > DISK:
            yield group, {"cache": False}
            group = []
        group.append(site)
    yield group, {"cache": False}


def _arrays(features: Any, project: bool, device: torch.device) -> dict[str, NDArray[Any]]:
    """Width, Gram matrix, and features if they are few or projected."""
    width = features.shape[1]
    arrays = {"width": np.array(width)}
    if project and width > PROJECTED:
        arrays["features"] = features = random_projection(features, PROJECTED)
    elif width <= PROJECTED:
        arrays["features"] = np.asarray(features, dtype=np.float64)
    precision = "float32" if width > WIDE else "float64"
    return {**arrays, "gram": gram_matrix(features, device, precision).cpu().numpy()}


def random_projection(features: Any, components: int, seed: int = 0) -> NDArray[np.float64]:
    """Project (image, feature) on `components` random directions with entries 0 and +-1, read in blocks of columns.

    A share 1 / sqrt(features) of the entries is not 0. Inner products keep their mean; their relative error is about
    1 / sqrt(components).
    """
    images, width = features.shape
    density = 1 / math.sqrt(width)
    result = np.zeros((images, components))
    rng = np.random.default_rng([seed, width])
    for block in column_blocks(features):
        columns = block.shape[1]
        counts = rng.binomial(columns, density, components)
        places = np.concatenate([rng.choice(columns, count, replace=False) for count in counts])
        signs = rng.choice([-1.0, 1.0], len(places))
        starts = np.concatenate([[0], np.cumsum(counts)])
        directions = csr_array((signs, places, starts), shape=(components, columns))
        result += (directions @ block.numpy().T).T
    return result / math.sqrt(components * density)
