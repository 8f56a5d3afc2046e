"""What Hydra itself calls before a configuration comes to us, checked beforehand.

Of a composed configuration Hydra builds its callbacks, launcher and sweeper, sets up logging (which imports and calls
what its entries name), sets environment variables, imports the packages of a search path, and unpickles at
`--experimental-rerun`. So `train.py` first composes all that the command line leads to, and looks at it; the same is
looked at again, part by part, where it is built.
"""

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep
from omegaconf import DictConfig, OmegaConf

from cornet.errors import CornetError
from cornet.training.command_line import Command, arguments_of, composed
from cornet.training.trusted import check_name, check_trusted, own_names, targets, trusted_file

__all__ = ["check_command", "check_flags", "check_hydra"]

PLUGINS = frozenset(
    {
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra_plugins.cornet_slurm.MissingOnSlurm",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    }
)
"""Hydra's launchers and sweepers."""

LOGGING = frozenset(
    {
        "colorlog.ColoredFormatter",
        "logging.Formatter",
        "logging.NullHandler",
        "logging.StreamHandler",
        "sys.stderr",
        "sys.stdout",
    }
)
"""What the set-up of logging may name. Files only where they end in .log (`without_logs`), as Hydra's own: with a
format of its own a line of a log can be anything, such as a command at the end of a shell's profile."""

LAUNCHER_KEYS = frozenset(
    {
        *(
            "_target_",
            "submitit_folder",
            "timeout_min",
            "cpus_per_task",
            "gpus_per_node",
            "tasks_per_node",
            "mem_gb",
        ),
        *(
            "nodes",
            "name",
            "stderr_to_stdout",
            "partition",
            "qos",
            "comment",
            "constraint",
            "exclude",
            "gres",
        ),
        *("cpus_per_gpu", "gpus_per_task", "mem_per_gpu", "mem_per_cpu", "account", "signal_delay_s"),
        *("max_num_timeout", "array_parallelism"),
    }
)
"""What a launcher may be told. Others, as `setup`, are commands for a job's shell; a user may trust them by name."""

_CALLED = frozenset({"_target_", "()", "class"})
_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_DEEPEST = 20


def check_flags(argv: Sequence[str]) -> None:
    """Raise CornetError for flags of Hydra's that unpickle."""
    if arguments_of(argv).experimental_rerun is not None:
        raise CornetError(
            "--experimental-rerun would unpickle a file, which can run any program; to repeat a run give its "
            "overrides again."
        )


def check_command(
    argv: Sequence[str], config_dir: Path, config_name: str = "config", task: str = "train"
) -> None:
    """Raise CornetError where the configuration of a command line names what it may not call.

    The arguments are those of `cornet.training.command_line.composed`. In a sweep every choice of files is looked at.
    """
    with composed(argv, config_dir, config_name, task) as command:
        check_composed(command.base, command.arguments.overrides)
        for job in jobs_of(command):
            check_composed(command.run(job), job)


def check_composed(config: DictConfig, given: Sequence[str]) -> None:
    """Raise CornetError for anything in a composed configuration that may not be called. given: its overrides."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    told = raw["hydra"]["overrides"]
    if sorted([*told["hydra"], *told["task"]]) != sorted(given):
        raise CornetError(
            "hydra.overrides is set by a configuration, which would add to the command line; leave it out there."
        )
    check_hydra(raw)
    check_trusted(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))


def check_hydra(raw: Mapping[str, Any]) -> None:
    """Raise CornetError for anything in the part `hydra` that may not be called.

    raw: the whole configuration, its references not followed. In what Hydra calls they must be plain, to another key
    (${root}) or to a variable (${oc.env:NAME}): what they come to can then not change after it was looked at.
    """
    own, hydra = own_names(), raw.get("hydra") or {}
    for part in ("callbacks", "launcher", "sweeper"):
        content = settled(hydra.get(part), raw, f"hydra.{part}")
        for key, name in targets(content, f"hydra.{part}"):
            check_name(name, key, own if part == "callbacks" else PLUGINS | own)
        if part == "launcher":
            check_launcher_values(content or {}, own)
        if part == "sweeper":
            check_sweeper_values(content or {})
    for part in ("hydra_logging", "job_logging"):
        content = without_logs(settled(hydra.get(part), raw, f"hydra.{part}"))
        for key, name in targets(content, f"hydra.{part}", _CALLED):
            check_name(name, key, LOGGING | own)
        for key, name in imported(content, f"hydra.{part}"):
            check_name(name, key, LOGGING | own)
    job = hydra.get("job") or {}
    copied = job.get("env_copy") or []
    check_granted(
        "hydra.job.env_set", set(job.get("env_set") or ()) - set(copied), own, "can make programs run others"
    )
    mode = (hydra.get("sweep") or {}).get("mode")
    check_granted("hydra.sweep.mode", mode, own, "would change a folder's permissions")


def check_launcher_values(launcher: Mapping[str, Any], own: frozenset[str]) -> None:
    for key in sorted(set(launcher) - LAUNCHER_KEYS):
        check_granted(f"hydra.launcher.{key}", launcher[key], own, "goes into the script of a job")
    for key, value in launcher.items():
        if f"hydra.launcher.{key}" not in own and re.search(r"[\r\n]", str(value)):
            raise CornetError(
                f"hydra.launcher.{key} has several lines, which a job's script would run; give one."
            )


def check_sweeper_values(sweeper: Mapping[str, Any]) -> None:
    for key in sweeper.get("params") or {}:
        if "hydra" in str(key):
            raise CornetError(f"hydra.sweeper.params sweeps over {key}; Hydra's own keys are not swept over.")


def check_granted(key: str, value: Any, own: frozenset[str], why: str) -> None:
    """Raise CornetError where a key has a value and the user has not put the key's name among their own."""
    if value and key not in own:
        raise CornetError(
            f"{key} {why}, so a configuration may not set it; add the line {key} to {trusted_file()}."
        )


def without_logs(logging: Any) -> Any:
    """The set-up of logging without the handlers that append to a file *.log."""
    handlers = logging.get("handlers") if isinstance(logging, Mapping) else None
    if not isinstance(handlers, Mapping):
        return logging
    kept = {}
    for name, handler in handlers.items():
        about = handler if isinstance(handler, Mapping) else {}
        plain = set(about) <= {"class", "filename", "formatter", "level", "delay", "encoding"}
        appends = about.get("class") == "logging.FileHandler" and str(about.get("filename")).endswith(".log")
        if not (plain and appends):
            kept[name] = handler
    return {**logging, "handlers": kept}


def imported(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Names that logging imports by a string: ext://sys.stdout; cfg://... is followed to what may be anything."""
    if isinstance(node, str):
        if found := re.match(r"\s*(ext|cfg)://(.*)", node, re.DOTALL):
            yield key, found[2] if found[1] == "ext" else node
    elif isinstance(node, Mapping):
        for name, value in node.items():
            if name == ".":  # attributes that are set on what was made
                yield f"{key}.{name}", name
            yield from imported(value, f"{key}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from imported(value, f"{key}[{index}]")


def settled(value: Any, raw: Mapping[str, Any], key: str, depth: int = 0) -> Any:
    """A value of the raw configuration with its references followed, as it will be whenever Hydra looks at it.

    Raises CornetError for a reference that is not plain.
    """
    if isinstance(value, Mapping):
        return {name: settled(one, raw, f"{key}.{name}", depth) for name, one in value.items()}
    if isinstance(value, list):
        return [settled(one, raw, f"{key}[{index}]", depth) for index, one in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    refused = CornetError(
        f"{key}={value} refers to what may change before Hydra uses it; write it out, or refer to a key or a variable: "
        "${root}, ${oc.env:NAME}."
    )
    if "\\" in value or depth > _DEEPEST:
        raise refused

    def follow(reference: str) -> Any:
        resolver, _, name = reference.partition(":")
        if resolver == "oc.env" and name in os.environ:
            return os.environ[name]
        node: Any = raw
        for part in reference.split(".") if _PATH.fullmatch(reference) else [""]:
            if not isinstance(node, Mapping) or part not in node:
                raise refused
            node = node[part]
        return settled(node, raw, key, depth + 1)

    if whole := _REFERENCE.fullmatch(value):
        found = follow(whole[1])
        if found == "???":
            raise refused
        return found
    text = _REFERENCE.sub(lambda one: str(follow(one[1])), value)
    if "${" in _REFERENCE.sub("", value):
        raise refused
    return text


def jobs_of(command: Command) -> Iterator[list[str]]:
    """The overrides of jobs, so that every choice of files in a sweep is met; of swept values the first stands."""
    overrides = command.overrides()
    if not any(one.is_sweep_override() for one in overrides) and not command.params:
        return
    options = []
    for override in overrides:
        line, value = override.input_line or "", override.value()
        if not override.is_sweep_override():
            options.append([line])
        elif isinstance(value, IntervalSweep):
            options.append([f"{override.get_key_element()}={value.start}"])
        else:
            each = [f"{override.get_key_element()}={one}" for one in override.sweep_string_iterator()]
            options.append(each if command.loader.get_group_options(override.key_or_group) else each[:1])
    for chosen in itertools.product(*options):
        yield [*command.base.hydra.overrides.hydra, *chosen]
