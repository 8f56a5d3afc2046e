"""Find the runs of a sweep, such as `train.py -m model.bottleneck=1,2,4 seed=0,1,2`, and check all before the first."""

import contextlib
import copy
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError

__all__ = ["Job", "count_jobs", "find_jobs", "seed_groups", "unique"]

SEED = re.compile(r"seed=(-?\d+)")


class Job(NamedTuple):
    """One run of a sweep. overrides: for `train.py`. label: the overrides in which it differs from the other runs."""

    overrides: tuple[str, ...]
    label: str
    folder: Path
    finished: bool = False


def find_jobs(loader: ConfigLoader, sweep: DictConfig, runs: Sequence[Sequence[str]]) -> list[Job]:
    """Return the checked jobs of a sweep. Runs that differ only in their seed are composed once.

    sweep: the configuration that the runs share. runs: the overrides of each run. Raises CornetError if there are no
    runs or a run is invalid, and Hydra's errors; a note on the error holds the run's label.
    """
    if not runs:
        given = " ".join(sweep.hydra.overrides.task)
        raise CornetError(f"{given}: the sweep has no runs; give a value or choice that exists.")
    composed: dict[tuple[str, ...], DictConfig] = {}
    contents: dict[str, str] = {}
    jobs = []
    for overrides, label in zip(runs, labels_of(runs), strict=True):
        rest = tuple(line for line in overrides if not SEED.fullmatch(line))
        try:
            if rest not in composed:
                composed[rest] = loader.load_sweep_config(sweep, list(overrides))
                with open_dict(composed[rest]):
                    del composed[rest]["hydra"]
                check(composed[rest])
            config = copy.deepcopy(composed[rest])
            for seed in filter(None, map(SEED.fullmatch, overrides)):
                config.seed = int(seed[1])
            jobs.append(job_of(config, tuple(overrides), label, contents))
        except (CornetError, HydraException, OmegaConfBaseException) as error:
            if len(runs) > 1:
                error.add_note(label)
            raise
    return jobs


def check(config: DictConfig) -> None:
    """Raise CornetError if a run is invalid, as far as that can be checked without images."""
    from cornet.instantiate import make
    from cornet.models import describe
    from cornet.models.registry import NO_ARGUMENTS
    from cornet.training.build import as_dict
    from cornet.training.config_errors import check_missing
    from cornet.training.sweeps.halving import parse_halving

    check_missing(config)
    parse_halving(OmegaConf.select(config, "sweep.halving"))
    make(config.recipe, "recipe")
    model = {key: value for key, value in as_dict(config.model).items() if key not in NO_ARGUMENTS}
    if "_target_" in model:  # the user's own network: only the run builds it
        return
    if model.get("num_classes") in ("auto", None):
        model["num_classes"] = 10  # any number is valid for every network
    describe(model.pop("name"), **model)


def job_of(config: DictConfig, overrides: tuple[str, ...], label: str, contents: dict[str, str]) -> Job:
    """Return a job with its folder, and whether this same run is already finished there.

    contents: the cache of `content_of`. If the images are missing, as on a login node, their path stands for them.
    """
    from cornet.runs.folder import RunFolder
    from cornet.training.content import Content, content_of
    from cornet.training.run import place_of

    content, finished = Content(), False
    with contextlib.suppress(CornetError):
        content = content_of(config, contents)
    path, _, identity = place_of(config, overrides, content, sweep=True)
    with contextlib.suppress(CornetError, OmegaConfBaseException, ValueError):  # the run itself reports these
        folder = RunFolder(path)
        if not config.get("fresh") and folder.finished is not None:
            finished = folder.identity == identity
    return Job(overrides, label, path, finished)


def labels_of(runs: Sequence[Sequence[str]]) -> list[str]:
    """Return a short label per run from the overrides that differ, such as "times.V4=4 seed=1"."""
    given = [dict(line.partition("=")[::2] for line in run) for run in runs]
    keys = [key for key in given[0] if len({one.get(key) for one in given}) > 1]
    short = {key: re.sub(r"^[+~]*(\w+[./])?|@.*", "", key) for key in keys}
    return [" ".join(f"{short[key]}={one.get(key, '')}" for key in keys) or "the run" for one in given]


def unique(jobs: Sequence[Job]) -> list[Job]:
    """Return the first job of each folder."""
    return list({job.folder: job for job in reversed(jobs)}.values())[::-1]


def seed_groups(jobs: Iterable[Job]) -> list[list[Path]]:
    """Return the folders of runs that differ only in their seed, for each configuration with two or more."""
    found: dict[Path, dict[Path, None]] = {}
    for job in jobs:
        found.setdefault(job.folder.parent, {})[job.folder] = None
    return [list(folders) for folders in found.values() if len(folders) > 1]


def count_jobs(jobs: Sequence[Job]) -> str:
    """Return a line with the number of runs, and of those that were finished before."""
    finished = sum(job.finished for job in jobs)
    return f"sweep: {len(jobs)} run{'s' * (len(jobs) > 1)}" + (
        f", {finished} finished before" * bool(finished)
    )
