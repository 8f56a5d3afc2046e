"""Convert THINGS-fMRI, Hebart et al. 2023: single-trial responses (ICA-betas) in the table form.

| file | content |
|---|---|
| sub-01_ResponseData.h5 | pandas frame: voxels x trials (8,640 of training, 1,200 of test images), and voxel_id |
| sub-01_VoxelMetadata.csv | one row per voxel: position, noise ceilings, pRF, membership of regions (0 or 1) |
| sub-01_StimulusMetadata.csv | one row per trial: trial_type (train or test), session, run, stimulus (file name) |

Regions as in Brain-Score: V1, V2, V4 = hV4, and IT = the union of nine areas of the Glasser atlas (TE1p, TE2p, FFC,
VVC, VMV2, VMV3, PHA1, PHA2, PHA3). A voxel of two regions occurs in both. Each voxel is z-scored over the training
presentations and, separately, over the test presentations, as in Brain-Score: ridge with one penalty for all voxels
depends on their scale. Stimuli are sorted by file name; repetitions are in the order of presentation.

The frame is read without pandas' reader, which would need PyTables and unpickles column names: its blocks of values are
plain datasets.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.convert.base import NOMINAL_BIN, Block, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import SourceFile, check_file, rows_that_fit
from cornet.brain.data.convert.sources.images import FolderImages
from cornet.brain.data.convert.tvsd import THINGS_BELOW, need_things_images
from cornet.errors import CornetError

__all__ = ["IT_AREAS", "ThingsFmri", "open_things_fmri"]

IT_AREAS = ("TE1p", "TE2p", "FFC", "VVC", "VMV2", "VMV3", "PHA1", "PHA2", "PHA3")
REGIONS = {
    "V1": ("V1",),
    "V2": ("V2",),
    "V4": ("hV4",),
    "IT": tuple(f"glasser-{area}" for area in IT_AREAS),
}
"""Columns of the voxel table whose union is a region."""

KEPT = (
    *("voxel_id", "voxel_x", "voxel_y", "voxel_z", "nc_singletrial", "nc_testset", "splithalf_uncorrected"),
    *("splithalf_corrected", "prf-eccentricity", "prf-polarangle", "prf-rsquared", "prf-size"),
)
"""Columns of the voxel table that become coordinates."""

DEGREES = 10.0
EXPECTED = "sub-0X_ResponseData.h5 of THINGS-fMRI (table form)"


@converter(
    "things-fmri",
    summary="human V1, V2, V4, IT: fMRI of 3 subjects, 8,640 + 100 x 12 THINGS images, single-trial betas",
    files="betas_csv/ with sub-0X_ResponseData.h5 (up to 17 GB each), sub-0X_VoxelMetadata.csv, "
    "sub-0X_StimulusMetadata.csv; images: THINGS (4.7 GB)",
    licence="that at its address (responses); THINGS images: for research only",
    access="free (responses); terms of use (images)",
    address="https://doi.org/10.25452/figshare.plus.20492835; images: https://osf.io/jum2f/",
    citation="Hebart et al. 2023 (eLife 12:e82580)",
)
def open_things_fmri(options: Options) -> "ThingsFmri":
    """Open the subjects that are in the folder, or in its folder betas_csv."""
    folder = options.path / "betas_csv" if (options.path / "betas_csv").is_dir() else options.path
    files = sorted(folder.glob("sub-*_ResponseData.h5"))
    if not files:
        raise CornetError(
            f"{options.path} has no sub-01_ResponseData.h5; give the folder betas_csv of THINGS-fMRI (single-trial "
            "responses in table format)."
        )
    return ThingsFmri(files, need_things_images(options.images), options.degrees or DEGREES)


class ThingsFmri:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    name = "hebart2023-fmri"
    time_bins = (NOMINAL_BIN,)
    late: Sequence[str] = ()
    notes: Sequence[str] = (
        "each voxel is z-scored over training and over test presentations, as in Brain-Score",
    )

    def __init__(self, files: Sequence[Path], images: Path, degrees: float) -> None:
        self.files = list(files)
        self.subjects = [path.name.removeprefix("sub-").removesuffix("_ResponseData.h5") for path in files]
        voxel_files = [_sibling(path, "VoxelMetadata.csv") for path in files]
        trial_files = [_sibling(path, "StimulusMetadata.csv") for path in files]
        self.paths = [*files, *voxel_files, *trial_files]
        trials = [_read_trials(path) for path in trial_files]
        for path, table in zip(trial_files[1:], trials[1:], strict=True):
            columns = ["stimulus", "trial_type", "repetition"]
            if not table[columns].reset_index(drop=True).equals(trials[0][columns].reset_index(drop=True)):
                raise CornetError(
                    f"{path} has other stimuli or repetitions than {trial_files[0]}, but all subjects saw the same; "
                    "fetch both again."
                )
        self.order = [table.index.to_numpy() for table in trials]
        self.train = int((trials[0]["trial_type"] == "train").sum())
        first = trials[0].drop_duplicates("stimulus")
        names = first["stimulus"].tolist()
        concepts = [Path(name).stem.rpartition("_")[0] for name in names]
        self.stimuli = pd.DataFrame(
            {
                "stimulus_id": [Path(name).stem for name in names],
                "filename": [f"{concept}/{name}" for concept, name in zip(concepts, names, strict=True)],
                "object_name": concepts,
                "split": first["trial_type"].to_numpy(),
                "degrees": degrees,
            }
        )
        self.presentations = pd.DataFrame(
            {
                "stimulus_id": [Path(name).stem for name in trials[0]["stimulus"]],
                "repetition": trials[0]["repetition"].to_numpy(),
            }
        )
        self.images = FolderImages(images, self.stimuli["filename"].tolist(), THINGS_BELOW)
        self.rule = {"fixed_by": "split", "subject_by": "subject", "keep_above": {"nc_testset": 30}}
        tables, dtypes = [], []
        for path, voxels, subject, order in zip(files, voxel_files, self.subjects, self.order, strict=True):
            table, count = _read_voxels(voxels)
            with SourceFile(path, EXPECTED) as file:
                name = _values(file, count, len(order))
                _check_voxel_ids(file, name, count)
                dtypes.append(file.dataset(name).dtype)
            table.insert(0, "subject", subject)
            table.insert(0, "neuroid_id", np.arange(len(table)))
            tables.append(table)
        self.dtype = np.result_type(*dtypes)
        self.neuroids = pd.concat([table.drop(columns="row") for table in tables], ignore_index=True)
        self._rows = [table["row"].to_numpy() for table in tables]
        self._counts = [len(rows) for rows in self._rows]

    def blocks(self, limit: int) -> Sequence[Block]:
        """Ranges of voxels of a subject, with all presentations."""
        rows = np.arange(len(self.presentations))
        step = rows_that_fit(limit // 6, len(rows) * max(8, self.dtype.itemsize), "a voxel")
        found, start = [], 0
        for subject, count in enumerate(self._counts):
            for first in range(0, count, step):
                last = min(first + step, count)
                found.append(Block(rows, range(start + first, start + last), (subject, first, last)))
            start += count
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        subject, first, last = block.source
        wanted, order = self._rows[subject][first:last], self.order[subject]
        values = np.empty((len(wanted), len(order)), self.dtype)
        with SourceFile(self.files[subject], EXPECTED) as file:
            name = _values(file, None, len(order))
            file.check_chunks(name, limit // 4)
            dataset = file.dataset(name)
            by_row = np.argsort(wanted, kind="stable")
            breaks = np.flatnonzero(np.diff(wanted[by_row]) > 1) + 1
            for run in np.split(by_row, breaks):  # voxels in consecutive rows of the file
                low, high = int(wanted[run[0]]), int(wanted[run[-1]]) + 1
                values[run] = dataset[low:high][wanted[run] - low]
        for line in values:
            line[:] = line[order]
            for part in (line[: self.train], line[self.train :]):
                if len(part):
                    part[:] = _z_scored(part)
        return values.T[:, :, None], {}


def _z_scored(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return (x - mean) / standard deviation, computed in float64. Constant values become 0."""
    numbers = values.astype(np.float64)
    numbers -= numbers.mean()
    spread = numbers.std()
    return numbers / spread if spread > 0 else numbers


