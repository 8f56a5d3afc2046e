"""Pictures of a run's page that are each drawn from one table of the run's folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

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
        "view_structure",
        COLUMNS,
        ("epoch", "area", "measure", "structure", "value"),
        draw_view_structure,
        "View, mirror image, identity: what makes heads similar",
        "Similarities of rendered heads in seven views (Pearson's r between the responses to two images), written as a "
        "sum of idealised structures: same view, mirrored view, same identity (non-negative least squares; a constant "
        "background is not shown), and correlated with them and with the similarities of the pixels. x: the network's "
        "areas with the step in brackets, and the outputs of its task (without pose, position and light). Filled: "
        "after the last evaluation; open: the untrained network; bars: 95 % bootstrap intervals over images. Right: "
        "simulated populations with the pattern that was published for the face patches (Freiwald & Tsao 2010: ML/MF "
        "by view, AL by view and mirror image, AM by identity), made from formulas: the recordings are not public and "
        "the published coefficients could not be read, so only the order of the patches can be compared.",
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
