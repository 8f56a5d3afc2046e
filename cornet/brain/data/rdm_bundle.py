"""A bundle with dissimilarities instead of responses: stimuli and rdms.npz.

rdms.npz holds stimulus_id and, by region, dissimilarity matrices (RDMs) with 0 on the diagonal. A region is a word of
an array's name: "IT", "human_it". Shapes: (stimulus, stimulus) of a group, (subject, stimulus, stimulus), or
(subject, ..., stimulus, stimulus), averaged over "..."; of several arrays that with the most dimensions is taken.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cornet.brain.data.bundle_files import checked_folder
from cornet.brain.data.npz import read_arrays, read_ids
from cornet.brain.data.stimulus_files import load_stimuli
from cornet.brain.metrics.similarity import rdm_problem
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["RDM_FILE", "RdmBundle", "load_rdms"]

RDM_FILE = "rdms.npz"
IDS = "stimulus_id"


@dataclass(frozen=True, eq=False)
class RdmBundle:
    """Stimuli, and by region the RDMs of subjects, (subject, stimulus, stimulus) float64, in the order of
    stimulus_ids; one "subject" where the file has a group's only. notes: by region, what was averaged or not used."""

    stimuli: StimulusSet
    stimulus_ids: NDArray[np.str_]
    rdms: dict[str, NDArray[np.float64]]
    notes: dict[str, list[str]] = field(default_factory=dict)


def load_rdms(folder: str | os.PathLike[str], regions: Sequence[str]) -> RdmBundle:
    """Read the stimuli and rdms.npz of a folder.

    regions: that are looked for. Raises CornetError for files that are damaged or do not belong together, for arrays
    that are no RDMs, and where there is none of these regions.
    """
    root = checked_folder(folder)
    path = root / RDM_FILE
    arrays = read_arrays(path, f"a folder with {RDM_FILE}")
    ids = read_ids(arrays, IDS, path)
    stimuli = load_stimuli(root)
    unknown = ids[~np.isin(ids, stimuli.ids)]
    if len(unknown):
        raise CornetError(
            f"{path} has {len(unknown)} stimuli, such as {str(unknown[0])!r}, that are not among those of "
            f"{stimuli.name}; the two must belong together."
        )
    found, notes = {}, {}
    for region in regions:
        named = {name: one for name, one in arrays.items() if region.lower() in name.lower().split("_")}
        if named:
            name = max(named, key=lambda one: named[one].ndim)
            found[region] = _by_subject(named[name], name, len(ids), path)
            sessions = int(np.prod(named[name].shape[1:-2]))
            notes[region] = [f"{sessions} dissimilarity matrices of each subject are averaged"] * (
                sessions > 1
            )
            if others := sorted(named.keys() - {name}):
                notes[region].append(
                    f"of {len(named)} arrays {name} is compared, and {', '.join(others)} not"
                )
    if not found:
        raise CornetError(
            f"{path} holds {', '.join(arrays) or 'nothing'} beside {IDS}, of which none is named after a region "
            f"({', '.join(regions)}); rename one, for example to IT."
        )
    return RdmBundle(stimuli, ids, found, notes)


def _by_subject(array: NDArray[np.generic], name: str, stimuli: int, path: Path) -> NDArray[np.float64]:
    if array.ndim < 2 or array.shape[-2:] != (stimuli, stimuli) or array.dtype.kind not in "fiu":
        raise CornetError(
            f"{path} has {name} as {array.dtype} of shape {array.shape}, but needs dissimilarities, (subject, "
            f"stimulus, stimulus), of its {stimuli} stimuli."
        )
    values = array.astype(np.float64).reshape(array.shape[0] if array.ndim > 2 else 1, -1, stimuli, stimuli)
    off = ~np.eye(stimuli, dtype=bool)
    if not np.isfinite(values[..., off]).all():
        raise CornetError(
            f"{path} has dissimilarities in {name} that are not finite; leave those stimuli out."
        )
    if np.isnan(values[..., ~off]).any():
        raise CornetError(
            f"{path} has NaN on the diagonal of {name}, by which dissimilarities are told from similarities; write 0 "
            "there if these are dissimilarities."
        )
    if problem := rdm_problem(values):
        raise CornetError(f"{path}: {name} {problem}.")
    means = values.mean(axis=1)
    if len(np.unique(means.reshape(len(means), -1), axis=0)) < len(means):
        raise CornetError(
            f"{path} has the same dissimilarities for several of the {len(means)} subjects in {name}; keep one of each."
        )
    return means
