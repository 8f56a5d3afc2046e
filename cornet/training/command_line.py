"""A command line as Hydra reads it, composed aside: what a sweep comes to, before any of its runs begins."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from cornet.errors import CornetError

__all__ = ["Command", "arguments_of", "composed", "parsed", "uncomposed"]


class Command(NamedTuple):
    """base: the configuration of all runs of a sweep, or of the one run."""

    arguments: Namespace
    loader: ConfigLoaderImpl
    name: str
    base: DictConfig

    def run(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one run. Raises CornetError where it cannot be composed."""
        return load(self.loader, self.name, overrides, RunMode.RUN)

    @property
    def params(self) -> list[str]:
        """What `hydra.sweeper.params` sweeps over, as overrides."""
        sweeper = self.base.hydra.get("sweeper") or {}
        return [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]

    def overrides(self) -> list[Override]:
        """What sets the runs apart and what they share: of `hydra.sweeper.params`, then of the command line."""
        return parsed([*self.params, *self.base.hydra.overrides.task], self.loader)


@contextmanager
def composed(
    argv: Sequence[str], config_dir: Path, config_name: str = "config", task: str = "train"
) -> Iterator[Command]:
    """The command line, for the length of the block; Hydra's global state is afterwards what it was.

    argv: without the program. config_dir: the program's own, in place of which --config-path is taken. task: what
    Hydra calls the job, which is the program's name. Raises CornetError where it cannot be composed.
    """
    arguments = arguments_of(argv)
    saved = dict(Singleton._instances)
    try:
        setup_globals()
        JobRuntime.instance().set("name", task)
        name = arguments.config_name or config_name
        loader = loader_of(arguments, config_dir)
        yield Command(arguments, loader, name, load(loader, name, arguments.overrides, RunMode.MULTIRUN))
    finally:
        Singleton._instances.clear()
        Singleton._instances.update(saved)


def arguments_of(argv: Sequence[str]) -> Namespace:
    """As Hydra reads them, abbreviated flags included."""
    return get_args_parser().parse_args(list(argv))


def loader_of(arguments: Namespace, config_dir: Path) -> ConfigLoaderImpl:
    """Hydra's own, for the folders that the command line names."""
    folder = str(config_dir) if arguments.config_path is None else arguments.config_path
    path = create_automatic_config_search_path(str(config_dir.parent / "train.py"), None, folder)
    if arguments.config_dir is not None:
        added = os.path.abspath(arguments.config_dir)
        if not os.path.isdir(added):
            raise CornetError(
                f"--config-dir={arguments.config_dir} is no folder; give one of configurations."
            )
        path.prepend("command-line", f"file://{added}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(path)


def load(loader: ConfigLoaderImpl, name: str, overrides: Sequence[str], mode: RunMode) -> DictConfig:
    try:
        return loader.load_configuration(name, list(overrides), mode, validate_sweep_overrides=False)
    except Exception as error:  # what is no configuration makes Hydra fail in many ways
        raise uncomposed(error) from None


def parsed(lines: Sequence[str], loader: ConfigLoaderImpl | None = None) -> list[Override]:
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(lines))
    except HydraException as error:
        raise uncomposed(error) from None


def uncomposed(error: Exception) -> CornetError:
    """Hydra's many lines as one sentence."""
    cause = error if str(error).strip() else error.__cause__ or error
    first = str(cause).split("Available options")[0].split("Search path")[0].split("Config search path")[0]
    return CornetError(
        f"The configuration cannot be composed: {' '.join(first.split()).rstrip('.')}; mend it."
    )
