"""Convert Triple-N, Li et al. 2026: Neuropixels recordings of five macaques to the 1,000 shared images of NSD.

Files, the first three for each session:

* Raw/H5FILES/ses01_240629_M1_2.h5: response_matrix_img, (time, image, unit) single, in spikes per second, smoothed
  over 20 ms; raster_matrix_img, (time, trial, unit) uint8, spikes per ms. In MATLAB, the axes are reversed.
* Raw/H5FILES/ses01_240629_M1_2_info.mat: img_idx, the image of each trial (1 to 1000: NSD; above: localizer);
  global_params.pre_onset, ms before onset.
* Processed/Processed_ses01_240629_M1_2.mat: a value for each unit of pos, reliability_best, reliability_basic,
  UnitType, F_SI, B_SI, O_SI, snr, best_r_time1, best_r_time2.
* exclude_area.xls, here or in others/, or exported as exclude_area.csv: SesIdx, y1, y2, AREALABEL, Area, the areas
  along each probe.
* nsd_expdesign.mat of NSD: sharedix, which image of NSD has which number.

Responses: means over 70-170 ms of response_matrix_img; the 72 localizer images are left out, and repetitions are not
kept, as in Brain-Score. reliability_window is the split-half reliability in the same window, corrected by Spearman and
Brown: 20 random halves of each image's trials, drawn by RandomState(session) as in Brain-Score; it is also the
ceiling. Sessions whose areas are all early visual cortex (EVC) have V1, V2 or V4 by position, else EVC-other; all
units of other sessions are IT.

Only sessions in the form H5 are read. The form GoodUnit_*.mat has the same values without the number of the session.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cornet.brain.data.convert.base import NOMINAL_BIN, Block, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import SourceFile, rows_that_fit
from cornet.brain.data.convert.sources.nsd_design import nsd_images, read_design
from cornet.brain.data.convert.sources.triple_n_files import (
    EXPECTED,
    SESSION,
    read_areas,
    read_trials,
    read_units,
)
from cornet.errors import CornetError

__all__ = ["TripleN", "open_triple_n", "window_reliability"]

IMAGES = 1000
"""Images of NSD; later numbers are localizer images."""

SPLITS = 20
MIN_IMAGES = 10
"""Images with at least two trials that a split must exceed."""

UNITS_AT_ONCE = 64
DEGREES = 11.0


@converter(
    "triple-n",
    summary="macaque V1, V2, V4, IT: Neuropixels in 5 monkeys, 90 sessions, 47,503 units, 1,000 images of NSD",
    files="a folder with Raw/H5FILES/ses*.h5 and ses*_info.mat, Processed/Processed_ses*.mat, exclude_area.xls "
    "(with xlrd installed) or exclude_area.csv, and nsd_expdesign.mat of NSD; images: nsd_stimuli.hdf5 of NSD (37 GB)",
    licence="that of the data set at ScienceDB; images: NSD's terms",
    access="free (responses); terms of use (images)",
    address="https://doi.org/10.57760/sciencedb.33556; https://liyipeng-moon.github.io/Triple-N-Docs/",
    citation="Li, Liu, ... Bao 2026 (Nature Neuroscience, s41593-026-02322-z)",
)
def open_triple_n(options: Options) -> "TripleN":
    """Open the sessions in the folder."""
    root = options.path
    folders = [root / "Raw" / "H5FILES", root / "H5FILES", root / "H5", root]
    sessions = next((found for folder in folders if (found := sorted(folder.glob("ses*_*.h5")))), [])
    if not sessions:
        more = " (GoodUnit files are not read)" if any(root.rglob("GoodUnit_*.mat")) else ""
        raise CornetError(
            f"{root} has no Raw/H5FILES/ses01_*.h5{more}; give the folder of Triple-N with Raw, Processed and others."
        )
    return TripleN(root, sessions, options.images, options.degrees or DEGREES)


class TripleN:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    name = "li2026"
    time_bins = (NOMINAL_BIN,)
    late = ("reliability_window",)
    notes: Sequence[str] = ()
    dtype = np.dtype(np.float32)

    def __init__(self, root: Path, sessions: Sequence[Path], images: Path | None, degrees: float) -> None:
        areas_path, areas = read_areas(root)
        places = [root / "nsd_expdesign.mat"]
        if images is not None:
            near = images if images.is_dir() else images.parent
            places += [
                near / "nsd_expdesign.mat",
                near.parents[2] / "nsddata/experiments/nsd/nsd_expdesign.mat",
            ]
        design_path = next((path for path in places if path.is_file()), places[0])
        numbers = read_design(design_path).shared
        if len(numbers) < IMAGES:
            raise CornetError(
                f"{design_path} has {len(numbers)} shared images, not {IMAGES}; fetch it again."
            )
        numbers = numbers[:IMAGES]
        self.images = nsd_images(images, root, numbers.tolist())
        ids = [f"nsd_{number:05d}" for number in numbers]
        self.stimuli = pd.DataFrame(
            {
                "stimulus_id": ids,
                "filename": [f"{name}.png" for name in ids],
                "nsd_id": numbers,
                "tn_index": np.arange(1, IMAGES + 1),
                "degrees": degrees,
            }
        )
        self.presentations = pd.DataFrame({"stimulus_id": ids, "repetition": 0})
        self.rule = {
            "random": True,
            "keep_above": {"reliability_window": 0.4},
            "ceiling_by": "reliability_window",
        }
        self.paths = [areas_path, design_path]
        self.sessions = list(sessions)
        tables = []
        for path in sessions:
            table, files = read_units(root, path, areas, areas_path)
            tables.append(table)
            self.paths += [path, *files]
        self._counts = [len(table) for table in tables]
        self.neuroids = pd.concat(tables, ignore_index=True)

    def blocks(self, limit: int) -> Sequence[Block]:
        """One session at a time."""
        found, start = [], 0
        for path, count in zip(self.sessions, self._counts, strict=True):
            found.append(Block(np.arange(IMAGES), range(start, start + count), path))
            start += count
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        path, units = block.source, len(block.columns)
        shown, onset = read_trials(path)
        first, last = (onset + int(edge) for edge in NOMINAL_BIN)
        names = ("response_matrix_img", "raster_matrix_img")
        with SourceFile(path, EXPECTED) as file:
            for name in names:
                file.check_chunks(name, limit // 8)
            response = file.dataset(names[0], "f", (None, None, units))
            raster = file.dataset(names[1], "u", (None, len(shown), units))
            if min(response.shape[0], raster.shape[0]) < last or response.shape[1] < IMAGES:
                raise file.wrong(
                    f"has {names[0]} of {file.describe(names[0])} and {names[1]} of {file.describe(names[1])}"
                )
            values = _window_means(response, first, last, IMAGES, limit // 8, np.float64)
            rates = _window_means(raster, first, last, len(shown), limit // 8, np.float32) * 1000
        inside = (shown >= 1) & (shown <= IMAGES)
        session = int(SESSION.match(path.name)[1])  # type: ignore[index]
        reliability = window_reliability(rates[inside], shown[inside], session)
        return values.astype(np.float32)[:, :, None], {"reliability_window": reliability}


def window_reliability(rates: NDArray[Any], images: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return the split-half reliability of each unit, corrected by Spearman and Brown, averaged over 20 splits.

    rates: (trial, unit). images: of each trial. In a split, the trials of each image with at least two are shuffled,
    image by image, and halved; of an odd number one is left out.
    """
    numbers, codes = np.unique(images, return_inverse=True)
    trials = [np.flatnonzero(codes == code) for code in range(len(numbers))]
    repeated = [group for group in trials if len(group) >= 2]
    random, splits = np.random.RandomState(seed), []
    for _ in range(SPLITS if len(repeated) > MIN_IMAGES else 0):
        halves: list[list[NDArray[np.int64]]] = [[], []]
        for group in repeated:
            order = group.copy()
            random.shuffle(order)
            half = len(order) // 2
            halves[0].append(order[:half])
            halves[1].append(order[half : 2 * half])
        splits.append([_averaging(part, len(rates)) for part in halves])
    result = np.full(rates.shape[1], np.nan)
    for start in range(0, len(result), UNITS_AT_ONCE):
        part = rates[:, start : start + UNITS_AT_ONCE].astype(np.float64)
        r = np.array([_correlations(first @ part, second @ part) for first, second in splits])
        with np.errstate(divide="ignore", invalid="ignore"):
            corrected = (2 * r / (1 + r)).reshape(len(splits), part.shape[1])
        valid = np.isfinite(corrected)
        count = valid.sum(axis=0)
        total = np.where(valid, corrected, 0).sum(axis=0)
        result[start : start + len(count)] = np.divide(
            total, count, out=np.full(len(count), np.nan), where=count > 0
        )
    return result


def _averaging(groups: Sequence[NDArray[np.int64]], trials: int) -> csr_array:
    """Return the matrix (group, trial) that averages over each group of trials."""
    sizes = [len(group) for group in groups]
    weights = np.repeat(1 / np.array(sizes), sizes)
    return csr_array(
        (weights, np.concatenate(groups), np.r_[0, np.cumsum(sizes)]), shape=(len(groups), trials)
    )


def _correlations(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's r of each column; NaN for constant columns."""
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return np.divide((first * second).sum(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _window_means(dataset: Any, first: int, last: int, columns: int, limit: int, dtype: Any) -> NDArray[Any]:
    """Return the mean over a window of time, (column, unit), from slabs of at most `limit` bytes."""
    units = dataset.shape[2]
    bytes_each = (last - first) * units * (dataset.dtype.itemsize + 8)
    step = rows_that_fit(limit, bytes_each, f"an image of {dataset.file.filename}")
    means = np.empty((columns, units), dtype)
    for start in range(0, columns, step):
        stop = min(start + step, columns)
        means[start:stop] = dataset[first:last, start:stop].mean(axis=0, dtype=np.float64)
    return means
