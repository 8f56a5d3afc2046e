"""Train a network of the ventral stream.

uv run train.py                                   the embedded demo: minutes on two cores
uv run train.py --help                            choices, keys, examples
uv run train.py data=imagenet data.folder=/path/to/imagenet model=cornet_s recipe=s_2019
uv run train.py experiment=tiny_z             200 classes of small photographs
uv run train.py -m model.bottleneck=1,2,4 seed=0,1,2    a sweep: each run a process; again: only what is missing
"""

import contextlib
import logging
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError, own_error
from cornet.files import file_error
from cornet.instantiate import find_own_modules
from cornet.terminal import steady_streams
from cornet.training.secrets import mask_logs, message_without_secrets
from cornet.training.sweeps.local import follow_parent, in_sweep, run_sweep
from cornet.training.sweeps.sweep import Sweep, find_sweep, start_message

CONF = Path(__file__).parent / "conf"
STOPPED = 130  # by Ctrl-C before the first step, or a second one; as shells count it


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def train(config: DictConfig) -> float | None:
    """One run; of submitted sweeps, each of them. Returns the monitored value at its best."""
    from cornet.report.run.closing import close
    from cornet.report.terminal_tables import print_plan
    from cornet.training.loggers.uploads import hand_over
    from cornet.training.plan import plan_training
    from cornet.training.run import run
    from cornet.training.stop_signals import Stopped

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # a submitted job has not come through main
    mask_logs()
    find_own_modules()
    try:
        if config.plan:
            print_plan(plan_training(config))
            return None
        hydra_config = HydraConfig.get()
        sweep = in_sweep() or hydra_config.mode == RunMode.MULTIRUN
        outcome = run(config, list(hydra_config.overrides.task), sweep=sweep)
        if outcome is None:  # another rank's
            return None
        best = close(outcome.folder, outcome.summary, outcome.already, brief=in_sweep())
        hand_over(outcome.folder, outcome.loggers)
        return best
    except CornetError as error:
        refuse(error)
    except OmegaConfBaseException as error:  # of what is found when references are followed
        if (told := own_error(error)) is None:
            raise
        refuse(told)
    except OSError as error:
        refuse(file_error(error))
    except Stopped as stopped:
        tell(f"\n{stopped}. The same command goes on from where it was.")
        sys.exit(stopped.code)
    except KeyboardInterrupt:
        tell("\nStopped. The same command goes on from the last checkpoint.")
        sys.exit(STOPPED)
    return None


def refuse(error: CornetError) -> None:
    """One line, and exit. An error from a loading process carries its traceback; the last line is ours."""
    tell(str(error).strip().splitlines()[-1].removeprefix("cornet.errors.CornetError: "))
    sys.exit(2)


def tell(sentence: str) -> None:
    """Say how this ended: of several ranks the first to come here says it, for the others follow from it."""
    from cornet.training.ranks.processes import known

    if known().tells():
        print(message_without_secrets(sentence), file=sys.stderr, flush=True)


def hear(error: CornetError) -> None:
    """Let the other ranks know of a mistake on this one's command line; they wait for its configuration."""
    from cornet.training.ranks.processes import meet

    with contextlib.suppress(CornetError):
        meet().agree({}, str(error))


def close_sweep(sweep: Sweep | None) -> None:
    """The seeds of a sweep together."""
    if sweep is None or not sweep.seeds:
        return
    from cornet.report.seeds.report import close_seeds
    from cornet.training.ranks.processes import find_ranks

    if find_ranks().rank == 0:
        close_seeds(sweep.seeds)


def run_locally(sweep: Sweep) -> None:
    """Each run as a process of this program; exit where not all of them came to their end."""
    code = run_sweep(sweep, [sys.executable, str(CONF.parent / "train.py")])
    if code in (0, 1):  # the codes of signals are higher, and those ask for haste
        close_sweep(sweep)
    if code:
        sys.exit(code)


def main() -> None:
    steady_streams()
    follow_parent()
    find_own_modules()
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    mask_logs()
    try:
        sweep = find_sweep(sys.argv[1:], CONF)
    except (CornetError, OSError) as error:
        told = file_error(error) if isinstance(error, OSError) else error
        hear(told)
        refuse(told)
    if sweep is not None:
        if sweep.place == "here":
            run_locally(sweep)
            return
        if sweep.place == "elsewhere":
            print(start_message(sweep))
    try:
        train()
    except SystemExit as stop:
        if stop.code in (1, 2):  # a run failed; the codes of signals are higher, and those ask for haste
            close_sweep(sweep)
        raise
    close_sweep(sweep)


if __name__ == "__main__":
    main()
