"""`cornet rerun RUN`: repeat a run from its recorded configuration and compare the results."""

from pathlib import Path
from typing import Annotated

import typer

from cornet.cli.shell import completion

__all__ = ["rerun"]


def rerun(
    folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a finished run.", autocompletion=completion.runs),
    ],
    target: Annotated[
        Path | None, typer.Option("--to", help="The new run's folder (default: seed0.rerun beside the run).")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Build any class that its configuration names; it can run any program."),
    ] = False,
) -> None:
    """Repeat a run from its recorded configuration, and report whether the results are equal.

    The run is trained again from its config.yaml with the same number of threads. Then the last weights, metrics.csv
    and scores.csv are compared bit for bit. If they differ, it prints by how much, and which versions, commit,
    hardware, threads or images differ. The exit status is 0 if all results are equal, else 1. To resume after a
    stop, repeat the command. On several ranks: torchrun --no-python --nproc-per-node=2 cornet rerun RUN.

    Examples:

      cornet rerun runs/objects-cornet_s

      cornet rerun runs/objects-cornet_s/seed0 --to again/seed0
    """
    import logging

    from cornet.report.run.page import find_run_folder
    from cornet.report.terminal_tables import print_rerun
    from cornet.training.rerun import rerun as repeat
    from cornet.training.stop_signals import Stopped

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        comparison = repeat(find_run_folder(folder), target, trust)
    except Stopped as stopped:
        typer.echo(f"\n{stopped}. Repeat the command to resume.", err=True)
        raise typer.Exit(stopped.code) from None
    if comparison is not None:
        print_rerun(comparison)
        raise typer.Exit(0 if comparison.same else 1)
