"""`cornet doctor`: check the installation and the machine, with a remedy for what is wrong."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cornet.cli.health.check import Check

__all__ = ["doctor"]

COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    root: Annotated[Path, typer.Option(help="The folder of runs, as root=... of a training.")] = Path("runs"),
) -> None:
    """Check what a training needs: packages, GPU, cores, memory, disks, caches, data, compiler.

    Each line is ok, a note (it works, but slower or with less) or a problem, with a remedy. The exit status is 1 if a
    problem stops training. Nothing is sent or fetched, and credentials are never shown.

    Examples:

      cornet doctor

      cornet doctor --root /scratch/runs --json
    """
    from cornet.cli.health.check import PROBLEM, run_checks
    from cornet.cli.health.data import brain_data, credentials
    from cornet.cli.health.machine import compiler, cores, memory, open_files, shared_memory
    from cornet.cli.health.packages import configuration, dependencies, python_and_cornet
    from cornet.cli.health.storage import caches, runs_folder
    from cornet.cli.health.torch_state import gpus, imports

    checks = run_checks(
        [
            *(python_and_cornet, configuration, dependencies, imports, gpus, compiler),
            *(cores, memory, shared_memory, open_files, runs_folder(root), caches, brain_data, credentials),
        ]
    )
    problems = [one for one in checks if one.state == PROBLEM]
    if as_json:
        typer.echo(json.dumps({"ok": not problems, "checks": [one.as_dict() for one in checks]}, indent=2))
    else:
        show(checks)
    raise typer.Exit(1 if problems else 0)


def show(checks: "list[Check]") -> None:
    """Print a line for each check, with its remedy, and a summary."""
    from rich.table import Table

    from cornet.terminal import Terminal, cell

    console = Terminal(highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=max(len(cell(one.name)) for one in checks))
    table.add_column(overflow="fold")
    for one in checks:
        remedy = f"\n-> {cell(one.remedy)}" if one.remedy else ""
        table.add_row(f"[{COLOURS[one.state]}]{one.state}[/]", cell(one.name), f"{cell(one.text)}{remedy}")
    console.print(table)
    counts = {state: sum(one.state == state for one in checks) for state in ("problem", "note")}
    problems, notes = (f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
    end = (
        "a training can start."
        if not counts["problem"]
        else "a training cannot start, or leaves a GPU unused."
    )
    console.print(f"\n{problems}, {notes}: {end}", soft_wrap=True)
    sys.stdout.flush()
