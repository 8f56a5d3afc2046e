"""Where the configuration is, and how this program was started: train.py, `cornet train`, `python -m cornet train`.

A checkout has conf/ beside the package. The wheel has the same files inside it, as cornet/conf.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cornet
from cornet.errors import CornetError

__all__ = ["begin_train", "conf_folder", "program_name", "start_command"]

PACKAGE = Path(cornet.__file__).resolve().parent

_subcommand: tuple[str, ...] = ()


def conf_folder() -> Path:
    """Return the folder of the configuration. Raises CornetError if this installation has none."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise CornetError(
        f"{PACKAGE} has no configuration, neither in it nor beside it; install cornet-ventral again, or run this from "
        "a checkout of cornet."
    )


def begin_train(words: Sequence[str]) -> None:
    """Continue as `cornet train WORDS`: set sys.argv for Hydra, which reads it, and remember the subcommand."""
    global _subcommand
    _subcommand = ("train",)
    sys.argv[1:] = words


def program_name() -> str:
    """Return the program's name for messages."""
    if not _subcommand:  # a job on a cluster is not started by a command line: there, what the user has
        return "train.py" if conf_folder().parent != PACKAGE else "cornet train"
    return " ".join(("python -m cornet" if is_module() else "cornet", *_subcommand))


def start_command() -> list[str]:
    """Return the command that starts this program again, without its arguments."""
    program = ["-m", "cornet"] if is_module() else [os.path.abspath(sys.argv[0])]
    return [sys.executable, *program, *_subcommand]


def is_module() -> bool:
    """Return whether the program was started as `python -m cornet`."""
    return Path(sys.argv[0]).resolve() == PACKAGE / "__main__.py"
