"""What came of a run that was repeated, in a few lines."""

from rich.table import Table

from cornet.terminal import Terminal, cell
from cornet.training.rerun import Rerun

__all__ = ["print_rerun"]


def print_rerun(done: Rerun) -> None:
    """Print whether both came to the same, and what they were made with where that differs."""
    console = Terminal()
    console.print(f"{cell(done.first)}\nand again in {cell(done.second)}", soft_wrap=True, highlight=False)
    table = Table(show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for one in done.results:
        table.add_row(one.what, one.told if one.same else f"differ: {one.told}")
    console.print(table)
    for key, (then, now) in done.made_with.items():
        console.print(cell(f"  other {key}: {then} then, {now} now"), highlight=False, soft_wrap=True)
    console.print(verdict(done), soft_wrap=True, highlight=False)


def verdict(done: Rerun) -> str:
    """The outcome in a sentence."""
    same = "The result is the same, bit for bit" if done.same else "The result is not the same"
    if done.made_with:
        return f"{same}; the two were made with other {', '.join(done.made_with)}."
    if done.same:
        return f"{same}, with the same versions, commit, hardware, threads and images."
    return (
        f"{same}, although versions, commit, hardware, threads and images are; on a GPU deterministic=true makes "
        "runs the same, and on a CPU they should be without."
    )
