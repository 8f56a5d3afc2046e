"""What must be given or installed for the overrides of a command line."""

from collections.abc import Sequence
from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

from cornet.errors import CornetError
from cornet.runs.path import parse_overrides

__all__ = ["check_installed", "check_launcher", "check_missing"]


def check_missing(config: DictConfig) -> None:
    """Raises CornetError when a mandatory value (`???`) was not given, naming the key and how to give it."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        more = f" (and so have {', '.join(missing[1:])})" if missing[1:] else ""
        raise CornetError(
            f"{missing[0]} has no value yet{more}; give it on the command line: {missing[0]}=<value>."
        )


def check_launcher(overrides: Sequence[str]) -> None:
    """Raise CornetError where the overrides choose a launcher whose package is not installed."""
    chosen = {o.key_or_group: str(o.value()) for o in parse_overrides(overrides)}
    slurm = chosen.get("trainer") == "slurm"
    launcher = chosen.get("hydra/launcher", "slurm" if slurm else "")
    if launcher == "slurm" or launcher.startswith("submitit_"):
        given = "trainer=slurm" if slurm else f"hydra/launcher={launcher}"
        check_installed(given, "hydra-submitit-launcher", "slurm", "hydra_plugins.hydra_submitit_launcher")


def check_installed(given: str, package: str, extra: str, module: str = "") -> None:
    """Raise CornetError where `given` needs a package that is not installed. module: if not called as the package."""
    if find_spec(module or package) is None:
        raise CornetError(
            f"{given} needs the package {package}, which is not installed; add it with `pip install {package}` "
            f"(in a checkout: `uv sync --extra {extra}`)."
        )