def _sibling(path: Path, ending: str) -> Path:
    other = path.with_name(path.name.replace("ResponseData.h5", ending))
    check_file(other, f"{path.name} of THINGS-fMRI")
    return other


def _read_trials(path: Path) -> pd.DataFrame:
    """Return the trials with their repetition, training before test, sorted by stimulus. The index is the trial."""
    table = _csv(path, ("trial_type", "stimulus"), {"trial_type": str, "stimulus": str})
    if not table["trial_type"].isin(["train", "test"]).all():
        odd = table.loc[~table["trial_type"].isin(["train", "test"]), "trial_type"].iloc[0]
        raise CornetError(
            f"{path} has the trial_type {str(odd)!r}, but must have train and test; fetch it again."
        )
    table["test"] = table["trial_type"] == "test"
    table = table.sort_values(["test", "stimulus"], kind="stable")
    table["repetition"] = table.groupby(["test", "stimulus"]).cumcount()
    if (both := table.groupby("stimulus")["test"].nunique()).max() > 1:
        raise CornetError(
            f"{path} has {both.idxmax()!r} as a training and as a test image, but must have it as one; fetch it again."
        )
    return table


def _read_voxels(path: Path) -> tuple[pd.DataFrame, int]:
    """Return the voxels of each region, with their row in the file, and the number of rows.

    Read in parts: most of the 200,000 voxels are in no region.
    """
    columns = [*KEPT, *(column for group in REGIONS.values() for column in group)]
    found: dict[str, list[pd.DataFrame]] = {region: [] for region in REGIONS}
    start = 0
    for part in _csv_parts(path, columns):
        part.index = range(start, start + len(part))
        start += len(part)
        for region, group in REGIONS.items():
            inside = part.loc[(part[list(group)] != 0).any(axis=1), list(KEPT)]
            found[region].append(inside.assign(region=region, row=inside.index))
    table = pd.concat([part for parts in found.values() for part in parts], ignore_index=True)
    if not len(table):
        raise CornetError(f"{path} has no voxel in {', '.join(REGIONS)}; fetch it again.")
    return table, start


