"""`cornet report RUN...`, and its further pages: `sweep FOLDER`, `compare RUN...`, `tradeoff [RUN...]`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cornet.cli.shell import completion

__all__ = ["report"]


class DefaultToRun(TyperGroup):
    """A group that inserts the command `run` if the first word is not a command: cornet report RUN."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        folders = next(iter(self.commands["run"].params)).shell_complete(ctx, incomplete)
        return [*super().shell_complete(ctx, incomplete), *folders]


report = typer.Typer(
    cls=DefaultToRun,
    no_args_is_help=True,
    help="Write the report of a run, of several seeds, of a sweep, of runs and the published networks, or of accuracy "
    "against brain scores.\n\n"
    "cornet report RUN is short for cornet report run RUN.",
)


@report.command()
def run(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folders of runs, or folders that contain one run or several seeds.",
            autocompletion=completion.runs,
        ),
    ],
    together: Annotated[
        bool, typer.Option("--together", help="The runs differ only in their seed: write one page for all.")
    ] = False,
) -> None:
    """Write the report of a run: one page, report.html, that opens from disk.

    It shows the run's brain scores during training, their plots, learning curves, sample stimuli, configuration and
    versions. For an unfinished run it shows the results so far. For a folder with several seeds it prints a table and
    writes a page of means over seeds with their 95 % intervals and curves.

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
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The folder of a sweep: runs/<name>.", autocompletion=completion.runs
        ),
    ],
    base: Annotated[
        str | None,
        typer.Option(help="The variant to compare the others with: its number in the table, or its folder."),
    ] = None,
) -> None:
    """Compare the runs of a sweep: print a table, and write sweep.csv and the page sweep.html.

    It shows accuracy, brain scores and cost of every variant, with 95 % intervals over seeds; changes from the base
    variant as in figure 4 of the CORnet-S paper; which factors explain accuracy and each score; and scores against
    accuracy and cost, with the Pareto front. Unfinished runs are left out and counted.

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
        typer.Argument(
            metavar="RUN",
            help="Folders of runs, or folders with several seeds, which are all included.",
            autocompletion=completion.runs,
        ),
    ],
    target: Annotated[
        Path | None, typer.Option("--to", help="An .html file, or a folder for compare.html.")
    ] = None,
) -> None:
    """Compare runs with the 243 published networks of the CORnet-S paper on one page, compare.html.

    It plots ImageNet accuracy against Brain-Score with an inset above 70 %, depth, transfer to CIFAR-100,
    generalisation to new neurons, images and observers, and a run's training over the published one. A run is plotted
    only if its benchmarks are those of the paper; simulated benchmarks are never plotted beside them.

    Examples:

      cornet report compare runs/imagenet-cornet_s

      cornet report compare runs/a runs/b --to among.html
    """
    from cornet.report.published.report import compare_runs

    typer.echo(str(compare_runs(runs, target)))


@report.command()
def tradeoff(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders of runs, of several seeds, or of sweeps; none: the published networks.",
            autocompletion=completion.runs,
        ),
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option("--score", help="A brain score to show, repeatable; default: all.")
    ] = None,
    epochs: Annotated[
        bool,
        typer.Option("--epochs", help="A point for every epoch of a run, not only for its last evaluation."),
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Also the 243 published networks, in panels of their own.")
    ] = False,
    at: Annotated[
        float | None,
        typer.Option(
            "--break",
            help="An accuracy, such as .70: slopes below it and from it on. Default: .70 for the published networks, "
            "none for runs.",
        ),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--to", help="An .html file, or a folder for tradeoff.html.")
    ] = None,
) -> None:
    """Test whether brain scores rise or fall with accuracy: tradeoff.html and tradeoff.csv.

    Linsley et al. 2023 report that more accurate networks are worse models of IT, except harmonised ones. It prints
    the change of each score for 10 points more accuracy with a 95 % interval that draws whole variants, correlations,
    slopes on both sides of a break, and how far harmonised runs, which are left out of the fit, are above the line.

    Examples:

      cornet report tradeoff

      cornet report tradeoff runs/recurrence --epochs --score simulated.IT

      cornet report tradeoff runs/a runs/b runs/c --published --break .70
    """
    from cornet.report.tradeoff.report import report_tradeoff

    typer.echo(str(report_tradeoff(runs or (), score or (), epochs, published, at, target)))
