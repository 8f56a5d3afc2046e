"""Assemble the `cornet` command from its subcommands."""

import os
import sys
from typing import Annotated

import typer

from cornet.cli.card import card
from cornet.cli.comparisons.benchmarks import benchmarks
from cornet.cli.comparisons.convert import convert
from cornet.cli.comparisons.fetch import fetch
from cornet.cli.comparisons.generalise import generalise
from cornet.cli.comparisons.layers import layers
from cornet.cli.comparisons.neuron import neuron
from cornet.cli.comparisons.score import SeveralValues, score
from cornet.cli.comparisons.transfer import transfer
from cornet.cli.doctor import doctor
from cornet.cli.export import export
from cornet.cli.images.drive import SeveralNeuroids, drive
from cornet.cli.images.look import look
from cornet.cli.images.metamers import SeveralImages, metamers
from cornet.cli.models import models
from cornet.cli.report import report
from cornet.cli.trainings.init import init
from cornet.cli.trainings.plan import plan
from cornet.cli.trainings.prepare import prepare
from cornet.cli.trainings.rerun import rerun
from cornet.cli.trainings.train_command import WordsForHydra, train
from cornet.compiled import keep_compiled_code
from cornet.errors import CornetError
from cornet.files import file_error

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent models of the primate ventral stream, trained and compared with brains.",
)
app.command(cls=WordsForHydra)(train)
app.command()(init)
app.command()(models)
app.command()(fetch)
app.command()(convert)
app.command()(benchmarks)
app.command(cls=SeveralValues)(score)
app.command()(layers)
app.command()(transfer)
app.command(cls=SeveralValues)(generalise)
app.command(cls=SeveralValues)(neuron)
app.command(cls=SeveralNeuroids)(drive)
app.command(cls=SeveralImages)(metamers)
app.command(cls=SeveralImages)(look)
app.command()(prepare)
app.command()(plan)
app.command()(export)
app.add_typer(report, name="report")
app.command()(card)
app.command()(doctor)
app.command()(export)
app.command()(rerun)


def show_version(requested: bool) -> None:
    if requested:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        import cornet

        try:
            torch = version("torch")
        except PackageNotFoundError:
            torch = "missing"
        typer.echo(f"cornet {cornet.__version__} (PyTorch {torch}, Python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command. Invalid input prints one line and exits with status 2."""
    if "_CORNET_COMPLETE" not in os.environ:  # for a key press in a shell, importing rich takes too long
        from cornet.terminal import steady_streams

        steady_streams()
        keep_compiled_code()
    # The words of `python -m cornet` cannot be completed, but it can write the script for cornet.
    scripts = any(word.endswith("-completion") for word in sys.argv[1:2])
    try:
        app(prog_name="cornet" if scripts else None)
    except (CornetError, OSError) as error:
        message = str(file_error(error) if isinstance(error, OSError) else error)
        from cornet.training.secrets import message_without_secrets

        print(f"cornet: {message_without_secrets(message)}", file=sys.stderr)
        sys.exit(2)
