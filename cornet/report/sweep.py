"""`cornet report sweep FOLDER`: the runs of a sweep side by side, and which of their factors mattered."""

from pathlib import Path

from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.report.sweep_changes import find_base
from cornet.report.sweep_page import sweep_page
from cornet.report.sweep_runs import read_sweep
from cornet.report.sweep_table import print_sweep, sweep_rows
from cornet.terminal import Terminal

__all__ = ["report_sweep"]


def report_sweep(folder: Path | str, base: str | None = None, console: Terminal | None = None) -> Path:
    """Print the table of a sweep, write sweep.csv and sweep.html into its folder, and return the page's path.

    folder: holds runs as `train.py -m` leaves them, <what was overridden>/seed<k>, at any of three levels. base: the
    variant that others are compared with, by its number or folder; else the one that differs least from the others.
    The page opens from disk and needs nothing else. Runs that are not finished are left out and counted, those stopped
    early are marked and in no mean.

    Raises CornetError for a folder without two variants, for runs whose benchmarks differ in version or data, for a
    base that is none, and when the files cannot be written.
    """
    sweep = read_sweep(folder)
    chosen = find_base(sweep, base)
    print_sweep(sweep, chosen, console)
    atomic_write(sweep.folder / "sweep.csv", csv_text(sweep_rows(sweep, chosen)))
    path = sweep.folder / "sweep.html"
    atomic_write(path, sweep_page(sweep, chosen))
    return path
