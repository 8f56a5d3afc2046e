"""Pictures of a run's page that are each drawn from one table of the run's folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cornet.report.run import lesions, wiring
from cornet.report.run.view_structure import COLUMNS, draw_view_structure
from cornet.runs.score_tables import read_table

__all__ = ["PANELS", "Panel", "files_of_panels", "read_panels"]


@dataclass(frozen=True)
class Panel:
    """A picture, and how it is made.

    name: of the table's file without .csv, and of the picture's without .png. columns: those that are read, see
    `cornet.runs.score_tables.read_table`. needs: those that the file must have. draw: (table, panels side by side) ->
    PNG, or None without numbers. heading, caption: of the picture.
    """

    name: str
    columns: Mapping[str, str]
    needs: tuple[str, ...]
    draw: Callable[[pd.DataFrame, int], bytes | None]
    heading: str
    caption: str

    def read(self, folder: Path) -> pd.DataFrame | None:
        """Read the table. None: missing, or without rows. Raises CornetError if it is not a valid table."""
        path = folder / f"{self.name}.csv"
        if not path.is_file():
            return None
        table = read_table(path, self.columns, self.needs, others=lambda name: None)
        return table if len(table) else None


PANELS = (
    Panel(
        "wiring",
        wiring.MEASURES,
        ("epoch", "glo", "types", "claws"),
        wiring.draw_measures,
        "The wiring of the olfactory circuit",
        "Left: GloScore, the mean over projection neurons of (largest - second) / (largest + second) of their weights "
        "from the receptor types. 1: each reads one type, as in the fly. Middle: receptor types that are the largest "
        "input of some projection neuron; the dotted line is what as many random choices cover. Right: claws, the "
        "connections of a Kenyon cell above the threshold, mean and standard deviation over cells with at least one; "
        "the share of cells without any stands in the title if there are some. Dashed lines: the fly with its 50 types "
        "and 7 claws (Caron et al. 2013), to which a network of another number of types is not expected to come. "
        "Published for the network with 50 types after 390,700 steps (Wang et al. 2021, from memory): GloScore near 1, "
        "about 7 claws. Epoch 0: the untrained network.",
    ),
    Panel(
        "connections",
        wiring.CONNECTIONS,
        ("epoch", "layer", "to", "from", "weight"),
        wiring.draw_connections,
        "Connections before and after training",
        "Weights as the network uses them. Above: from receptor types (columns, mean over their copies) to projection "
        "neurons (rows), sorted by their largest input; a diagonal means one type for each neuron. Below: from "
        "projection neurons to some of the Kenyon cells, sorted in the same way; connections below the threshold are "
        "white. Colours end at the 99th percentile.",
    ),
    Panel(
        "claws",
        wiring.CLAWS,
        ("epoch", "kind", "low", "high", "count"),
        wiring.draw_claws,
        "How many claws a Kenyon cell has",
        "Left: weights from projection neurons to Kenyon cells, on a logarithmic axis; the dashed line is the "
        "threshold above which a connection counts (given by the pruning, or inferred from two modes), without weights "
        "of 0. Right: cells by number of claws. Grey: before training; dotted line: the 7 of the fly with 50 types.",
    ),
    Panel(
        "view_structure",
        COLUMNS,
        ("epoch", "area", "measure", "structure", "value"),
        draw_view_structure,
        "View, mirror image, identity: what makes heads similar",
        "Similarities of rendered heads in seven views (Pearson's r between the responses to two images), written as a "
        "sum of idealised structures: same view, mirrored view, same identity (non-negative least squares; a constant "
        "background is not shown), and correlated with them and with the similarities of the pixels. x: the network's "
        "areas with the step in brackets, and the outputs of its task (without pose, position and light). Filled: "
        "after the last evaluation; open: the untrained network; bars: 95 % bootstrap intervals over images. Last: "
        "simulated populations with the pattern that was published for the face patches (Freiwald & Tsao 2010: ML/MF "
        "by view, AL by view and mirror image, AM by identity), made from formulas: the recordings are not public and "
        "the published coefficients could not be read, so only the order of the patches can be compared.",
    ),
    Panel(
        "lesions",
        lesions.COLUMNS,
        ("grouping", "place", "share", "ranked_by", "group", "drop", "segregation"),
        lesions.draw_lesions,
        "Does each task have units of its own",
        "Units are ranked on training images by how much the loss of one task rises without them; accuracies, over "
        "the classes of both tasks, are of test images. Left and middle: the accuracy that a task loses when the "
        "units that it needs most are silenced, those that the other task needs most, or randomly chosen ones. Right: "
        "segregation (red), the mean over tasks of (own - other) / (own + other) of these losses. 0: the tasks share "
        "their units, 1: each has its own; no dot: the losses are below 1 %. Random halves of the classes, in the "
        "same network, are a control: they show what any two groups of classes would. Bars: 95 % intervals, bootstrap "
        "over test classes. Areas: channels of the output, at all steps, or at one step in brackets. With "
        "data=heads_and_objects all images are rendered, a stand-in for photographs. Published for VGG-16 trained on "
        "faces and objects (Dobs et al. 2022, from the abstract; magnitudes could not be read): shared in the first "
        "layers, segregated in the middle and late ones, and not for random halves.",
    ),
)
"""All of them, in the order of the page."""


def read_panels(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of `PANELS` that a run's folder has, by name. Raises CornetError if one is not a valid table."""
    tables = {panel.name: panel.read(folder) for panel in PANELS}
    return {name: table for name, table in tables.items() if table is not None}


def files_of_panels(folder: Path) -> list[str]:
    """The tables of `PANELS` in a run's folder."""
    return [f"{panel.name}.csv" for panel in PANELS if (folder / f"{panel.name}.csv").is_file()]
