"""`cornet rerun RUN`: a run repeated from what it recorded."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["rerun"]


def rerun(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    target: Annotated[
        Path | None, typer.Option("--to", help="Where to; beside the run as seed0.rerun unless told.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Build whatever its configuration names: it can run any program.")
    ] = False,
) -> None:
    """Repeat a run from what it recorded, and say whether the result is the same.

    It is trained once more from its config.yaml, with as many threads; then the last weights, metrics.csv
    and scores.csv are compared bit for bit. Where they differ it says by how much, and which versions, commit,
    hardware, threads or images do. The exit status is 0 where all is the same, else 1. Stopped, the same
    command goes on. On several ranks: torchrun --no-python --nproc-per-node=2 cornet rerun RUN.

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
        done = repeat(find_run_folder(folder), target, trust)
    except Stopped as stopped:
        typer.echo(f"\n{stopped}. The same command goes on from where it was.", err=True)
        raise typer.Exit(stopped.code) from None
    if done is not None:
        print_rerun(done)
        raise typer.Exit(0 if done.same else 1)
