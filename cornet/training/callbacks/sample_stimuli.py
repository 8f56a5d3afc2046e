"""Write pictures of a few stimuli of every set, as the network sees them, to the run's folder."""

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray
from PIL import Image

from cornet.brain.benchmarks import Benchmark
from cornet.brain.subjects.base import ScreenSubject
from cornet.files import atomic_write
from cornet.stimuli.screen import place_on_screen
from cornet.stimuli.sheet import contact_sheet
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["SampleStimuli", "choose"]

log = logging.getLogger("cornet")

SAMPLES = 8
SIDE, LARGEST = 112, 160
"""Side of a sample in pixels: smaller screens are enlarged by a whole factor, larger ones reduced to `SIDE`."""

GAP = 4

COLUMNS = ("category_name", "object_name", "texture_type", "movie", "category")
"""Columns of a stimulus table that divide the stimuli into kinds."""


class SampleStimuli(pl.Callback):
    """Before training, writes stimuli/<set>.png for every stimulus set of `BrainScore`, and stimuli/sets.json.

    A sheet shows eight stimuli, spread over the kinds in the set's table, each as it appears on the network's screen,
    with small screens enlarged pixel by pixel. sets.json holds the screen (size in pixels, degrees) and for each set:
    name, count (of stimuli), degrees (null: unknown, the stimuli fill the screen), simulated, benchmarks; column and
    kinds (that the samples are spread over), ids and labels (of the samples), file, and side and gap (of the sheet, in
    pixels).

    Written once per run. Errors are logged and never stop a training. folder: the run's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "stimuli"

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sets_file = self.folder / "sets.json"
        brains = [one for one in trainer.callbacks if isinstance(one, BrainScore) and one.benchmarks]  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not brains or sets_file.exists():
            return
        try:
            subject = brains[0].subject(trainer, pl_module)
            sets = self.write([benchmark for brain in brains for benchmark in brain.benchmarks], subject)
            screen = {"size": subject.size, "degrees": subject.degrees}
            if sets:
                atomic_write(sets_file, json.dumps({"screen": screen, "sets": sets}, indent=1) + "\n")
        except Exception as error:  # a missing picture must not stop the training
            log.warning("the report will show no sample stimuli: %s", error)

    def write(self, benchmarks: list[Benchmark[Any]], subject: ScreenSubject) -> list[dict[str, Any]]:
        """Write the sheet of each set. Returns the entries of sets.json for those that could be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        groups: dict[tuple[str, float | None], list[Benchmark[Any]]] = {}
        for benchmark in benchmarks:
            try:
                groups.setdefault((benchmark.stimuli.identity, benchmark.degrees), []).append(benchmark)
            except Exception as error:
                log.warning("the report will show no stimuli of %s: %s", benchmark.name, error)
        sets: list[dict[str, Any]] = []
        for group in groups.values():
            name = group[0].stimuli.name
            try:
                file = f"{len(sets) + 1}-{re.sub('[^A-Za-z0-9_-]+', '-', name)[:60]}.png"
                sets.append({**self.write_sheet(group[0], subject, file), **describe_set(group)})
            except Exception as error:
                log.warning("the report will show no stimuli of %s: %s", name, error)
        return sets

    def write_sheet(self, benchmark: Benchmark[Any], subject: ScreenSubject, file: str) -> dict[str, Any]:
        """Write the sheet of one set. Returns its part of the entry in sets.json."""
        stimuli, screen = benchmark.stimuli, subject.degrees
        degrees = benchmark.degrees if benchmark.degrees is not None else stimuli.degrees
        rows, column, kinds = choose(stimuli.table)
        shown = [
            place_on_screen(stimuli.pictures[int(k)], degrees or screen, screen, subject.size) for k in rows
        ]
        tiles = [resize_sample(placed.permute(1, 2, 0).numpy()) for placed in shown]
        names = stimuli.table[column or "stimulus_id"].iloc[rows]
        labels = ["-" if pd.isna(label) else str(label) for label in names]
        content = io.BytesIO()
        contact_sheet(tiles, len(tiles), labels, gap=GAP).save(content, format="png")
        atomic_write(self.folder / file, content.getvalue())
        ids = [str(stimuli.ids[k]) for k in rows]
        spread = {"column": column, "kinds": kinds, "ids": ids, "labels": labels}
        return {**spread, "degrees": degrees, "file": file, "side": tiles[0].width, "gap": GAP}


def describe_set(group: list[Benchmark[Any]]) -> dict[str, Any]:
    """Return the name, size and benchmarks of a stimulus set for sets.json."""
    return {
        "name": group[0].stimuli.name,
        "count": len(group[0].stimuli),
        "simulated": any(benchmark.simulated for benchmark in group),
        "benchmarks": [benchmark.name for benchmark in group],
    }


def choose(table: pd.DataFrame) -> tuple[NDArray[np.int64], str | None, int]:
    """Choose the rows to show. Returns them in order, the column that they are spread over, and its number of kinds.

    That is the column of `COLUMNS` with the fewest kinds, at least two. Without one, rows are evenly spaced. Nothing is
    random.
    """
    columns = [name for name in COLUMNS if name in table and table[name].nunique() > 1]
    if not columns:
        return np.unique((np.arange(SAMPLES) + 0.5) * len(table) // SAMPLES).astype(np.int64), None, 0
    column = min(columns, key=lambda name: table[name].nunique())
    kinds = [np.flatnonzero(table[column] == kind) for kind in table[column].dropna().unique()]
    kind_of_sample = [int((k + 0.5) * len(kinds) / SAMPLES) for k in range(SAMPLES)]
    rows = []
    for k, kind in enumerate(kind_of_sample):
        # Vary the position within each kind: if kinds are sorted the same way, the samples still differ.
        part = (k - kind_of_sample.index(kind) + (k + 0.5) / SAMPLES) / kind_of_sample.count(kind)
        rows.append(kinds[kind][int(part * len(kinds[kind]))])
    return np.array(list(dict.fromkeys(rows)), np.int64), column, len(kinds)


def resize_sample(screen: NDArray[np.uint8]) -> Image.Image:
    """Resize a screen (y, x, 3) to a size that is easy to look at."""
    picture, size = Image.fromarray(np.ascontiguousarray(screen)), screen.shape[0]
    if size > LARGEST:
        return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    side = size * -(-SIDE // size)
    return picture.resize((side, side), Image.Resampling.NEAREST)
