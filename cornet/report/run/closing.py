"""What a finished run says: a table, where everything was written, and what to try next."""

from pathlib import Path
from typing import Any

from cornet.errors import CornetError, printable
from cornet.report.curves import plot_curves
from cornet.report.run.data import read_curves
from cornet.report.terminal_tables import facts_table
from cornet.terminal import Terminal, cell

__all__ = ["close", "print_summary"]

SUMMARY: dict[str, Any] = {
    "network": str,
    "data": str,
    "parameters": int,
    "steps": list,
    "train_images": int,
    "val_images": int,
    "epochs": int,
    "images_per_second": int | float | None,
    "best": int | float,
    "best_epoch": int | float,
    "chance": int | float,
    "last": dict,
    "bad_files": bool,
}
"""What is printed of a finished run, with its type."""


def close(folder: Path, summary: dict[str, Any], already: bool = False, brief: bool = False) -> float:
    """Draw the run's curves, print its table, and return the monitored value at its best.

    already: it had been finished before. brief: of many runs, for which a line each is enough. Raises CornetError for a
    record of a finished run that is not whole.
    """
    if already:
        check_summary(folder, summary)
    title = f"{summary['network']} on {summary['data']}"
    try:
        metrics = read_curves(folder)
        if metrics is not None:
            plot_curves({summary["network"]: metrics}, folder / "curves.png", summary["chance"], title)
        if (folder / "scores.csv").exists():
            from cornet.report.run.page import write_page

            write_page(folder)
    except Exception as error:  # of any kind: the numbers are safe, and `cornet report` can draw them later
        print(f"The report could not be written: {error}")
    if brief:
        print(printable(line_of(summary, folder)))
    else:
        print_summary(summary, folder, already)
    return float(summary["best"])


def check_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Raise CornetError unless finished.json holds what is printed of it."""
    told = set(SUMMARY) - {name for name, kind in SUMMARY.items() if isinstance(summary.get(name), kind)}
    numbers, texts = ("best", "best_epoch"), ("monitor",)
    told |= {name for name, value in summary.items() if name.endswith(numbers) and not is_number(value)}
    told |= {name for name, value in summary.items() if name.endswith(texts) and not isinstance(value, str)}
    last = summary.get("last")
    if told or not (isinstance(last, dict) and all(map(is_number, last.values()))):
        name = min(told, default="last")
        raise CornetError(
            f"{folder / 'finished.json'} is no record of a finished run ({name}={summary.get(name)!r}); remove it, and "
            "the same command writes it again."
        )


def is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def line_of(summary: dict[str, Any], folder: Path) -> str:
    """best top-1 .893 (epoch 6), best mean brain score .412 (epoch 5), 6 epochs; written to runs/..."""
    parts = [f"best {name} {told}" for name, told in bests(summary)]
    return f"{', '.join([*parts, epochs(summary)])}; written to {folder}"


def bests(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What was monitored, and its value and epoch at its best: accuracy, and the mean brain score if there is one."""
    found = []
    for kind in ("", "brain_"):
        if summary.get(f"{kind}best") is not None:
            told = f"{summary[f'{kind}best']:.3f} (epoch {summary[f'{kind}best_epoch']:g})"
            found.append((label(summary.get(f"{kind}monitor", "val/top1")), told))
    return found


def epochs(summary: dict[str, Any]) -> str:
    """6 epochs, or 2 of 6 epochs, stopped early."""
    whole, early = f"{summary['epochs']} epochs", summary.get("stopped_early")
    return f"{early} of {whole}, stopped early" if early else whole


def print_summary(summary: dict[str, Any], folder: Path, already: bool = False) -> None:
    """Print the table; `already`: the run had been finished before."""
    console = Terminal()
    if already:
        done = "This run is finished; nothing was done. Repeat it with fresh=true, or give another seed.\n"
        console.print(done, soft_wrap=True)
    table = facts_table(cell(f"{summary['network']} on {summary['data']}"))
    table.add_row("parameters", f"{summary['parameters']:,}")
    table.add_row("steps from V1 to IT", "/".join(map(str, summary["steps"])))
    table.add_row("images, training / validation", f"{summary['train_images']:,} / {summary['val_images']:,}")
    table.add_row("trained for", epochs(summary))
    if summary["images_per_second"]:
        table.add_row("training speed", f"{summary['images_per_second']:,.0f} images/s")
    for name, value in summary["last"].items():
        table.add_row(cell(label(name)), f"{value:.3f}")
    for name, told in bests(summary):
        table.add_row(cell(f"best {name}"), told, style="bold")
    table.add_row("chance", f"{summary['chance']:.3f}")
    console.print(table)
    console.print(f"\nWritten to [bold]{cell(folder)}[/bold]", soft_wrap=True)
    files = {
        "metrics.csv": "losses and accuracies",
        "curves.png": "learning curves",
        "checkpoints/best.ckpt, last.ckpt": "weights: best by monitor, and last",
        "config.yaml, versions.json": "what was run, and with what",
    }
    if (folder / "scores.csv").exists():
        files["checkpoints/best_brain.ckpt"] = "weights: most brain-like"
        files["scores.csv, report.html"] = "brain scores; all of it on one page"
    if summary["bad_files"]:
        files["bad_files.csv"] = "images that could not be read"
    for name, content in files.items():
        console.print(f"  {name:34} {content}", highlight=False)
    console.print("\nTry next")
    for line in (
        "train.py --help                                    every choice and key",
        "train.py model=cornet_rt                           another network (cornet_z, cornet_r, cornet_rt, cornet_s)",
        "train.py data=imagefolder data.folder=/path/to/it  your own photographs: train/<class>/, val/<class>/",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def label(name: str) -> str:
    """val/top1_squash -> top-1, squash; brain/IT -> IT; brain/mean -> mean brain score."""
    if name.startswith("brain/"):
        return {"brain/mean": "mean brain score"}.get(name, name.removeprefix("brain/"))
    metric, _, view = name.removeprefix("val/").partition("_")
    shown = {"top1": "top-1", "top5": "top-5", "loss": "validation loss"}.get(metric, metric)
    return f"{shown}, {view}" if view else shown
