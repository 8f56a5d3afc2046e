"""Convert NWB files with spike times and presentations of images, as published at DANDI.

Rates in spikes per second are counted in bins after the onset of each presentation. Several files, of sessions or
subjects to whom the same images were shown, become one bundle: a presentation is a stimulus and the number of its
repetition within a session, and neuroids have NaN for repetitions that their session lacks. The layouts that are read
are in `cornet.brain.data.convert.sources.nwb`.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cornet.brain.data.convert.base import NOMINAL_BIN, Block, Images, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import rows_that_fit
from cornet.brain.data.convert.sources.images import BrickImages, FolderImages
from cornet.brain.data.convert.sources.nwb import (
    EXPECTED,
    find_templates,
    open_nwb,
    read_session,
    spike_counts,
)
from cornet.errors import CornetError

__all__ = ["Nwb", "open_dandi"]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
COMPARED = 8
"""Images that are compared between files."""


@converter(
    "dandi",
    summary="any recording of sorted units with presentations of images, in NWB 2",
    files="one .nwb file, or a folder of them with the same stimuli; images in stimulus/templates, or a folder",
    licence="that of the dandiset",
    access="free; some dandisets: account",
    address="https://dandiarchive.org",
    citation="see the dandiset",
    spikes=True,
)
def open_dandi(options: Options) -> "Nwb":
    """Open a file, or all files in a folder and its folders."""
    files = sorted(options.path.rglob("*.nwb")) if options.path.is_dir() else [options.path]
    if not files:
        raise CornetError(f"{options.path} has no file *.nwb; give an NWB file or a folder of them.")
    return Nwb(files, options)


class Nwb:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    late: Sequence[str] = ()
    dtype = np.dtype(np.float32)

    def __init__(self, files: Sequence[Path], options: Options) -> None:
        self.name = options.path.stem
        self.paths = list(files)
        self.time_bins = _bins(options.window or NOMINAL_BIN, options.bin_ms)
        self.sessions = [
            read_session(path, options.table, options.column, options.region_column) for path in files
        ]
        skipped = sum(session.skipped for session in self.sessions)
        self.notes = [f"skipped {skipped:,} presentations without an image"] if skipped else []
        counts = [Counter(session.names.tolist()) for session in self.sessions]
        repetitions = {name: max(count[name] for count in counts) for name in set().union(*counts)}
        names = sorted(repetitions, key=_natural)
        self.images, filenames = _images(options.images, files, names)
        self.stimuli = pd.DataFrame({"stimulus_id": names, "filename": filenames})
        if options.degrees:
            self.stimuli["degrees"] = options.degrees
        numbers = [repetitions[name] for name in names]
        self.presentations = pd.DataFrame(
            {
                "stimulus_id": np.repeat(names, numbers),
                "repetition": np.concatenate([np.arange(number) for number in numbers]),
            }
        )
        starts = dict(zip(names, np.cumsum([0, *numbers[:-1]]).tolist(), strict=True))
        self._rows = [_rows(session.names, starts) for session in self.sessions]
        subjects = Counter(session.subject for session in self.sessions)
        tables = []
        for session in self.sessions:
            table = session.units.assign(subject=session.subject)
            if subjects[session.subject] > 1:
                table["neuroid_id"] = [f"{session.path.stem}.{unit}" for unit in table["neuroid_id"]]
            tables.append(table)
        shared = set.intersection(*(set(table) for table in tables))
        kept = [name for name in tables[0] if name in shared]
        self.neuroids = pd.concat([table[kept] for table in tables], ignore_index=True)
        self.rule: Mapping[str, Any] = {"subject_by": "subject"} if len(subjects) > 1 else {}

    def blocks(self, limit: int) -> Sequence[Block]:
        """Ranges of units of a session, with all presentations."""
        rows = np.arange(len(self.presentations))
        found, start = [], 0
        for number, session in enumerate(self.sessions):
            step = rows_that_fit(limit // 8, len(rows) * len(self.time_bins) * 8, "a unit")
            for first in range(0, len(session.ends), step):
                last = min(first + step, len(session.ends))
                found.append(Block(rows, range(start + first, start + last), (number, first)))
            start += len(session.ends)
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        number, first = block.source
        session, rows = self.sessions[number], self._rows[number]
        edges = np.array(self.time_bins) / 1000
        starts, ends = (session.onsets[:, None] + edges[:, position] for position in (0, 1))
        values = np.full((len(block.rows), len(block.columns), len(edges)), np.nan, self.dtype)
        borders = np.r_[0, session.ends]
        with open_nwb(session.path) as file:
            file.check_chunks("units/spike_times", limit // 4)
            for position in range(len(block.columns)):
                low, high = borders[first + position : first + position + 2].tolist()
                counts = spike_counts(file, low, high, starts, ends, limit // 4)
                values[rows, position] = counts / (edges[:, 1] - edges[:, 0])
        return values, {}


class _NamedImages:
    """Images that are single datasets of a file."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names = path, names

    def inputs(self) -> Sequence[Path]:
        return [self.path]

    def data(self, index: int) -> bytes:
        name = self.names[index]
        with open_nwb(self.path) as file:
            pixels = file.small(name, "u")
            if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
                raise file.wrong(f"has an image {name} of {file.describe(name)}, not (y, x[, 3]) uint8")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


def _bins(window: tuple[float, float], width: float | None) -> list[tuple[float, float]]:
    """Divide a window in ms into bins. Raises CornetError unless they fill it."""
    start, end = window
    width = end - start if width is None else width
    number = round((end - start) / width) if width > 0 else 0
    if number < 1 or not np.isclose(number * width, end - start):
        raise CornetError(
            f"--window {start:g}-{end:g} cannot be divided into bins of {width:g} ms; use a width that divides it."
        )
    return [(start + width * position, start + width * (position + 1)) for position in range(number)]


def _rows(names: NDArray[np.str_], starts: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the position of each of a session's presentations among all: its stimulus, then its repetition."""
    seen: dict[str, int] = defaultdict(int)
    rows = np.empty(len(names), np.int64)
    for position, name in enumerate(names.tolist()):
        rows[position] = starts[name] + seen[name]
        seen[name] += 1
    return rows


def _images(folder: Path | None, files: Sequence[Path], names: Sequence[str]) -> tuple[Images, list[str]]:
    """Return the images and the names of their files in the bundle."""
    if folder is not None:
        if not folder.is_dir():
            raise CornetError(
                f"the folder of images {folder} does not exist or is not a folder; correct --images."
            )
        present = {
            path.stem: path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in EXTENSIONS
        }
        given = [
            name if Path(name).suffix.lower() in EXTENSIONS else present.get(name, name) for name in names
        ]
        return FolderImages(folder, given), given
    found = [_template_images(path, names) for path in files]
    for path, other in zip(files[1:], found[1:], strict=True):
        for index in np.unique(np.linspace(0, len(names) - 1, COMPARED).astype(int)).tolist():
            if other.data(index) != found[0].data(index):
                raise CornetError(
                    f"{path} has another image {names[index]!r} than {files[0]}, but files of one bundle must have the "
                    "same stimuli; convert them one by one."
                )
    return found[0], [f"{Path(name).stem}.png" for name in names]


def _template_images(path: Path, names: Sequence[str]) -> Images:
    series, single = find_templates(path, names)
    if series:
        return BrickImages(path, series, [int(name) for name in names], EXPECTED, links=True)
    return _NamedImages(path, single)


def _natural(name: str) -> tuple[bool, int, str]:
    """Sort numbers by value, before texts."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)
