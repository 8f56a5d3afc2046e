"""Run a composed configuration for train.py and `cornet train`, and report errors and stops."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import cornet.training.sweeps.random_network  # noqa: F401 (resolves ${cornet.draw:...})
from cornet.cli.program import program_name
from cornet.errors import CornetError
from cornet.instantiate import find_own_modules
from cornet.old_names import with_current_overrides
from cornet.terminal import steady_streams
from cornet.training.config_errors import config_error, did_you_mean, near
from cornet.training.secrets import mask_logs, message_without_secrets
from cornet.training.sweeps.local import follow_parent, in_sweep

__all__ = ["start", "train_one"]

STOPPED = 130
"""Exit status after Ctrl-C before the first step, or after a second Ctrl-C: 128 + SIGINT."""

OmegaConf.register_new_resolver("cornet.program", program_name, replace=True)  # for the text of --help


def start(application: Callable[[], Any], conf: Path) -> None:
    """Start a Hydra application on the command line. A user error prints one sentence and exits with status 2.

    conf: the application's folder of configurations.
    """
    steady_streams()
    follow_parent()
    find_own_modules()
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    mask_logs()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises errors instead of printing them
    try:
        sys.argv[1:] = options_first(with_current_overrides(sys.argv[1:]))
        application()
    except KeyboardInterrupt:  # before the run began
        print_once("\nStopped. Repeat the command to start again.")
        sys.exit(STOPPED)
    except Exception as error:
        mistake = config_error(error, conf, sys.argv[1:])
        if mistake is None:
            raise
        notify_ranks(mistake)
        report_error(mistake)


def options_first(words: list[str]) -> list[str]:
    """Return the words of a command line with its options before its overrides, which Hydra requires.

    Raises CornetError for an unknown option, or one with a missing or an unknown value.
    """

    def refuse(message: str) -> NoReturn:
        raise CornetError(f"{message.rstrip('.')}; --hydra-help lists the options.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    known, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        options = [
            name for action in parser._actions for name in action.option_strings if name.startswith("--")
        ]
        similar = did_you_mean(near(unknown[0].partition("=")[0], options))
        raise CornetError(f"{unknown[0]} is not an option{similar} --hydra-help lists the options.")
    rest = list(words)
    for override in known.overrides:
        rest.remove(override)
    return [*rest, *known.overrides]


def train_one(config: DictConfig) -> float | None:
    """Train one configuration, or plan it. Returns the best monitored value; None on ranks other than 0."""
    from cornet.report.run.closing import print_run_summary
    from cornet.report.terminal_tables import print_plan
    from cornet.training.loggers.uploads import upload_results
    from cornet.training.plan import plan_training
    from cornet.training.run import run
    from cornet.training.stop_signals import Stopped

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # submitted jobs do not call `start`
    mask_logs()
    find_own_modules()
    try:
        if config.plan:
            print_plan(plan_training(config))
            return None
        hydra = HydraConfig.get()
        sweep = in_sweep() or hydra.mode == RunMode.MULTIRUN
        outcome = run(config, list(hydra.overrides.task), sweep=sweep)
        if outcome is None:
            return None
        best = print_run_summary(outcome.folder, outcome.summary, outcome.already, in_sweep(), program_name())
        upload_results(outcome.folder, outcome.loggers)
        return best
    except Stopped as stopped:
        print_once(f"\n{stopped}. Repeat the command to resume.")
        sys.exit(stopped.code)
    except KeyboardInterrupt:
        print_once("\nStopped. Repeat the command to resume from the last checkpoint.")
        sys.exit(STOPPED)
    except Exception as error:
        mistake = config_error(error, Path(), [])
        if mistake is None:
            raise
        report_error(mistake)
    return None


def report_error(error: CornetError) -> None:
    """Print the message and exit. An error from a loading process begins with a traceback, which is left out."""
    print_once(str(error).rpartition("cornet.errors.CornetError: ")[2])
    sys.exit(2)


def print_once(sentence: str) -> None:
    """Print a closing message. With several ranks, only the first rank that gets here prints; errors of the others are
    consequences."""
    ranks = sys.modules.get("cornet.training.ranks.processes")  # None before the ranks are connected
    if ranks is None or ranks.current_ranks().reports_first():
        print(message_without_secrets(sentence), file=sys.stderr, flush=True)


def notify_ranks(error: CornetError) -> None:
    """Tell the other ranks about an error on this rank's command line, if they still wait for its configuration."""
    if not {"RANK", "SLURM_PROCID"}.intersection(
        os.environ
    ):  # a single process; importing Lightning takes seconds
        return
    from cornet.training.ranks.processes import connect_ranks, current_ranks

    if current_ranks().store is None:
        with contextlib.suppress(CornetError):
            connect_ranks().check_same({}, str(error))
