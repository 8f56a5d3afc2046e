"""Check that required values are given and optional packages installed."""

from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

from cornet.errors import CornetError

__all__ = ["check_installed", "check_missing"]


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
            f"{given} needs the package {package}, which is not installed; add it with `pip install {package}` "
            f"(in a checkout: `uv sync --extra {extra}`)."
        )
