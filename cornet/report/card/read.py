"""Read what a card tells from the folder of a run, or of several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.old_names import with_current_names
from cornet.report.curves import task_metric
from cornet.report.run.data import is_int, read_json, read_metrics, read_scores
from cornet.report.run.page import find_run_folder
from cornet.report.seeds.measures import Measure, brain_measures, plain_measures
from cornet.report.seeds.read import read_seeds
from cornet.report.seeds.seed_runs import SeedRun, find_seeds
from cornet.runs.config import read_config

__all__ = ["Recorded", "part_of", "read_recorded"]


@dataclass(frozen=True, eq=False)
class Recorded:
    """What is recorded of one run, or of several finished seeds of one configuration.

    folder: of the run, or the parent of the seeds. runs: sorted by seed. config: of the first run, {} if it cannot be
    read; problems: what could not be read. images: images.json of each run. started_from: started_from.json of each
    run, {} if it began with its own weights. measures: accuracies, losses and brain scores. notes: on the averaging.
    """

    folder: Path
    runs: Sequence[SeedRun]
    config: Mapping[str, Any]
    images: Sequence[Mapping[str, Any]]
    started_from: Sequence[Mapping[str, Any]]
    measures: Sequence[Measure]
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()

    @property
    def summary(self) -> Mapping[str, Any]:
        """finished.json of the first run; {} if it is not finished."""
        return self.runs[0].summary

    @property
    def versions(self) -> Mapping[str, Any]:
        """versions.json of the first run."""
        return self.runs[0].versions

    @property
    def several(self) -> bool:
        return len(self.runs) > 1

    @property
    def seeds(self) -> str:
        """Such as "seeds 0, 1, 2"."""
        numbers = ", ".join(str(run.seed) for run in self.runs if run.seed >= 0) or "not recorded"
        return f"seed{'s' if self.several else ''} {numbers}"

    @property
    def metric(self) -> str:
        """The metric of the task, such as val/top1."""
        return task_metric(self.summary)

    @property
    def network(self) -> str:
        """The network's name; "" if it is not recorded."""
        return str(self.summary.get("network") or part_of(self.config, "model").get("name") or "")

    @property
    def data(self) -> str:
        """The name of the images; "" if it is not recorded."""
        return str(self.summary.get("data") or part_of(self.config, "data").get("name") or "")


def part_of(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a configuration; {} if it is missing or no mapping."""
    value = config.get(name)
    return value if isinstance(value, Mapping) else {}


def read_recorded(path: Path | str) -> Recorded:
    """Read the run, or the seeds of one configuration, at or below a folder.

    Raises CornetError as `find_run_folder` and `read_seeds` do. What is missing or damaged in a single run's folder is
    left out, and named in `problems` if it is damaged.
    """
    folder = find_seeds(path)
    if folder is not None:
        seeds = read_seeds(folder)
        left_out = [f"{one.path.name} is left out: {one.why}" for one in seeds.left_out]
        notes = [*left_out, *seeds.notes]
        return _recorded(folder, seeds.runs, seeds.measures, notes)
    folder = find_run_folder(path)
    summary, identity = read_json(folder / "finished.json"), read_json(folder / "identity.json")
    metrics, scores = read_metrics(folder), read_scores(folder)
    versions = read_json(folder / "versions.json")
    config, _ = _config(folder)
    seed = config.get("seed")
    number = seed if is_int(seed) else -1
    current = with_current_names(identity) or {}
    runs = [SeedRun(number, folder, summary, current, versions, metrics, scores)]
    return _recorded(folder, runs, [*plain_measures(runs), *brain_measures(runs)], [])


def _recorded(
    folder: Path, runs: Sequence[SeedRun], measures: Sequence[Measure], notes: Sequence[str]
) -> Recorded:
    config, problem = _config(runs[0].path)
    images = [read_json(run.path / "images.json") for run in runs]
    starts = [read_json(run.path / "started_from.json") for run in runs]
    return Recorded(folder, runs, config, images, starts, measures, notes, [problem] if problem else [])


def _config(folder: Path) -> tuple[dict[str, Any], str]:
    """Return config.yaml and why it could not be read."""
    path = folder / "config.yaml"
    if path.is_symlink():
        return {}, f"{path.name} is a link, which is not followed"
    try:
        return read_config(path), ""
    except FileNotFoundError:
        return {}, f"{path.name} is missing"
    except CornetError as error:
        return {}, str(error)
