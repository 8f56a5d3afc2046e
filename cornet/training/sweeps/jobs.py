"""The runs of a sweep: `train.py -m model.bottleneck=1,2,4 seed=0,1,2`, or a file with `hydra.sweeper.params`.

What can be checked without images is checked before the first run begins or is submitted.
"""

import contextlib
import copy
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError

__all__ = ["Job", "count_jobs", "find_jobs", "seed_groups"]

SEED = re.compile(r"seed=(-?\d+)")


class Job(NamedTuple):
    """One run of a sweep. overrides: as `train.py` takes them. words: what distinguishes it from the other runs."""

    overrides: tuple[str, ...]
    words: str
    folder: Path
    finished: bool = False


def find_jobs(loader: ConfigLoader, sweep: DictConfig, runs: Sequence[Sequence[str]]) -> list[Job]:
    """The checked jobs of a sweep. Runs that differ only in their seed are composed once.

    sweep: the configuration that the runs share. runs: the overrides of each. Raises CornetError for a sweep without
    runs and for an impossible one, and Hydra's errors; a note on the error has the words of the run.
    """
    if not runs:
        given = " ".join(sweep.hydra.overrides.task)
        raise CornetError(f"{given}: the sweep has no runs; give a value or choice that exists.")
    composed: dict[tuple[str, ...], DictConfig] = {}
    contents: dict[str, str] = {}
    jobs = []
    for overrides, words in zip(runs, words_of(runs), strict=True):
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
            jobs.append(job_of(config, tuple(overrides), words, contents))
        except (CornetError, HydraException, OmegaConfBaseException) as error:
            if len(runs) > 1:
                error.add_note(words)
            raise
    return jobs


def check(config: DictConfig) -> None:
    """Raise CornetError for what cannot be trained, as far as that is known without images."""
    from cornet.instantiate import make
    from cornet.models import describe
    from cornet.training.build import as_dict
    from cornet.training.overrides import check_missing
    from cornet.training.sweeps.halving import parse_halving

    check_missing(config)
    parse_halving(OmegaConf.select(config, "sweep.halving"))
    make(config.recipe, "recipe")
    weights = ("pretrained", "weights_url", "accept_hash")
    model = {key: value for key, value in as_dict(config.model).items() if key not in weights}
    if "_target_" in model:  # the user's own network, which only the run itself builds
        return
    if model.get("num_classes") in ("auto", None):
        model["num_classes"] = 10  # any number: it makes no network impossible
    describe(model.pop("name"), **model)


def job_of(config: DictConfig, overrides: tuple[str, ...], words: str, contents: dict[str, str]) -> Job:
    """A job with its folder, and whether exactly this run is finished there. contents: see `content_of`.

    Where the images are missing, as on the machine that submits a job, their path stands for their content.
    """
    from cornet.old_names import with_current_names
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
            held = with_current_names(folder.read("identity.json"))
            finished = held == with_current_names(json.loads(json.dumps(identity, default=str)))
    return Job(overrides, words, path, finished)


def words_of(runs: Sequence[Sequence[str]]) -> list[str]:
    """What distinguishes each run from the others, in few words: "times.V4=4 seed=1"."""
    given = [dict(line.partition("=")[::2] for line in run) for run in runs]
    keys = [key for key in given[0] if len({one.get(key) for one in given}) > 1]
    short = {key: re.sub(r"^[+~]*(\w+[./])?|@.*", "", key) for key in keys}
    return [" ".join(f"{short[key]}={one.get(key, '')}" for key in keys) or "the run" for one in given]


def seed_groups(jobs: Iterable[Job]) -> list[list[Path]]:
    """The folders of runs that differ only in their seed, for each configuration with two or more."""
    found: dict[Path, dict[Path, None]] = {}
    for job in jobs:
        found.setdefault(job.folder.parent, {})[job.folder] = None
    return [list(folders) for folders in found.values() if len(folders) > 1]


def count_jobs(jobs: Sequence[Job]) -> str:
    """A line on a sweep: how many runs it has, and how many of them were finished before."""
    finished = sum(job.finished for job in jobs)
    return f"sweep: {len(jobs)} run{'s' * (len(jobs) > 1)}" + (
        f", {finished} finished before" * bool(finished)
    )
