"""The runs of a sweep: `train.py -m model.bottleneck=1,2,4 seed=0,1,2`, or a file with `hydra.sweeper.params`.

Everything that can be checked without images is checked before the first run begins or is submitted: unknown keys,
values that make no network. `cornet.training.sweeps.local` runs the sweep on this machine.
"""

import contextlib
import copy
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import cornet.training.sweeps.random_network  # noqa: F401 (what ${cornet.draw:...} stands for)
from cornet.errors import CornetError, own_error
from cornet.old_names import with_current_names, with_current_overrides
from cornet.runs.path import parse_overrides
from cornet.training.command_line import reading
from cornet.training.near_names import one_sentence
from cornet.training.overrides import check_launcher, check_missing

__all__ = ["Job", "Sweep", "find_sweep", "job_of", "start_message", "without_hydra"]

_BASIC = "hydra._internal.core_plugins.basic_{0}.Basic{1}"
_SEED = re.compile(r"seed=(-?\d+)")


class Job(NamedTuple):
    """One run of a sweep. overrides: as `train.py` takes them. words: what distinguishes it from the other runs."""

    overrides: tuple[str, ...]
    words: str
    folder: Path
    finished: bool = False


class Sweep(NamedTuple):
    """The runs, each once, in the order of the sweep.

    common: arguments of all runs beside their overrides. repeated: number of runs left out because they have the folder
    of another one. place: "here" in processes that this one starts; "ranks" in this process and the other ranks, one
    run after the other; "elsewhere" where a launcher submits them.
    """

    jobs: list[Job]
    common: tuple[str, ...] = ()
    at_once: int = 1
    repeated: int = 0
    place: str = "here"

    @property
    def seeds(self) -> list[list[Path]]:
        """The folders of runs that differ only in their seed, for each configuration with two or more."""
        found: dict[Path, list[Path]] = {}
        for job in self.jobs:
            found.setdefault(job.folder.parent, []).append(job.folder)
        return [folders for folders in found.values() if len(folders) > 1]


def find_sweep(argv: Sequence[str], config_dir: Path) -> Sweep | None:
    """The sweep that a command line (without the program) asks for. Its configuration is composed in any case.

    None for a single run, a plan, a question (--help, --cfg), and with another sweeper than Hydra's own. Raises
    CornetError for overrides that name no group, choice or key, and for impossible runs: one sentence, with near names,
    and with the run where only one is affected.
    """
    with reading(argv, config_dir) as command:
        arguments = command.arguments
        if arguments.help or arguments.hydra_help or arguments.shell_completion:
            return None
        check_launcher(arguments.overrides)
        base = command.compose(arguments.overrides, RunMode.MULTIRUN)
        asks = arguments.cfg or arguments.info or arguments.run
        several = arguments.multirun or (base.hydra.mode == RunMode.MULTIRUN and not asks)
        if not several:
            command.compose(arguments.overrides)  # refuses sweeps, and choices that are left open
        own_sweeper = OmegaConf.select(base, "hydra.sweeper._target_") == _BASIC.format("sweeper", "Sweeper")
        if asks or not several or not own_sweeper or base.get("plan"):
            return None
        at_once = OmegaConf.select(base, "sweep.at_once", default=1)
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise CornetError(f"sweep.at_once={at_once} must be a whole number of runs, 1 or more.")
        params, hydra = base.hydra.sweeper.get("params") or {}, list(base.hydra.overrides.hydra)
        given = with_current_overrides(
            [*(f"{key}={value}" for key, value in params.items()), *base.hydra.overrides.task]
        )
        try:
            runs = BasicSweeper.split_arguments(parse_overrides(given, command.loader), None)[0]
        except HydraException as error:
            raise one_sentence(error) from None
        if not runs:
            raise CornetError(
                f"{' '.join(given)}: the sweep has no runs; give a value or choice that exists."
            )
        found = find_jobs([tuple(run) for run in runs], lambda run: command.compose([*hydra, *run]))
    jobs = list({job.folder: job for job in reversed(found)}.values())[::-1]
    folders = {f"--config-{one}": getattr(arguments, f"config_{one}") for one in ("path", "name", "dir")}
    flags = [f"{flag}={value}" for flag, value in folders.items() if value is not None]
    common = (*flags, *hydra, "hydra.mode=RUN", "hydra.sweeper.params=null")
    place = "elsewhere"
    if base.hydra.launcher._target_ == _BASIC.format("launcher", "Launcher"):
        from cornet.training.ranks.processes import find_ranks  # imports Lightning

        place = "here" if find_ranks().world == 1 else "ranks"
    return Sweep(jobs, common, at_once, len(found) - len(jobs), place)


