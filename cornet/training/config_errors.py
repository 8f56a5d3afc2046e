"""Report errors in a configuration in one sentence: those of Hydra, missing values, and missing packages."""

import contextlib
import difflib
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError, own_error
from cornet.files import file_error
from cornet.runs.path import parse_overrides

__all__ = ["check_installed", "check_missing", "config_error", "did_you_mean", "near"]

READERS = ("hydra", "omegaconf", "yaml", "antlr4")
"""Packages that read a configuration: an error that they raise is an error in the configuration."""
UNKNOWN = re.compile(r"(?:override|delete|delete from config\.|config group) '([^']+)'")
"""Finds an unknown key or group in a message of Hydra."""

EMPTY = re.compile(r"Missing mandatory value: ([\w.]+)")
OWN_GROUPS = ("model", "task", "data")
"""Groups of the configuration with a choice `own`."""

EXISTS = re.compile(r"An item is already at '([^']+)'")


def config_error(error: Exception, conf: Path, argv: Sequence[str]) -> CornetError | None:
    """Return a CornetError if the user's input caused the error, else None.

    conf: the folder of the configuration. argv: the command line without the program. The message begins with the
    notes of the error, such as the label of a sweep's run.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = str(frame.f_globals.get("__name__")).partition(".")[0]
    if isinstance(error, CornetError):
        found = error
    elif isinstance(error, OSError) and not isinstance(error, HydraException):
        found = file_error(error)
    elif isinstance(error, HydraException | OmegaConfBaseException) or module in READERS:
        try:
            found = own_error(error) or explain(error, conf, argv)
        except CornetError as explained:
            found = explained
    else:
        return None
    return CornetError(": ".join([*getattr(error, "__notes__", []), str(found)]))


def explain(error: Exception, conf: Path, argv: Sequence[str]) -> CornetError:
    """Return an error of Hydra as one sentence, with similar names or choices. It may also raise a CornetError."""
    text = str(error if str(error).strip() else error.__cause__ or error)
    text = " ".join(re.split("Available options|(?:Config s|S)earch path", text)[0].split()).rstrip(".")
    if isinstance(error, OverrideParseException):
        parse_overrides([error.override])
    arguments = get_args_parser().parse_args(list(argv))
    overrides, name = arguments.overrides, arguments.config_name or "config"
    folders = create_config_search_path(str(conf.parent / (arguments.config_path or conf)))
    if arguments.config_dir is not None:
        folders.prepend("command-line", f"file://{os.path.abspath(arguments.config_dir)}")
    loader = ConfigLoaderImpl(folders)
    if missing := getattr(error, "missing_cfg_file", None):
        if missing.startswith("hydra/launcher/submitit_"):
            plugin = "hydra_plugins.hydra_submitit_launcher"
            check_installed(missing, "hydra-submitit-launcher", "slurm", plugin)
        group, _, choice = missing.rpartition("/")
        options = loader.get_group_options(group, config_name=name, overrides=overrides) if group else []
        choices = f" Choices: {', '.join(options)}." if options else ""
        return CornetError(f"{text}{did_you_mean(near(choice, options))}{choices}")
    if "--multirun" in text:  # the cause may be another error
        try:
            loader.load_configuration(name, overrides, RunMode.MULTIRUN)
        except Exception as other:
            return explain(other, conf, argv)
    if twice := EXISTS.search(text):
        return CornetError(f"{twice[1]} is added with +, but exists already; give it once, as {twice[1]}=...")
    if empty := EMPTY.search(text):
        return CornetError(f"{empty[1]} has no value yet; give it on the command line: {example(empty[1])}.")
    if unknown := UNKNOWN.search(text):
        key = max(unknown[1], getattr(error.__cause__, "full_key", None) or "", key=len)  # model={tims: 3}
        rest = [one for one in overrides if one.lstrip("+~").partition("=")[0] != unknown[1]]
        if about_own := own_part(key, overrides):
            return CornetError(about_own)
        close = near(key, names(loader, name, rest, key) or names(loader, name, [], key))
        if close and key not in close:
            return CornetError(f"there is no {key}{did_you_mean(close)}")
    return CornetError(f"The configuration cannot be composed: {text}.")


def example(key: str) -> str:
    """Return an override that gives a value to a key."""
    return (
        "monitor=val/mine, the metric that chooses the best checkpoint"
        if key == "monitor"
        else f"{key}=<value>"
    )


def own_part(key: str, overrides: Sequence[str]) -> str:
    """Return what is wrong with an unknown key of a network, task or data set of the user's own; "": it is not one."""
    group, _, rest = key.partition(".")
    if group not in OWN_GROUPS or not rest:
        return ""
    if rest == "_target_":
        return f"there is no {key} in the chosen {group}; choose {group}=own as well, which takes a class of your own."
    if any(one.startswith((f"{group}=own", f"{group}._target_=")) for one in overrides):
        return f"there is no {key} yet; +{key}=<value> gives your own class this argument."
    return ""


def names(loader: ConfigLoaderImpl, name: str, overrides: list[str], key: str) -> list[str]:
    """Return groups and dotted keys of a composed configuration: those of Hydra, or the others, as `key` is."""
    with contextlib.suppress(Exception):  # the overrides may contain another error
        config = loader.load_configuration(name, overrides, RunMode.MULTIRUN, validate_sweep_overrides=False)
        found = [*dotted(OmegaConf.to_container(config)), *config.hydra.runtime.choices]
        return [one for one in found if one.startswith("hydra") == key.startswith("hydra")]
    return []


def dotted(node: Any, above: str = "") -> Iterator[str]:
    """Yield the dotted names of all keys."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{above}{key}"
        yield from dotted(value, f"{above}{key}.")


def near(word: str, candidates: Iterable[str]) -> list[str]:
    """Return up to three names that are most similar to `word`, by their last part, then as a whole; initials match."""

    def likeness(name: str) -> float:
        last, other = (re.split(r"[./]", text)[-1].lower() for text in (word, name))
        is_short = len(last) > 1 and last == "".join(part[:1] for part in other.split("_"))
        is_part = len(last) > 2 and last in other
        return (0.9 if is_short else ratio(last, other)) + 0.3 * (ratio(word.lower(), name.lower()) + is_part)

    def ratio(one: str, other: str) -> float:
        return difflib.SequenceMatcher(None, one, other).ratio()

    scored = sorted(((likeness(one), one) for one in set(candidates)), key=lambda pair: (-pair[0], pair[1]))
    return [name for score, name in scored if score >= max(0.8, scored[0][0] - 0.15)][:3]


def did_you_mean(names: Sequence[str]) -> str:
    """Return the end of a sentence that names similar names, if there are any."""
    return f"; did you mean {' or '.join(names)}?" if names else "."


def check_missing(config: DictConfig) -> None:
    """Raise CornetError if a required value (`???`) is missing; it names the key and how to give it."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        more = f" (nor have {', '.join(missing[1:])})" if missing[1:] else ""
        raise CornetError(
            f"{missing[0]} has no value yet{more}; give it on the command line: {missing[0]}=<value>."
        )


def check_installed(given: str, package: str, extra: str, module: str = "") -> None:
    """Raise CornetError if `given` needs a package that is not installed.

    module: its import name, if different from the package's. extra: the extra of cornet that includes it.
    """
    if find_spec(module or package) is None:
        raise CornetError(
            f"{given} needs the package {package}, which is not installed; install it with `pip install "
            f"'cornet-ventral[{extra}]'` (in a checkout: `uv sync --extra {extra}`)."
        )
