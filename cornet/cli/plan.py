"""`cornet plan OVERRIDES...`: estimate time and memory of a training."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.errors import CornetError

__all__ = ["plan"]


def plan(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="As for train.py: experiment=NAME, key=value.")
    ] = None,
) -> None:
    """Estimate the time and memory that a training needs, before it starts.

    It measures a few seconds of training on one device here and extrapolates to this machine, or to hardware that
    you describe: hardware.devices=8 hardware.cores=64 hardware.images_per_second=3000 (of one device).

    Examples:

      cornet plan experiment=tiny_s data.folder=/data/tiny

      cornet plan experiment=imagenet_s_fast data.folder=/data/imagenet hardware.devices=8
    """
    from hydra import compose, initialize_config_dir

    import cornet.training.sweeps.random_network  # noqa: F401 (resolves ${cornet.draw:...})
    from cornet.old_names import with_current_overrides
    from cornet.report.terminal_tables import print_plan
    from cornet.training.config_errors import config_error
    from cornet.training.plan import plan_training

    conf = Path(__file__).parents[2] / "conf"
    if not conf.is_dir():
        raise CornetError(
            f"the folder {conf} with train.py's configuration is missing; run this from a checkout of cornet."
        )
    overrides = with_current_overrides(overrides or [])
    try:
        with initialize_config_dir(str(conf), version_base="1.3"):
            config = compose("config", overrides)
    except Exception as error:
        raise config_error(error, conf, overrides) or error from None
    print_plan(plan_training(config))