def _csv(path: Path, columns: Sequence[str], types: Mapping[str, Any] | None = None) -> pd.DataFrame:
    return pd.concat(list(_csv_parts(path, columns, types)), ignore_index=True)


def _csv_parts(path: Path, columns: Sequence[str], types: Mapping[str, Any] | None = None) -> Any:
    """Yield the columns of a table in parts. Raises CornetError if it lacks some or cannot be read."""
    try:
        known = list(pd.read_csv(path, nrows=0).columns)
        if missing := [column for column in columns if column not in known]:
            raise CornetError(
                f"{path} has no column {missing[0]!r} ({len(missing)} missing), only "
                f"{', '.join(map(str, known))[:300]}; expected the metadata of THINGS-fMRI, so fetch it again."
            )
        kept = None if types is None else dict(types)
        yield from pd.read_csv(path, usecols=list(columns), dtype=kept, chunksize=20_000)
    except (ValueError, OSError) as error:
        raise CornetError(
            f"{path} cannot be read as CSV ({' '.join(str(error).split()):.200}); fetch it again."
        ) from None


def _values(file: SourceFile, voxels: int | None, trials: int) -> str:
    """Return the name of the dataset with the responses: a frame's block of floats, (voxel, trial)."""
    groups = [name for name in file.file if isinstance(file.file.get(name, getlink=True), h5py.HardLink)]
    names = [
        f"{group}/{name}"
        for group in groups
        if isinstance(file.file[group], h5py.Group)
        for name in file.file[group]
        if name.startswith("block") and name.endswith("_values")
    ]
    if not names:
        raise file.wrong(
            f"has no frame written by pandas in its fixed format, only {', '.join(groups) or 'nothing'}"
        )
    for name in names:
        dataset = file.dataset(name)
        if dataset.dtype.kind == "f" and dataset.ndim == 2 and dataset.shape[1] == trials:
            if voxels is not None and dataset.shape[0] != voxels:
                raise file.wrong(f"has {dataset.shape[0]:,} voxels, but its VoxelMetadata.csv has {voxels:,}")
            _check_trial_order(file, name, trials)
            return name
    shapes = ", ".join(f"{name} of {file.describe(name)}" for name in names[:4])
    raise file.wrong(f"has {shapes}, none with {trials:,} trials, as in its StimulusMetadata.csv")


def _check_trial_order(file: SourceFile, name: str, trials: int) -> None:
    """Raise CornetError if the names of the columns are stored as plain text or numbers and are not 0, 1, 2, ...

    Pickled names, which pandas writes for a mixture of types, are not read.
    """
    items = name.replace("_values", "_items")
    if file.has(items) and file.dataset(items).dtype.kind in "iuS":
        names = [
            value.decode() if isinstance(value, bytes) else str(value) for value in file.small(items).ravel()
        ]
        if names != [str(number) for number in range(trials)]:
            raise file.wrong(
                f"has trials in another order than 0, 1, 2, ... (first: {names[0] if names else ''!r})"
            )


def _check_voxel_ids(file: SourceFile, name: str, voxels: int) -> None:
    """Raise CornetError if the column voxel_id is not 0, 1, 2, ..., as in the table of voxels."""
    group = name.rpartition("/")[0]
    for other in file.group(group):
        path = f"{group}/{other}"
        if path != name and other.startswith("block") and other.endswith("_values"):
            dataset = file.dataset(path)
            ids = dataset.shape == (voxels, 1) and dataset.dtype.kind in "iu"
            if ids and not np.array_equal(file.small(path).ravel(), np.arange(voxels)):
                raise file.wrong("has a column voxel_id that is not 0, 1, 2, ...")
