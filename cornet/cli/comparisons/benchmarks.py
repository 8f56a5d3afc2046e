"""`cornet benchmarks`: list the benchmarks, or which of the reference's neural benchmarks can be run."""

import json
from typing import Annotated

import typer

__all__ = ["benchmarks"]


def benchmarks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    covered: Annotated[
        bool,
        typer.Option("--coverage", help="List the neural benchmarks of Brain-Score and how to run them."),
    ] = False,
) -> None:
    """List the benchmarks: region, data, splits, time bin, visual degrees, scale; and the metrics.

    Examples:

      cornet benchmarks

      cornet benchmarks --coverage
    """
    from cornet.brain.benchmarks import GROUPS, list_benchmarks
    from cornet.brain.benchmarks.coverage import coverage
    from cornet.brain.metrics.neural.registry import list_metrics, neural_metric

    if covered:
        from cornet.report.terminal_tables import print_coverage

        if as_json:
            typer.echo(json.dumps(coverage(), indent=2))
        else:
            print_coverage()
        return
    rows = list_benchmarks()
    if not as_json:
        from cornet.report.terminal_tables import print_benchmarks

        print_benchmarks(rows, GROUPS)
        typer.echo("Metrics of benchmarks with neurons (cornet score --metric, brain.metric):")
        for name in list_metrics():
            typer.echo(f"  {name}: {neural_metric(name).summary}")
        typer.echo("Which of Brain-Score's can be run, and how: cornet benchmarks --coverage")
        return
    fields = {name: name for name in ("name", "version", "region")} | {"what": "description"}
    fields |= {name: name for name in ("simulated", "time_bin", "degrees", "split_rule", "scale")}
    typer.echo(
        json.dumps([{key: getattr(row, field) for key, field in fields.items()} for row in rows], indent=2)
    )
