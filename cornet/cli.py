"""The `cornet` command."""

import dataclasses
import json
import os
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


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets, as --list names them.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the data sets, and where they lie.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A folder (for kar2019 a file) or another address that has the files."),
    ] = None,
    target: Annotated[str | None, typer.Option("--to", help="The folder to put the files in.")] = None,
) -> None:
    """Fetch public brain data, verified by their hashes.

    What broke off is continued by the same command. Of the environment variables,
    CORNET_DATA_URL names a mirror (an address or a folder) once for all, and
    CORNET_CACHE the folder below which the data are kept.

    Examples:

      cornet fetch --list

      cornet fetch majajhong2015 freemanziemba2013

      cornet fetch kar2019 --from ~/Downloads/dataset.h5
    """
    from cornet.brain.fetching import VARIABLE, data_folder, fetch
    from cornet.brain.public_data import PUBLIC, public_data

    if listed:
        print_public_data()
        return
    if not names:
        raise CornetError(f"no data set is named; name any of {', '.join(PUBLIC)}, or see --list.")
    if target and len(names) > 1:
        raise CornetError(
            f"--to takes one folder for one data set, not for {len(names)}; fetch them one by one."
        )
    status = 0
    for data in [public_data(name) for name in names]:
        path = data_folder(data, target) / data.files[0].name
        if data.by_hand and not (source or os.environ.get(VARIABLE) or path.exists()):
            typer.echo(data.by_hand.format(path=path), err=True)
            status = 2
        else:
            typer.echo(f"{data.name}: {fetch(data, source, target)}")
    raise typer.Exit(status)


def print_public_data() -> None:
    """Print the table of public data, and the papers to name."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from cornet.brain.fetching import whereabouts
    from cornet.brain.public_data import PUBLIC

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("name", no_wrap=True, style="bold")
    for heading in ("what it is", "content", "where it lies"):
        table.add_column(heading, overflow="fold")
    for data in PUBLIC.values():
        table.add_row(data.name, data.summary, data.content, whereabouts(data))
    console = Console(highlight=False)
    console.print(table)
    for data in PUBLIC.values():
        console.print(f"{data.name}: {data.citation}.")


def main() -> None:
    """Run the command; a mistake in what came in is one line and exit status 2."""
    try:
        app()
    except CornetError as error:
        print(f"cornet: {error}", file=sys.stderr)
        sys.exit(2)
