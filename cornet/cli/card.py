"""`cornet card RUN`: one printable page about a run, or several seeds, for a paper's supplement."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.cli.shell import completion

__all__ = ["card"]


def card(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="The folder of a run, or a folder with several seeds of one configuration.",
            autocompletion=completion.runs,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file to write (default: card.html or card.md in the folder).")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html or md (default: by the ending of --out, or html).",
            autocompletion=completion.card_formats,
        ),
    ] = None,
) -> None:
    """Write a card: all that a paper's supplement says about a run, on one printable page.

    Network with areas, steps and their milliseconds, images, recipe, hardware, versions, accuracy, brain scores with
    error, ceiling and number of stimuli, deviations, sentences for a methods section, and BibTeX. With several seeds:
    means and 95 % intervals. All of it comes from the run's folder; what is not recorded is called not recorded.

    Examples:

      cornet card runs/objects-cornet_s

      cornet card runs/mine --out card.md

    To print it: open card.html, and print it to A4.
    """
    from cornet.report.card.write import write_card

    typer.echo(str(write_card(run, out, form)))
