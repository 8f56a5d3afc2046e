"""The `cornet` command."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cornet.errors import CornetError

if TYPE_CHECKING:
    from cornet.models import ModelSummary

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent models of the primate ventral stream, trained and compared with brains.",
)


def show_version(wanted: bool) -> None:
    if wanted:
        import cornet

        typer.echo(f"cornet {cornet.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    size: Annotated[int, typer.Option(help="Pixels a side of the images that MACs are counted for.")] = 224,
    width: Annotated[float, typer.Option(help="Multiplies the channels of every area.")] = 1.0,
    classes: Annotated[int, typer.Option(help="Outputs of the decoder.")] = 1000,
) -> None:
    """List the networks: parameters, multiply-adds per image (MACs), steps, published accuracy.

    Examples:

      cornet models

      cornet models --size 64 --width 0.25 --classes 10

      cornet models --json
    """
    from cornet.models import describe, list_models

    rows = [describe(name, size=size, width=width, num_classes=classes) for name in list_models()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    print_models(rows)


def print_models(rows: "list[ModelSummary]") -> None:
    """Print the table of networks, and what its columns mean."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True, style="bold")
    table.add_column("what it is")
    for heading in ("parameters", "MACs", "steps", "top-1"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            row.summary,
            f"{row.parameters:,}",
            f"{row.macs / 1e9:.3f} G" if row.macs >= 1e8 else f"{row.macs / 1e6:.3f} M",
            "/".join(str(steps) for steps in row.steps.values()),
            "-" if row.top1 is None else f"{row.top1:.1%}",
        )
    console = Console(highlight=False)
    console.print(table)
    size = rows[0].size
    console.print(f"MACs: multiply-adds per image of {size} x {size}. Steps: of {', '.join(rows[0].steps)}.")
    console.print("Top-1: on ImageNet, as published and for the networks as published.")
    for row in rows:
        if row.top1_note:
            console.print(f"  {row.name}: {row.top1_note}.")
    papers = {
        paper: [row.name for row in rows if row.paper == paper] for paper in (row.paper for row in rows)
    }
    for paper, names in papers.items():
        console.print(f"{', '.join(names)}: {paper}.")


def main() -> None:
    """Run the command; a mistake in what came in is one line and exit status 2."""
    try:
        app()
    except CornetError as error:
        print(f"cornet: {error}", file=sys.stderr)
        sys.exit(2)
