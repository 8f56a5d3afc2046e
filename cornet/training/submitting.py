"""What submitting jobs needs, checked before Hydra looks for it."""

from collections.abc import Sequence
from importlib.util import find_spec

from cornet.errors import CornetError
from cornet.training.overrides import parse_overrides

__all__ = ["check_launcher"]


def check_launcher(overrides: Sequence[str]) -> None:
    """Raise CornetError where the overrides choose a launcher whose package is not installed."""
    chosen = {o.key_or_group: str(o.value()) for o in parse_overrides(overrides)}
    launcher = chosen.get("hydra/launcher", "slurm" if chosen.get("trainer") == "slurm" else "")
    needs = launcher == "slurm" or launcher.startswith("submitit_")
    if needs and find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        given = "trainer=slurm" if chosen.get("trainer") == "slurm" else f"hydra/launcher={launcher}"
        raise CornetError(
            f"{given} needs the package hydra-submitit-launcher, which is not installed; add it with "
            "`pip install hydra-submitit-launcher` (in a checkout: `uv sync --extra slurm`)."
        )
