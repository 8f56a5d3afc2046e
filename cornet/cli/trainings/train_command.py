"""`cornet train OVERRIDES...`: train a network, as train.py does in a checkout."""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cornet.cli.program import begin_train, conf_folder
from cornet.cli.shell import completion

__all__ = ["WordsForHydra", "train"]


OPTIONS = (
    "--cfg",
    "--config-dir",
    "--help",
    "--hydra-help",
    "--info",
    "--multirun",
    "--resolve",
    "--shell-completion",
)
"""Options of Hydra that a shell offers; --hydra-help lists all."""


class WordsForHydra(TyperCommand):
    """A command that leaves all its words to Hydra, options and --help too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Offer Hydra's options; the overrides are completed by the argument of `train`."""
        help_option = super().shell_complete(ctx, "--help")
        return [type(item)(word) for item in help_option for word in OPTIONS if word.startswith(incomplete)]


def train(
    context: typer.Context,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[OVERRIDE]...", autocompletion=completion.overrides)
    ] = None,
) -> None:
    """Train a network: all words are Hydra's, as of train.py in a checkout (cornet train --help lists the choices).

    Examples:

      cornet train

      cornet train data=imagefolder data.folder=/data/mine model=cornet_rt recipe=fast

      cornet train -m seed=0,1,2

      cornet train --config-dir conf experiment=mine
    """
    import hydra
    from hydra._internal.utils import get_args_parser

    from cornet.cli.trainings.train import start, train_one

    conf = conf_folder()

    def application() -> None:
        path = get_args_parser().parse_args().config_path
        if path is not None and "://" not in path:  # in the current folder; Hydra would search the package
            sys.argv.append(f"--config-path={os.path.abspath(path)}")
        hydra.main(config_path=str(conf), config_name="config", version_base="1.3")(train_one)()

    begin_train(context.args)
    start(application, conf)