def find_jobs(runs: Sequence[tuple[str, ...]], compose: Callable[[tuple[str, ...]], DictConfig]) -> list[Job]:
    """The checked jobs. Runs that differ only in their seed are composed once."""
    composed: dict[tuple[str, ...], DictConfig] = {}
    contents: dict[str, Any] = {}
    jobs = []
    for overrides, words in zip(runs, words_of(runs), strict=True):
        rest = tuple(line for line in overrides if not _SEED.fullmatch(line))
        try:
            if rest not in composed:
                composed[rest] = without_hydra(compose(overrides))
                check(composed[rest])
            config = copy.deepcopy(composed[rest])
            for seed in filter(None, map(_SEED.fullmatch, overrides)):
                config.seed = int(seed[1])
            jobs.append(job_of(config, overrides, words, contents))
        except (CornetError, OmegaConfBaseException) as error:
            reason = own_error(error) or one_sentence(error)
            raise CornetError(f"{words}: {reason}" if len(runs) > 1 else str(reason)) from None
    return jobs


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy of a composed configuration without Hydra's own part."""
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    OmegaConf.set_struct(own, False)
    return own


def check(config: DictConfig) -> None:
    """Raise CornetError for what cannot be trained, as far as that is known without images."""
    from cornet.instantiate import make
    from cornet.models import describe
    from cornet.training.build import as_dict
    from cornet.training.sweeps.halving import check_halving

    check_missing(config)
    check_halving(OmegaConf.select(config, "sweep.halving"))
    make(config.recipe, "recipe")
    model = {
        k: v
        for k, v in as_dict(config.model).items()
        if k not in ("pretrained", "weights_url", "accept_hash")
    }
    if "_target_" in model:  # the user's own network, which only the run itself builds
        return
    if model.get("num_classes") in ("auto", None):
        model["num_classes"] = 10  # any number: it makes no network impossible
    describe(model.pop("name"), **model)


def job_of(config: DictConfig, overrides: tuple[str, ...], words: str, contents: dict[str, Any]) -> Job:
    """The folder of a run, and whether exactly this run is finished there. contents: see `content_of`.

    Where the images are missing, as on the machine that submits a job, their path stands for their content.
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
            held = with_current_names(folder.read("identity.json"))
            finished = held == with_current_names(json.loads(json.dumps(identity, default=str)))
    return Job(overrides, words, path, finished)


def words_of(runs: Sequence[tuple[str, ...]]) -> list[str]:
    """What distinguishes each run from the others, in few words: "times.V4=4 seed=1"."""
    given = [dict(line.partition("=")[::2] for line in run) for run in runs]
    keys = [key for key in given[0] if len({one.get(key) for one in given}) > 1]
    short = {key: re.sub(r"^[+~]*(\w+[./])?|@.*", "", key) for key in keys}
    return [" ".join(f"{short[key]}={one.get(key, '')}" for key in keys) or "the run" for one in given]


def start_message(sweep: Sweep, most: int = 4) -> str:
    """For submitted runs: how many there are, and the command that compares the seeds when they have ended."""
    finished = sum(job.finished for job in sweep.jobs)
    message = f"sweep: {len(sweep.jobs)} run{'s' * (len(sweep.jobs) > 1)}"
    message += f", {finished} finished before" if finished else ""
    if folders := [str(runs[0].parent) for runs in sweep.seeds]:
        command = f"`cornet report {' '.join(folders[:most])}`"
        command += f" (and {len(folders) - most} more)" if len(folders) > most else ""
        message += f"\nWhen the jobs have ended, {command} shows the seeds together."
    return message
