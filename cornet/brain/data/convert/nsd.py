"""Convert the Natural Scenes Dataset (NSD), Allen et al. 2022: single-trial betas of voxels of 1.8 mm.

Files below the published root, for each subject (subj01 ... subj08):

* nsddata/experiments/nsd/nsd_expdesign.mat: the order of the images.
* nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR: betas_session01.hdf5 ... with betas, 750 x z x y x
  x int16 of 300 times the percent signal change; ncsnr.nii.gz, the noise ceiling's signal-to-noise ratio, (x, y, z).
* nsddata/ppdata/subj01/func1pt8mm/roi: prf-visualrois.nii.gz (V1v, V1d, V2v, V2d, V3v, V3d, hV4 are 1 to 7),
  lh.streams.nii.gz and rh.streams.nii.gz (the ventral stream is 5).
* nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5: imgBrick, 73000 x 425 x 425 x 3 uint8.

Kept: the shared images that every given subject saw three times (of eight subjects 515, of subjects 1, 2, 5 and 7
1,000), with their repetitions. Regions as in Brain-Score's scripts: V1, V2, V4 = hV4, IT = the ventral stream. (The
assembly that Brain-Score scores has 62,751 voxels in IT; the ventral streams have 35,429. Which mask gave the former
is not documented.) Betas are divided by 300, and each voxel is z-scored over the 750 trials of a session, as NSD's
paper recommends. Brain-Score also z-scores each voxel over the averaged images, which changes neither ridge with a
fixed penalty nor ceilings, but RDMs. nc_testset is the noise ceiling of three repetitions in per cent,
100 r^2 / (r^2 + 1/3) for r = ncsnr. The split is Brain-Score's: 80 % for training by RandomState(42).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.convert.base import NOMINAL_BIN, Block, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import SourceFile, rows_that_fit
from cornet.brain.data.convert.sources.nifti import read_volume
from cornet.brain.data.convert.sources.nsd_design import ADDRESS, find_one, nsd_images, read_design
from cornet.errors import CornetError

__all__ = ["Nsd", "open_nsd"]

TRIALS = 750
"""Trials of a session."""

REPETITIONS = 3
SESSIONS = {1: 40, 2: 40, 3: 32, 4: 30, 5: 40, 6: 32, 7: 40, 8: 30}
LABELS = {"V1": (1, 2), "V2": (3, 4), "V4": (7,)}
VENTRAL = 5
SCALE = 300
DEGREES = 8.4
EXPECTED = "betas_sessionNN.hdf5 of NSD (volumes, int16)"
BETAS = ("betas_fithrf_GLMdenoise_RR", "betas_fithrf", "betas_assumehrf")
"""Versions of the betas, the recommended one first."""


@converter(
    "nsd",
    summary="human V1, V2, V4, IT: 7T fMRI of up to 8 subjects, 515 (or 1,000) shared images x 3, single-trial betas",
    files="the folders nsddata, nsddata_betas and nsddata_stimuli as published: betas_sessionNN.hdf5 (about 1 GB each, "
    "284 of them), ncsnr.nii.gz, prf-visualrois.nii.gz, lh.streams.nii.gz, rh.streams.nii.gz, nsd_expdesign.mat, "
    "nsd_stimuli.hdf5 (37 GB)",
    licence="NSD's terms and conditions",
    access="terms of use (a form, then an account)",
    address=f"{ADDRESS}; s3://natural-scenes-dataset",
    citation="Allen et al. 2022 (Nature Neuroscience 25:116)",
)
def open_nsd(options: Options) -> "Nsd":
    """Open the subjects whose betas are in the folder."""
    root = options.path
    subjects = [number for number in SESSIONS if _betas_folder(root, number)]
    if not subjects:
        raise CornetError(
            f"{root} has no nsddata_betas/ppdata/subj01/func1pt8mm/{BETAS[0]}/betas_session01.hdf5; give the folder "
            "that contains nsddata and nsddata_betas."
        )
    return Nsd(root, subjects, options.images, options.degrees or DEGREES)


class Nsd:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    name = "allen2022-fmri"
    time_bins = (NOMINAL_BIN,)
    late: Sequence[str] = ()
    dtype = np.dtype(np.float32)

    def __init__(self, root: Path, subjects: Sequence[int], images: Path | None, degrees: float) -> None:
        place = find_one(
            root,
            ["nsddata/experiments/nsd/nsd_expdesign.mat", "nsd_expdesign.mat"],
            "the order of the images",
        )
        design = read_design(place)
        if max(subjects) > len(design.images):
            raise CornetError(
                f"{place} has {len(design.images)} subjects, but subject {max(subjects)} is needed."
            )
        self.subjects = list(subjects)
        self.sessions = {subject: _session_files(_betas_folder(root, subject)) for subject in subjects}
        self.notes = [
            f"subject {subject} has {len(files)} of {SESSIONS[subject]} sessions"
            for subject, files in self.sessions.items()
            if len(files) != SESSIONS[subject]
        ]
        shown = {
            subject: design.shown(subject - 1, TRIALS * len(files))
            for subject, files in self.sessions.items()
        }
        numbers = _complete(design.shared, list(shown.values()))
        if not len(numbers):
            raise CornetError(
                f"no shared image was shown {REPETITIONS} times to each of the subjects "
                f"{', '.join(map(str, subjects))} in the sessions given; add more sessions."
            )
        self._where = {subject: _positions(numbers, shown[subject]) for subject in subjects}
        self.images = nsd_images(images, root, numbers.tolist())
        ids = np.array([f"nsd_{number:05d}" for number in numbers])
        train = np.random.RandomState(42).permutation(len(numbers))[: int(len(numbers) * 0.8)]
        self.stimuli = pd.DataFrame(
            {
                "stimulus_id": ids,
                "filename": [f"{name}.png" for name in ids],
                "nsd_id": numbers,
                "split": np.where(np.isin(np.arange(len(numbers)), train), "train", "test"),
                "degrees": degrees,
            }
        )
        self.presentations = pd.DataFrame(
            {
                "stimulus_id": np.repeat(ids, REPETITIONS),
                "repetition": np.tile(np.arange(REPETITIONS), len(ids)),
            }
        )
        self.rule = {"fixed_by": "split", "subject_by": "subject", "keep_above": {"nc_testset": 30}}
        self.paths = [place, *(path for files in self.sessions.values() for path in files)]
        tables = []
        for subject in subjects:
            files, table = _voxels(root, subject)
            self.paths += files
            tables.append(table)
        self.neuroids = pd.concat(tables, ignore_index=True)
        for subject, table in zip(subjects, tables, strict=True):
            for path in self.sessions[subject]:
                with SourceFile(path, EXPECTED) as file:
                    shape = file.dataset("betas", "i", (TRIALS, None, None, None)).shape
                if shape[:0:-1] != table.attrs["shape"]:
                    raise CornetError(
                        f"{path} has volumes of {shape[:0:-1]} voxels, but the regions of subject {subject} have "
                        f"{table.attrs['shape']}; use betas and regions in the space func1pt8mm."
                    )

    def blocks(self, limit: int) -> Sequence[Block]:
        """The shared images of a session, for all voxels of its subject."""
        found, start = [], 0
        for subject in self.subjects:
            count = int((self.neuroids["subject"] == f"subj{subject:02d}").sum())
            needed = TRIALS * count * 2
            rows_that_fit(limit // 2, needed, f"a session of subject {subject}")
            where = self._where[subject]
            for session, path in enumerate(self.sessions[subject]):
                rows = np.flatnonzero(where // TRIALS == session)
                if len(rows):
                    found.append(Block(rows, range(start, start + count), (path, where[rows] % TRIALS)))
            start += count
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        path, trials = block.source
        part = self.neuroids.iloc[block.columns.start : block.columns.stop]
        voxels = tuple(part[f"voxel_{axis}"].to_numpy() for axis in "zyx")
        betas = np.empty((TRIALS, len(part)), np.int16)
        with SourceFile(path, EXPECTED) as file:
            file.check_chunks("betas", limit // 8)
            _gather(file.dataset("betas"), voxels, betas, limit // 4)
        values = np.empty((len(trials), len(part)), np.float32)
        for first in range(0, len(part), 512):  # in parts: their float64 copies are small
            numbers = betas[:, first : first + 512].astype(np.float64) / SCALE
            spread = numbers.std(axis=0)
            spread[spread == 0] = 1
            values[:, first : first + 512] = (numbers[trials] - numbers.mean(axis=0)) / spread
        return values[:, :, None], {}


def _gather(
    dataset: Any, voxels: tuple[NDArray[np.int64], ...], betas: NDArray[np.int16], limit: int
) -> None:
    """Read the voxels (z, y, x) of all trials, in slabs of whole chunks along trials and z."""
    z = voxels[0]
    chunks = dataset.chunks or (1, 1, *dataset.shape[2:])
    plane = int(np.prod(dataset.shape[2:])) * 2
    trials = chunks[0]
    depth = max(chunks[1], (limit // max(1, plane * trials)) // chunks[1] * chunks[1])
    if depth >= dataset.shape[1]:
        depth = dataset.shape[1]
        trials = max(trials, (limit // (plane * depth)) // trials * trials)
    rows_that_fit(limit, plane * min(trials, TRIALS) * min(depth, dataset.shape[1]), "a slab of betas")
    for low in range(int(z.min()) // depth * depth, int(z.max()) + 1, depth):
        inside = np.flatnonzero((z >= low) & (z < low + depth))
        if not len(inside):
            continue
        for first in range(0, TRIALS, trials):
            slab = dataset[first : first + trials, low : low + depth]
            betas[first : first + trials, inside] = slab[
                :, z[inside] - low, voxels[1][inside], voxels[2][inside]
            ]


def _voxels(root: Path, subject: int) -> tuple[list[Path], pd.DataFrame]:
    """Return the files of a subject's regions, and the voxels in the order of regions, then of the volume (z, y, x)."""
    name = f"subj{subject:02d}"
    folders = [f"nsddata/ppdata/{name}/func1pt8mm/roi", f"{name}/rois", f"{name}/roi"]
    betas = _betas_folder(root, subject)
    files = [
        find_one(root, [f"{folder}/{roi}.nii.gz" for folder in folders], f"regions of {name}")
        for roi in ("prf-visualrois", "lh.streams", "rh.streams")
    ]
    files.append(betas / "ncsnr.nii.gz")
    visual, left, right, snr = (read_volume(path) for path in files)
    for path, volume in zip(files[1:], (left, right, snr), strict=True):
        if volume.shape != visual.shape:
            raise CornetError(
                f"{path} has {volume.shape} voxels, but {files[0]} has {visual.shape}; use those of "
                "func1pt8mm."
            )
    masks = {region: np.isin(visual, labels) for region, labels in LABELS.items()}
    masks["IT"] = (left == VENTRAL) | (right == VENTRAL)
    parts = []
    for region, mask in masks.items():
        z, y, x = np.nonzero(mask.T)
        square = snr[x, y, z].astype(np.float64) ** 2
        parts.append(
            pd.DataFrame(
                {
                    "neuroid_id": [f"{name}_{region}_v{number:04d}" for number in range(len(x))],
                    "region": region,
                    "subject": name,
                    "nc_testset": np.nan_to_num(100 * square / (square + 1 / REPETITIONS)),
                    "ncsnr": snr[x, y, z],
                    "voxel_x": x,
                    "voxel_y": y,
                    "voxel_z": z,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    if not len(table):
        raise CornetError(
            f"{files[0]} and the streams of {name} contain no voxel of V1, V2, V4 or IT; fetch them again."
        )
    table.attrs["shape"] = visual.shape
    return files, table


def _complete(shared: NDArray[np.int64], shown: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the numbers of the shared images that all subjects saw at least three times, sorted."""
    counts = [np.bincount(images, minlength=int(shared.max()) + 1) for images in shown]
    return np.sort([number for number in shared if all(count[number] >= REPETITIONS for count in counts)])


def _positions(numbers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the trial of each image's first three presentations, image by image."""
    return np.concatenate([np.flatnonzero(shown == number)[:REPETITIONS] for number in numbers])


def _betas_folder(root: Path, subject: int) -> Any:
    """Return the folder with a subject's betas, or None."""
    name = f"subj{subject:02d}"
    places = [f"nsddata_betas/ppdata/{name}/func1pt8mm/{version}" for version in BETAS]
    for place in (*places, f"{name}/betas"):
        if (root / place / "betas_session01.hdf5").is_file():
            return root / place
    return None


def _session_files(folder: Path) -> list[Path]:
    """Return the sessions from 1, without a gap."""
    files = sorted(folder.glob("betas_session[0-9][0-9].hdf5"))
    wanted = [folder / f"betas_session{number + 1:02d}.hdf5" for number in range(len(files))]
    if missing := [path for path in wanted if path not in files]:
        raise CornetError(
            f"{missing[0]} is missing, although later sessions are there; fetch it from {ADDRESS}."
        )
    return files
