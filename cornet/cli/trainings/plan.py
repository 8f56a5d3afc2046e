"""`cornet plan OVERRIDES...`: estimate time and memory of a training."""

import os
from typing import Annotated

import typer

from cornet.errors import CornetError

__all__ = ["plan"]


def plan(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="As for a training: experiment=NAME, key=value.")
    ] = None,
    config_dir: Annotated[
        str | None, typer.Option(help="A folder with configuration files of your own.")
    ] = None,
) -> None:
    """Estimate the time and memory that a training needs, before it starts.

    It measures a few seconds of training on one device here and extrapolates to this machine, or to hardware that
    you describe: hardware.devices=8 hardware.cores=64 hardware.images_per_second=3000 (of one device).

    Examples:

      cornet plan experiment=tiny_s data.folder=/data/tiny

      cornet plan experiment=imagenet_s_fast data.folder=/data/imagenet hardware.devices=8

      cornet plan --config-dir conf experiment=mine
    """
    from hydra import compose, initialize_config_dir

    import cornet.training.sweeps.random_network  # noqa: F401 (resolves ${cornet.draw:...})
    from cornet.cli.program import conf_folder
    from cornet.instantiate import find_own_modules
    from cornet.old_names import with_current_overrides
    from cornet.report.terminal_tables import print_plan
    from cornet.training.config_errors import config_error
    from cornet.training.plan import plan_training

    find_own_modules()
    conf, overrides, own = conf_folder(), with_current_overrides(overrides or []), []
    if config_dir is not None:
        if not os.path.isdir(config_dir):
            raise CornetError(
                f"--config-dir {config_dir} is not a folder; give one with configuration files."
            )
        address = f"file://{os.path.abspath(config_dir)}".replace("'", r"\'")
        own = [f"hydra.searchpath=['{address}']"]
    try:
        with initialize_config_dir(str(conf), version_base="1.3"):
            config = compose("config", [*own, *overrides])
    except Exception as error:
        given = [] if config_dir is None else [f"--config-dir={config_dir}"]
        raise config_error(error, conf, [*given, *overrides]) or error from None
    print_plan(plan_training(config))
