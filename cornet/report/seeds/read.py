"""Several seeds of one configuration: what they have in common, told with how far a single one may be from it."""

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
    open_runs,
    other_versions,
    seed_folders,
)

__all__ = ["Seeds", "read_seeds"]


@dataclass(frozen=True, eq=False)
class Seeds:
    """Finished runs that differ in nothing but their seed, and each of their measures over seeds.

    folder: that holds the runs. left_out: runs that are not averaged in, as they are not finished. notes: what a reader
    of all the numbers must know.
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
        """The network, the images, and how many seeds: "cornet_s on objects, 3 seeds"."""
        summary = self.runs[0].summary
        what = f"{summary.get('network', 'a network')} on {summary.get('data', 'images')}"
        return f"{what}, {len(self.runs)} seed{'s' if len(self.runs) > 1 else ''}"

    def measure(self, name: str) -> Measure:
        """A measure by its name, as it is logged: val/top1, brain/mean. Raises KeyError."""
        return {one.name: one for one in self.measures}[name]


def read_seeds(runs: Path | str | Sequence[Path | str]) -> Seeds:
    """Several seeds together: a folder that holds seed<k> folders, or the runs' own folders.

    Seeds are the unit: of each validation metric and brain score the mean, standard deviation and 95 % interval of the
    mean over seeds (`cornet.report.statistics.mean_interval`), of the last values, of those at the best epochs, and
    of each epoch. A value that is NaN is left out of its mean and counted in notes. Scores of different benchmark
    versions, scales, data or ceilings are kept apart and not averaged; runs that are not finished are left out.

    Raises CornetError where no run is finished, where two have the same seed, or where they differ in anything else,
    naming the key.
    """
    if isinstance(runs, str | Path):
        folder, paths = Path(runs).expanduser(), seed_folders(Path(runs).expanduser())
        if not paths:
            raise CornetError(
                f"{folder} holds no folders seed<k> of runs; name the folder of a configuration."
            )
    else:
        paths = list(dict.fromkeys(Path(run).expanduser() for run in runs))
        folder = _common(paths)
    found, left_out = open_runs(paths)
    if not found:
        one = "" if len(paths) == 1 else "s"
        raise CornetError(
            f"{folder} holds {len(paths)} run{one}, none of which is finished ({left_out[0].path.name}: "
            f"{left_out[0].why}); repeat the command that trains them, or report one by its own folder."
        )
    check_same(found)
    measures = (*plain_measures(found), *brain_measures(found))
    return Seeds(folder, tuple(found), tuple(left_out), measures, tuple(_notes(found, measures)))


def _common(paths: Sequence[Path]) -> Path:
    """The folder that holds all of them."""
    parents = [path.absolute().parent for path in paths]
    if not parents:
        raise CornetError("no run is named; name the folders of two or more.")
    common = Path(os.path.commonpath(parents))
    if common == common.parent and len(set(parents)) > 1:
        raise CornetError(
            f"{paths[0]} and {paths[-1]} lie in no common folder, into which their report could go; "
            "copy them into one."
        )
    same = all(path.parent == paths[0].parent for path in paths)
    return paths[0].parent if same else common


def _notes(runs: Sequence[SeedRun], measures: Sequence[Measure]) -> list[str]:
    notes = []
    if len(runs) == 1:
        notes.append("one seed alone has no interval")
    if other := other_versions(runs):
        notes.append(f"the seeds were not made with the same {', '.join(other)}")
    for one in measures:
        if one.apart:
            notes.append(f"{one.label} is not averaged, for {one.apart}")
        notes += [f"{one.label}: {note}" for note in one.notes]
    return notes
