"""`cornet report RUN...`, `cornet report sweep FOLDER`, `cornet report compare RUN...`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["report"]


class RunUnlessNamed(TyperGroup):
    """A group whose first word is the command `run` where it is none of the commands: cornet report RUN."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


report = typer.Typer(
    cls=RunUnlessNamed,
    no_args_is_help=True,
    help="Write the report of a run, of several seeds, of a sweep, or of runs among the published networks.\n\n"
    "cornet report RUN is short for cornet report run RUN.",
)


@report.command()
def run(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of runs, or with one run or several seeds of one below."),
    ],
    together: Annotated[
        bool, typer.Option("--together", help="The runs named differ in their seed alone: one page of them.")
    ] = False,
) -> None:
    """Write the report of a run: one page, report.html, that opens from disk.

    It holds the run's brain scores while it was trained, their plots, the learning curves, sample stimuli, the
    configuration and versions; a run that still goes on is shown as far as it is. Of a folder that holds several
    seeds it prints and writes the means over seeds, with their 95 % intervals and curves.

    Examples:

      cornet report runs/objects-cornet_s

      cornet report runs/a/seed0 runs/a/seed1

      cornet report --together here/seed0 there/seed1
    """
    from cornet.report.seeds.report import report_runs

    for path in report_runs(runs, together):
        typer.echo(str(path))


@report.command()
def sweep(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Holds the runs of a sweep: runs/<name>.")],
    base: Annotated[
        str | None,
        typer.Option(
            help="The variant that others are compared with: its number in the table, or its folder."
        ),
    ] = None,
) -> None:
    """Lay the runs of a sweep side by side: a table, sweep.csv, and the page sweep.html.

    Accuracy, brain scores and cost of every variant, with 95 % intervals over seeds; changes against the base variant
    as in figure 4 of the CORnet-S paper; which factor explains accuracy and each score; scores against accuracy and
    cost, with the Pareto front. Runs that are not finished are left out and counted.

    Examples:

      cornet report sweep runs/objects-cornet_s

      cornet report sweep runs/recurrence --base 3
    """
    from cornet.report.sweep.report import report_sweep

    typer.echo(str(report_sweep(folder, base)))


@report.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of runs, or of several seeds, all of which are taken."),
    ],
    target: Annotated[
        Path | None, typer.Option("--to", help="A file .html, or a folder for compare.html.")
    ] = None,
) -> None:
    """Draw runs among the 243 published networks of the CORnet-S paper: one page, compare.html.

    ImageNet accuracy against Brain-Score with its inset above 70 %, depth, transfer to CIFAR-100, generalisation to new
    neurons, images and observers, and a run's course of training over the published one. A run has a place where its
    benchmarks are those of the paper; simulated ones are never put beside them.

    Examples:

      cornet report compare runs/imagenet-cornet_s

      cornet report compare runs/a runs/b --to among.html
    """
    from cornet.report.published.report import compare_runs

    typer.echo(str(compare_runs(runs, target)))
