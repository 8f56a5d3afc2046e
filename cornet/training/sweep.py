"""What a command line sweeps over: `train.py -m model.bottleneck=1,2,4 seed=0,1,2`, or an experiment file with
`hydra.sweeper.params`.

All that can be known of the runs without images is looked at before the first of them begins or is submitted: a key
that is not there, a value that makes no network. How those of one machine are run is in `cornet.training.sweep_runner`.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cornet.errors import CornetError
from cornet.training.command_line import reading
from cornet.training.near_names import one_sentence
from cornet.training.overrides import parse_overrides
from cornet.training.submitting import check_launcher
from cornet.training.sweep_jobs import SEED, Job, find_jobs

__all__ = ["Sweep", "find_sweep", "told_at_start"]

_BASIC = "hydra._internal.core_plugins.basic_{0}.Basic{1}"

Place = Literal["here", "ranks", "elsewhere"]


class Sweep(NamedTuple):
    """The runs, each once, in the order of the sweep.

    common: arguments of all of them beside their overrides. at_once: how many run at the same time. repeated: how many
    more would have led into the folder of another one. place: processes that this one starts; or this very process,
    with the other ranks, one run after the other; or elsewhere, where another launcher than Hydra's own brings them.
    """

    jobs: list[Job]
    common: tuple[str, ...] = ()
    at_once: int = 1
    repeated: int = 0
    place: Place = "here"

    @property
    def seeds(self) -> list[list[Path]]:
        """The folders of runs that differ in their seed alone, of configurations with two or more."""
        found: dict[tuple[str, ...], list[Path]] = {}
        for job in self.jobs:
            if any(map(SEED.fullmatch, job.overrides)):
                rest = tuple(line for line in job.overrides if not SEED.fullmatch(line))
                found.setdefault(rest, []).append(job.folder)
        return [folders for folders in found.values() if len(folders) > 1]


def find_sweep(
    argv: Sequence[str], config_dir: Path, config_name: str = "config", task: str = "train"
) -> Sweep | None:
    """The sweep that a command line asks for, whose configuration is composed in any case.

    None for a single run, a plan, a question (--help, --cfg), and where another sweeper than Hydra's own is chosen.
    argv: without the program; the others are as of `cornet.training.command_line.reading`.
    Raises CornetError for overrides that name no group, choice or key, and for runs that cannot be: one sentence, with
    near names, and with the run where it is of one only.
    """
    with reading(argv, config_dir, config_name, task) as command:
        arguments = command.arguments
        if arguments.help or arguments.hydra_help or arguments.shell_completion:
            return None
        check_launcher(arguments.overrides)
        base = command.compose(arguments.overrides, RunMode.MULTIRUN)
        asks = arguments.cfg or arguments.info or arguments.run
        if not (arguments.multirun or (base.hydra.mode == RunMode.MULTIRUN and not asks)):
            command.compose(arguments.overrides)  # sweeps and choices left open are for several runs
        if asks or not is_grid(base, arguments):
            return None
        params = (base.hydra.get("sweeper") or {}).get("params") or {}
        given = [*(f"{key}={value}" for key, value in params.items()), *base.hydra.overrides.task]
        try:
            lines = BasicSweeper.split_arguments(parse_overrides(given, command.loader), None)[0]
        except HydraException as error:
            raise one_sentence(error) from None
        runs = [tuple(line) for line in lines]
        if not runs:
            raise CornetError(
                f"{' '.join(given)}: the sweep has no runs; give a value or choice that is there."
            )
        at_once, hydra = at_once_of(base), list(base.hydra.overrides.hydra)
        found = find_jobs(runs, lambda overrides: command.compose([*hydra, *overrides]))
        jobs = list({job.folder: job for job in reversed(found)}.values())[::-1]
        common = (*flags_of(arguments), *hydra, "hydra.mode=RUN", "hydra.sweeper.params=null")
        return Sweep(jobs, common, at_once, len(found) - len(jobs), place_of_runs(base))


def is_grid(base: DictConfig, arguments: Namespace) -> bool:
    """Whether the composed configuration asks for several runs, all known beforehand."""
    if not (arguments.multirun or base.hydra.mode == RunMode.MULTIRUN) or base.get("plan"):
        return False
    return bool(OmegaConf.select(base, "hydra.sweeper._target_") == _BASIC.format("sweeper", "Sweeper"))


def place_of_runs(base: DictConfig) -> Place:
    """Where the runs of a composed configuration are to be."""
    if base.hydra.launcher._target_ != _BASIC.format("launcher", "Launcher"):
        return "elsewhere"
    from cornet.training.ranks import find_ranks  # with all of Lightning

    return "here" if find_ranks().world == 1 else "ranks"


def at_once_of(base: DictConfig) -> int:
    """Raises CornetError where sweep.at_once is no whole number from 1."""
    given = OmegaConf.select(base, "sweep.at_once", default=1)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise CornetError(f"sweep.at_once={given} must be a whole number of runs, 1 or more.")
    return given


def flags_of(arguments: Namespace) -> list[str]:
    """What of the command line says where configurations are."""
    given = {f"--config-{one}": getattr(arguments, f"config_{one}") for one in ("path", "name", "dir")}
    return [f"{flag}={value}" for flag, value in given.items() if value is not None]


def told_at_start(sweep: Sweep, most: int = 4) -> str:
    """For runs elsewhere: how many there are, and the command that shows seeds together when they have ended."""
    if sweep.place != "elsewhere":
        return ""
    done = sum(job.finished for job in sweep.jobs)
    before = f", {done} finished before" if done else ""
    lines = [f"sweep: {len(sweep.jobs)} run{'s' if len(sweep.jobs) > 1 else ''}{before}"]
    if places := [str(runs[0].parent) for runs in sweep.seeds]:
        more = f" (and {len(places) - most} more)" if len(places) > most else ""
        lines.append(
            f"When the jobs have ended, `cornet report {' '.join(places[:most])}`{more} shows the seeds together."
        )
    return "\n".join(lines)
