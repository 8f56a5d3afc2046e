"""What a network is compared on, as it sees it: a few stimuli of every set, kept in the run's folder."""

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
from cornet.brain.subjects import NetworkSubject
from cornet.files import atomic_write
from cornet.stimuli.screen import place_on_screen
from cornet.stimuli.sheet import contact_sheet
from cornet.training.callbacks.brain_score import BrainScore

__all__ = ["SampleStimuli", "choose"]

log = logging.getLogger("cornet")

SAMPLES = 8
SIDE, LARGEST = 112, 160
"""Pixels a side of a sample: smaller screens are enlarged by a whole factor, larger ones reduced to `SIDE`."""

GAP = 4

COLUMNS = ("category_name", "object_name", "texture_type", "movie", "category")
"""What is told of stimuli that parts them into kinds."""


class SampleStimuli(pl.Callback):
    """Before training, writes stimuli/<set>.png for every set of `BrainScore`, and stimuli/sets.json about them.

    A sheet holds eight stimuli, spread over the kinds that the set's table tells, each as it is on the network's
    screen: in its place and at its resolution, small screens enlarged pixel by pixel. sets.json has the screen (size in
    pixels, degrees) and for each set: name, count (of stimuli), degrees (null: unknown, they fill the screen),
    simulated, benchmarks; column and kinds (what the samples were spread over), ids and labels (of the samples), file,
    and side and gap (of the sheet, in pixels).

    Written once a run; what goes wrong is logged and never stops a training. folder: the run's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "stimuli"

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        told = self.folder / "sets.json"
        brains = [one for one in trainer.callbacks if isinstance(one, BrainScore) and one.benchmarks]  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not brains or told.exists():
            return
        try:
            subject = brains[0].subject(trainer, pl_module)
            sets = self.write([one for brain in brains for one in brain.benchmarks], subject)
            screen = {"size": subject.size, "degrees": subject.degrees}
            if sets:
                atomic_write(told, json.dumps({"screen": screen, "sets": sets}, indent=1) + "\n")
        except Exception as error:  # only a picture: the training is worth more
            log.warning("the report will show no sample stimuli: %s", error)

    def write(self, benchmarks: list[Benchmark[Any]], subject: NetworkSubject) -> list[dict[str, Any]]:
        """Write the sheet of each set; what there is to tell of those that could be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        groups: dict[tuple[str, float | None], list[Benchmark[Any]]] = {}
        for one in benchmarks:
            try:
                groups.setdefault((one.stimuli.identity, one.degrees), []).append(one)
            except Exception as error:
                log.warning("the report will show no stimuli of %s: %s", one.name, error)
        sets: list[dict[str, Any]] = []
        for group in groups.values():
            name = group[0].stimuli.name
            try:
                file = f"{len(sets) + 1}-{re.sub('[^A-Za-z0-9_-]+', '-', name)[:60]}.png"
                sets.append({**self.write_sheet(group[0], subject, file), **about(group)})
            except Exception as error:
                log.warning("the report will show no stimuli of %s: %s", name, error)
        return sets

    def write_sheet(self, one: Benchmark[Any], subject: NetworkSubject, file: str) -> dict[str, Any]:
        """Write one set's sheet; what there is to tell of it as a picture."""
        stimuli, screen = one.stimuli, subject.degrees
        degrees = one.degrees if one.degrees is not None else stimuli.degrees
        rows, column, kinds = choose(stimuli.table)
        shown = [
            place_on_screen(stimuli.pictures[int(k)], degrees or screen, screen, subject.size) for k in rows
        ]
        tiles = [sample(placed.permute(1, 2, 0).numpy()) for placed in shown]
        names = stimuli.table[column or "stimulus_id"].iloc[rows]
        labels = ["-" if pd.isna(label) else str(label) for label in names]
        content = io.BytesIO()
        contact_sheet(tiles, len(tiles), labels, gap=GAP).save(content, format="png")
        atomic_write(self.folder / file, content.getvalue())
        ids = [str(stimuli.ids[k]) for k in rows]
        spread = {"column": column, "kinds": kinds, "ids": ids, "labels": labels}
        return {**spread, "degrees": degrees, "file": file, "side": tiles[0].width, "gap": GAP}


def about(group: list[Benchmark[Any]]) -> dict[str, Any]:
    """Whose stimuli these are."""
    return {
        "name": group[0].stimuli.name,
        "count": len(group[0].stimuli),
        "simulated": any(one.simulated for one in group),
        "benchmarks": [one.name for one in group],
    }


def choose(table: pd.DataFrame, samples: int = SAMPLES) -> tuple[NDArray[np.int64], str | None, int]:
    """Rows to show, in order, the column that they are spread over, and its number of kinds.

    The column of `COLUMNS` with the fewest kinds, at least two; without one, rows at even distances. Nothing is random.
    """
    there = [name for name in COLUMNS if name in table and table[name].nunique() > 1]
    if not there:
        return np.unique((np.arange(samples) + 0.5) * len(table) // samples).astype(np.int64), None, 0
    column = min(there, key=lambda name: table[name].nunique())
    kinds = [np.flatnonzero(table[column] == kind) for kind in table[column].dropna().unique()]
    taken = [int((k + 0.5) * len(kinds) / samples) for k in range(samples)]
    rows = []
    for k, kind in enumerate(taken):
        # Another place within each kind: where kinds are sorted alike, the samples still differ.
        part = (k - taken.index(kind) + (k + 0.5) / samples) / taken.count(kind)
        rows.append(kinds[kind][int(part * len(kinds[kind]))])
    return np.array(list(dict.fromkeys(rows)), np.int64), column, len(kinds)


def sample(screen: NDArray[np.uint8]) -> Image.Image:
    """A screen (y, x, 3) at a size to look at."""
    picture, size = Image.fromarray(np.ascontiguousarray(screen)), screen.shape[0]
    if size > LARGEST:
        return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    side = size * -(-SIDE // size)
    return picture.resize((side, side), Image.Resampling.NEAREST)
