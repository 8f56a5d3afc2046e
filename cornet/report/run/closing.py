"""Print the summary of a finished run: a table, the files written, and what to try next."""

from pathlib import Path
from typing import Any

from cornet.errors import CornetError, printable
from cornet.report.curves import label, plot_curves, task_metric
from cornet.report.run.data import read_curves
from cornet.report.run.panels import files_of_panels
from cornet.report.terminal_tables import facts_table
from cornet.terminal import Terminal, cell

__all__ = ["print_run_summary", "print_summary_table"]

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
    "chance": int | float | None,
    "last": dict,
    "bad_files": bool,
}
"""The keys of finished.json that are printed, and their types."""


def print_run_summary(
    folder: Path,
    summary: dict[str, Any],
    already_finished: bool = False,
    brief: bool = False,
    program: str = "train.py",
) -> float:
    """Plot the run's curves, write its report, print its summary, and return the best monitored value.

    already_finished: the run was finished before this command. brief: print one line, as for the runs of a sweep.
    program: the command that trains, for what to try next. Raises CornetError if the run was finished before and its
    finished.json is incomplete.
    """
    if already_finished:
        check_summary(folder, summary)
    title = f"{summary['network']} on {summary['data']}"
    try:
        metric = task_metric(summary)
        metrics = read_curves(folder, metric)
        if metrics is not None:
            runs = {summary["network"]: metrics}
            plot_curves(runs, folder / "curves.png", summary["chance"], title, metric)
        if (folder / "scores.csv").exists() or files_of_panels(folder):
            from cornet.report.run.page import write_page

            write_page(folder)
    except Exception as error:  # any error: the numbers are saved, and `cornet report` can plot them later
        print(f"The report could not be written: {error}")
    if brief:
        print(printable(summary_line(summary, folder)))
    else:
        print_summary_table(summary, folder, already_finished, program)
    return float(summary["best"])


def check_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Raise CornetError if a printed value of finished.json is missing or has the wrong type."""
    wrong = set(SUMMARY) - {name for name, kind in SUMMARY.items() if isinstance(summary.get(name), kind)}
    numbers, texts = ("best", "best_epoch"), ("monitor",)
    wrong |= {name for name, value in summary.items() if name.endswith(numbers) and not is_number(value)}
    wrong |= {name for name, value in summary.items() if name.endswith(texts) and not isinstance(value, str)}
    last = summary.get("last")
    if wrong or not (isinstance(last, dict) and all(map(is_number, last.values()))):
        name = min(wrong, default="last")
        raise CornetError(
            f"{folder / 'finished.json'} is not the summary of a finished run ({name}={summary.get(name)!r}); remove "
            "it and repeat the command to write it again."
        )


def is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def summary_line(summary: dict[str, Any], folder: Path) -> str:
    """Such as "best top-1 .893 (epoch 6), best mean brain score .412 (epoch 5), 6 epochs; written to runs/..."."""
    parts = [f"best {name} {text}" for name, text in best_values(summary)]
    return f"{', '.join([*parts, epochs(summary)])}; written to {folder}"


def best_values(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (label, "value (epoch)") of the monitored accuracy and, if there is one, the monitored brain score."""
    values = []
    for kind in ("", "brain_"):
        if summary.get(f"{kind}best") is not None:
            text = f"{summary[f'{kind}best']:.3f} (epoch {summary[f'{kind}best_epoch']:g})"
            values.append((label(summary.get(f"{kind}monitor", "val/top1")), text))
    return values


def epochs(summary: dict[str, Any]) -> str:
    """Format the number of epochs: 6 epochs, or 2 of 6 epochs, stopped early."""
    total, early = f"{summary['epochs']} epochs", summary.get("stopped_early")
    return f"{early} of {total}, stopped early" if early else total


def print_summary_table(
    summary: dict[str, Any], folder: Path, already_finished: bool = False, program: str = "train.py"
) -> None:
    """Print the table of a finished run, its files, and commands to try next, of the program `program`."""
    console = Terminal()
    if already_finished:
        message = "This run was already finished; nothing was done. Repeat it with fresh=true, or give another seed.\n"
        console.print(message, soft_wrap=True)
    table = facts_table(cell(f"{summary['network']} on {summary['data']}"))
    table.add_row("parameters", f"{summary['parameters']:,}")
    table.add_row("steps from V1 to IT", "/".join(map(str, summary["steps"])))
    table.add_row("images, training / validation", f"{summary['train_images']:,} / {summary['val_images']:,}")
    table.add_row("trained for", epochs(summary))
    if summary["images_per_second"]:
        table.add_row("training speed", f"{summary['images_per_second']:,.0f} images/s")
    for name, value in summary["last"].items():
        table.add_row(cell(label(name)), f"{value:.3f}")
    for name, text in best_values(summary):
        table.add_row(cell(f"best {name}"), text, style="bold")
    if summary["chance"] is not None:
        table.add_row("chance", f"{summary['chance']:.3f}")
    console.print(table)
    console.print(f"\nWritten to [bold]{cell(folder)}[/bold]", soft_wrap=True)
    files = {
        "metrics.csv": "losses and accuracies",
        "curves.png": "learning curves",
        "checkpoints/best.ckpt, last.ckpt": "weights: best by monitored metric, and last",
        "config.yaml, versions.json": "configuration, and versions of packages",
    }
    if (folder / "scores.csv").exists():
        if (folder / "checkpoints/best_brain.ckpt").exists():
            files["checkpoints/best_brain.ckpt"] = "weights: best by brain score"
        files["scores.csv, report.html"] = "brain scores; report of everything on one page"
    matrices = [name for name in ("step_matrix.csv", "time_matrix.csv") if (folder / name).exists()]
    if matrices:
        files[", ".join(matrices)] = "scores of every step, by region or time"
    if tables := files_of_panels(folder):
        files[", ".join([*tables, "report.html"])] = "analyses after epochs; everything on one page"
    if summary["bad_files"]:
        files["bad_files.csv"] = "images that could not be read"
    for name, content in files.items():
        console.print(f"  {name:34} {content}", highlight=False)
    console.print("\nTry next")
    for line in (
        "--help                                    every choice and key",
        "model=cornet_rt                           another network (cornet_z, cornet_r, cornet_rt, cornet_s)",
        "data=imagefolder data.folder=/path/to/it  your own photographs: train/<class>/, val/<class>/",
    ):
        console.print(f"  {program} {line}", highlight=False, soft_wrap=True)
    if (folder / "scores.csv").exists():
        console.print(
            f"  cornet score {cell(folder)} --on simulated --untrained", highlight=False, soft_wrap=True
        )
