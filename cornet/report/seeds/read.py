"""Read several seeds of one configuration and average their measures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cornet.errors import CornetError
from cornet.report.seeds.measures import Measure, brain_measures, plain_measures
from cornet.report.seeds.seed_runs import (
    LeftOut,
    SeedRun,
    check_same,
    differing_versions,
    open_runs,
    seed_folders,
)

__all__ = ["Seeds", "read_seeds"]


@dataclass(frozen=True, eq=False)
class Seeds:
    """Finished runs that differ only in their seed, and their measures over seeds.

    folder: the parent folder of the runs. left_out: runs that are not averaged because they are unfinished or damaged.
    notes: for the reader of the numbers.
    """

    folder: Path
    runs: tuple[SeedRun, ...]
    left_out: tuple[LeftOut, ...]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...]

    @property
    def numbers(self) -> list[int]:
        """The seeds."""
        return [run.seed for run in self.runs]

    @property
    def title(self) -> str:
        """Network, images and number of seeds: "cornet_s on objects, 3 seeds"."""
        summary = self.runs[0].summary
        what = f"{summary.get('network', 'a network')} on {summary.get('data', 'images')}"
        return f"{what}, {len(self.runs)} seed{'s' if len(self.runs) > 1 else ''}"


def read_seeds(runs: Path | str | Sequence[Path | str]) -> Seeds:
    """Read several seeds. runs: a folder with seed<k> folders, or the runs' own folders.

    For each validation metric and brain score, this computes the mean, standard deviation and 95 % interval of the
    mean over seeds (`cornet.report.statistics.mean_interval`): of the last values, of the values at the best epochs,
    and at each epoch. NaN values are left out and counted in notes. Scores of different benchmark versions, scales,
    data or ceilings are not averaged. Unfinished runs are left out.

    Raises CornetError if no run is finished, if two have the same seed, or if they differ in another key.
    """
    if isinstance(runs, str | Path):
        folder, paths = Path(runs).expanduser(), seed_folders(Path(runs).expanduser())
        if not paths:
            raise CornetError(
                f"{folder} contains no folders seed<k> of runs; name the folder of a configuration."
            )
    else:
        paths = list(dict.fromkeys(Path(run).expanduser() for run in runs))
        folder = _common(paths)
    finished, left_out = open_runs(paths)
    if not finished:
        plural = "" if len(paths) == 1 else "s"
        raise CornetError(
            f"{folder} contains {len(paths)} run{plural}, none of which is finished ({left_out[0].path.name}: "
            f"{left_out[0].why}); repeat the command that trains them, or report one by its own folder."
        )
    check_same(finished)
    measures = (*plain_measures(finished), *brain_measures(finished))
    return Seeds(folder, tuple(finished), tuple(left_out), measures, tuple(_notes(finished, measures)))


def _common(paths: Sequence[Path]) -> Path:
    """Return the common parent folder of the runs."""
    parents = [path.absolute().parent for path in paths]
    if not parents:
        raise CornetError("a run is missing; name the folders of two or more.")
    common = Path(os.path.commonpath(parents))
    if common == common.parent and len(set(parents)) > 1:
        raise CornetError(
            f"{paths[0]} and {paths[-1]} have no common folder for their report; copy them into one folder."
        )
    same = all(path.parent == paths[0].parent for path in paths)
    return paths[0].parent if same else common


def _notes(runs: Sequence[SeedRun], measures: Sequence[Measure]) -> list[str]:
    notes = []
    if len(runs) == 1:
        notes.append("a single seed has no interval")
    if keys := differing_versions(runs):
        notes.append(f"the seeds used different versions of {', '.join(keys)}")
    for one in measures:
        if one.incomparable:
            notes.append(f"{one.label} is not averaged: {one.incomparable}")
        notes += [f"{one.label}: {note}" for note in one.notes]
    return notes
