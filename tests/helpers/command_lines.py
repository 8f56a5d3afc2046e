"""Checks the command lines of a page without their work: options by the real program, overrides by composing them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import typer
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from cornet.cli.command import app
from cornet.cli.trainings.train import options_first
from cornet.old_names import with_current_overrides
from cornet.training.config_errors import check_missing
from tests.helpers.paths import CONF, ROOT

__all__ = ["NOT_RUN", "check", "checked_overrides", "program_of"]

NOT_RUN = {
    "pip": "installs from a registry",
    "python3": "makes an environment",
    ".": "enters an environment",
    "uv": "installs, builds or starts a tool: uv sync, uv build",
    "mkdir": "makes a folder for a zip file",
    "cp": "copies an export into it",
    "zip": "packs it",
    "jupyter": "tests/docs/test_notebook.py runs the notebook",
    "pytest": "these tests",
    "mkdocs": "tests/docs/test_site.py builds the site",
    "ruff": "CI runs it",
    "mypy": "CI runs it",
    "wandb": "needs an account; tests/training/loggers/test_wandb_sweep.py starts such runs without one",
}
"""Programs whose lines are not run, and why."""


def program_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return (program, its arguments): "train", "cornet", "python FILE", or another's name.

    `uv run X`, `python -m cornet`, and launchers of train.py (torchrun, srun) are followed to the program.
    """
    rest = list(words)
    if rest[:2] == ["uv", "run"]:
        rest = rest[2:]
        while rest and rest[0].startswith("--"):  # --group docs, --extra onnx
            rest = rest[2:]
    for k, word in enumerate(rest):
        if Path(word).name == "train.py" and (k == 0 or rest[0] in ("python", "torchrun", "srun")):
            return "train", rest[k + 1 :]
        if word == "cornet" and (k == 0 or rest[k - 1] == "-m"):
            after = rest[k + 1 :]
            return ("train", after[1:]) if after[:1] == ["train"] else ("cornet", after)
    if rest[0] == "python":
        return f"python {rest[1]}", rest[2:]
    if rest[0].startswith("benchmarks/"):
        return f"python {rest[0]}", rest[1:]
    return rest[0], rest[1:]


def check(words: Sequence[str]) -> None:
    """Check one command. Raises AssertionError, CornetError, or an error of Hydra or typer for a wrong one."""
    program, arguments = program_of(words)
    if program == "train":
        checked_overrides(arguments)
    elif program == "cornet":
        check_options(arguments)
        if arguments[0] == "plan":
            checked_overrides(arguments[1:])
    elif program.startswith("python "):
        file = ROOT / program.removeprefix("python ")
        assert file.is_file() or (ROOT / "examples" / file.name).is_file(), f"{file} does not exist"
        for option in arguments:
            if option.startswith("--"):
                assert f'"{option.partition("=")[0]}"' in file.read_text(), f"{file.name} has no {option}"
    else:
        assert program in NOT_RUN, f"{program} is neither checked nor in NOT_RUN"


def check_options(arguments: Sequence[str]) -> None:
    """Parse the arguments of `cornet` as the program does, down to the subcommand."""
    command = typer.main.get_command(app)
    context, rest = None, list(arguments)
    while True:
        try:
            context = command.make_context(command.name or "cornet", rest, parent=context)
        except typer.Exit as end:  # --help, --version
            if end.exit_code:
                raise
            return
        with context:
            if not hasattr(command, "resolve_command"):
                return
            _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def checked_overrides(words: Sequence[str]) -> None:
    """Compose the configuration of train.py's arguments; of a sweep, with the first value of each key."""
    known = get_args_parser().parse_args(options_first(with_current_overrides(list(words))))
    if known.help:
        return
    overrides = [first_value(text) for text in known.overrides]
    if known.config_dir:
        overrides.append(f"hydra.searchpath=[file://{os.path.abspath(known.config_dir)}]")
    if (
        not GlobalHydra.instance().is_initialized()
    ):  # once: Hydra then reads each file once; the caller clears it
        initialize_config_dir(str(CONF), version_base="1.3")
    check_missing(compose("config", overrides))


def first_value(text: str) -> str:
    """Return an override of a sweep with its first value."""
    (override,) = OverridesParser.create().parse_overrides([text])
    if not override.is_sweep_override():
        return text
    if override.is_discrete_sweep():
        return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
    return f"{override.get_key_element()}={re.split(r'[(,]', text.partition('=')[2])[1]}"
