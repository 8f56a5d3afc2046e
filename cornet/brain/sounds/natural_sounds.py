"""Read fMRI of auditory cortex in the public layout of Norman-Haignere, Kanwisher and McDermott 2015 (Neuron 88:1281).

165 natural sounds of two seconds, eight people with three scans each. Three files: `voxel_features_array.npy` (sound,
voxel, scan), `voxel_features_meta.npy` with a row a voxel, and `neural_stim_meta.npy` with a row a sound. As
distributed with Tuckute, Feather et al. 2023 (PLOS Biology 21:e3002366).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cornet.errors import CornetError

__all__ = ["NaturalSounds", "read_natural_sounds"]

RESPONSES, VOXELS, SOUNDS = "voxel_features_array.npy", "voxel_features_meta.npy", "neural_stim_meta.npy"
SCANS = 3


@dataclass(frozen=True)
class NaturalSounds:
    """Responses and what they are responses to.

    responses: (sound, voxel, scan). sounds: names of the files, without .wav. subjects: the person of each voxel,
    (voxel,). left_out: number of voxels of people with fewer scans.
    """

    responses: np.ndarray
    sounds: list[str]
    subjects: np.ndarray
    left_out: int = 0


def read_natural_sounds(folder: str | os.PathLike[str]) -> NaturalSounds:
    """Read a folder. Voxels with fewer than three scans are left out, as published.

    Raises CornetError for a missing or damaged file, files that hold Python objects, and shapes that do not match.
    """
    path = Path(folder).expanduser()
    responses, voxels, sounds = (read_array(path / name) for name in (RESPONSES, VOXELS, SOUNDS))
    for name, rows, fields in ((VOXELS, voxels, ("n_reps", "subj_idx")), (SOUNDS, sounds, ())):
        if rows.dtype.names is None or not set(fields) <= set(rows.dtype.names):
            raise CornetError(
                f"{path / name} must be a table with {' and '.join(fields) or 'the name of each sound first'}; "
                "use the published file."
            )
    if responses.ndim != 3 or responses.shape[:2] != (len(sounds), len(voxels)):
        raise CornetError(
            f"{path / RESPONSES} has the shape {responses.shape}, but {len(sounds)} sounds and {len(voxels)} voxels "
            "are described; use files of one version."
        )
    if responses.shape[2] < SCANS:
        raise CornetError(f"{path / RESPONSES} has {responses.shape[2]} scans; {SCANS} are needed.")
    chosen = voxels["n_reps"] >= SCANS
    if not chosen.any():
        raise CornetError(
            f"{path / VOXELS} has no voxel with n_reps of {SCANS} or more; use the published file."
        )
    names = [name_of(row[0]) for row in sounds]
    kept = np.asarray(responses[:, chosen, :SCANS], float)
    if not np.isfinite(kept).all():
        raise CornetError(f"{path / RESPONSES} has values that are not finite in voxels with {SCANS} scans.")
    return NaturalSounds(kept, names, voxels["subj_idx"][chosen], int((~chosen).sum()))


def read_array(path: Path) -> np.ndarray:
    """Read a .npy file, never its pickled objects."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError:
        raise CornetError(
            f"{path} is missing; give the folder with {RESPONSES}, {VOXELS} and {SOUNDS}."
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise CornetError(f"{path} cannot be read as an array ({error}); fetch it again.") from None


def name_of(value: bytes | str) -> str:
    """The name of a sound without its ending."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.removesuffix(".wav")
