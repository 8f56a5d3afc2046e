"""Read a bundle with dissimilarities instead of responses: stimuli and rdms.npz.

rdms.npz contains stimulus_id and dissimilarity matrices (RDMs) with 0 on the diagonal. The name of an array contains
its region as a word: "IT", "human_it". Shapes: (stimulus, stimulus) for a group average, (subject, stimulus,
stimulus), or (subject, ..., stimulus, stimulus), which is averaged over "...". If several arrays match a region, the
one with the most dimensions is used.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cornet.brain.data.files.bundle_files import checked_folder
from cornet.brain.data.files.npz import read_arrays, read_ids
from cornet.brain.data.files.stimulus_files import load_stimuli
from cornet.brain.metrics.similarity import rdm_problem
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["RDM_FILE", "RdmBundle", "load_rdms"]

RDM_FILE = "rdms.npz"
IDS = "stimulus_id"


@dataclass(frozen=True, eq=False)
class RdmBundle:
    """Stimuli, and the subjects' RDMs by region, (subject, stimulus, stimulus) float64, in the order of stimulus_ids.

    A group average counts as one subject. notes: by region, what was averaged or not used."""

    stimuli: StimulusSet
    stimulus_ids: NDArray[np.str_]
    rdms: dict[str, NDArray[np.float64]]
    notes: dict[str, list[str]] = field(default_factory=dict)


def load_rdms(folder: str | os.PathLike[str], regions: Sequence[str]) -> RdmBundle:
    """Read the stimuli and rdms.npz of a folder.

    regions: the regions to look for. Raises CornetError for files that are damaged or do not match, for arrays that
    are not RDMs, and if none of the regions is found.
    """
    root = checked_folder(folder)
    path = root / RDM_FILE
    arrays = read_arrays(path, f"a folder with {RDM_FILE}")
    ids = read_ids(arrays, IDS, path)
    stimuli = load_stimuli(root)
    unknown = ids[~np.isin(ids, stimuli.ids)]
    if len(unknown):
        raise CornetError(
            f"{path} has {len(unknown)} stimuli, such as {str(unknown[0])!r}, that are missing from {stimuli.name}; "
            "use the stimulus set of these RDMs."
        )
    rdms, notes = {}, {}
    for region in regions:
        matches = {name: array for name, array in arrays.items() if region.lower() in name.lower().split("_")}
        if matches:
            name = max(matches, key=lambda key: matches[key].ndim)
            rdms[region] = _by_subject(matches[name], name, len(ids), path)
            sessions = int(np.prod(matches[name].shape[1:-2]))
            notes[region] = [f"averaged {sessions} dissimilarity matrices per subject"] * (sessions > 1)
            if unused := sorted(matches.keys() - {name}):
                notes[region].append(f"used array {name}, skipped {', '.join(unused)}")
    if not rdms:
        raise CornetError(
            f"{path} contains {', '.join(arrays) or 'nothing'} besides {IDS}, but none is named after a region "
            f"({', '.join(regions)}); rename one, for example to IT."
        )
    return RdmBundle(stimuli, ids, rdms, notes)


def _by_subject(array: NDArray[np.generic], name: str, stimuli: int, path: Path) -> NDArray[np.float64]:
    """Check an array of RDMs and average it to (subject, stimulus, stimulus)."""
    if array.ndim < 2 or array.shape[-2:] != (stimuli, stimuli) or array.dtype.kind not in "fiu":
        raise CornetError(
            f"{path} has {name} as {array.dtype} of shape {array.shape}, but must have dissimilarities of its "
            f"{stimuli} stimuli, (subject, stimulus, stimulus); write it again."
        )
    values = array.astype(np.float64).reshape(array.shape[0] if array.ndim > 2 else 1, -1, stimuli, stimuli)
    off = ~np.eye(stimuli, dtype=bool)
    if not np.isfinite(values[..., off]).all():
        raise CornetError(f"{path} has non-finite dissimilarities in {name}; remove those stimuli.")
    if np.isnan(values[..., ~off]).any():
        raise CornetError(
            f"{path} has NaN on the diagonal of {name}, where dissimilarities must have 0; write 0 there if these are "
            "dissimilarities, not similarities."
        )
    if problem := rdm_problem(values):
        raise CornetError(f"{path}: {name} {problem}.")
    means = values.mean(axis=1)
    if len(np.unique(means.reshape(len(means), -1), axis=0)) < len(means):
        raise CornetError(
            f"{path} has duplicate subjects among the {len(means)} in {name}; keep one of each."
        )
    return means
