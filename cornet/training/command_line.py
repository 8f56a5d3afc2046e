"""A command line as Hydra reads it, composed before Hydra runs it: mistakes are told, and the runs of a sweep known."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig

from cornet.errors import CornetError
from cornet.runs.path import parse_overrides
from cornet.training.near_names import explain

__all__ = ["Command", "reading"]


class Command(NamedTuple):
    """The arguments of a command line, and what composes the configuration called `name`."""

    arguments: Namespace
    loader: ConfigLoaderImpl
    name: str

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """The configuration of one run, or (MULTIRUN) what all runs of a sweep share. Raises CornetError."""
        parse_overrides(overrides)
        try:
            return self.loader.load_configuration(
                self.name, list(overrides), mode, validate_sweep_overrides=mode == RunMode.RUN
            )
        except Exception as error:  # what is no configuration makes Hydra fail in many ways
            raise explain(error, self.loader, self.name, overrides) from None


@contextmanager
def reading(argv: Sequence[str], config_dir: Path) -> Iterator[Command]:
    """The command line, for the length of the block; Hydra's global state is restored.

    argv: without the program. config_dir: the program's, replaced by --config-path.
    """
    arguments = get_args_parser().parse_args(list(argv))
    saved = dict(Singleton._instances)
    try:
        setup_globals()
        JobRuntime.instance().set("name", "train")
        yield Command(arguments, loader_of(arguments, config_dir), arguments.config_name or "config")
    finally:
        Singleton._instances.clear()
        Singleton._instances.update(saved)


def loader_of(arguments: Namespace, config_dir: Path) -> ConfigLoaderImpl:
    """Hydra's own, for the folders that the command line names."""
    folder = str(config_dir) if arguments.config_path is None else arguments.config_path
    path = create_automatic_config_search_path(str(config_dir.parent / "train.py"), None, folder)
    if arguments.config_dir is not None:
        added = os.path.abspath(arguments.config_dir)
        if not os.path.isdir(added):
            raise CornetError(
                f"--config-dir={arguments.config_dir} is not a folder; give one of configurations."
            )
        path.prepend("command-line", f"file://{added}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)
