"""Write the table and the page of `cornet score A B C ... --rank`."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from cornet.brain.ranking import MEAN, Ranking
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.models.registry import list_models, registered
from cornet.report.model_names import short_names
from cornet.report.ranking.plots import draw_accuracy, draw_gaps, draw_models, scale_of
from cornet.report.render import page, part, simulated_banner
from cornet.report.terminal_tables import new_table
from cornet.runs.folder import load_run
from cornet.terminal import Terminal, cell

__all__ = ["accuracy_of", "print_ranking", "ranking_page", "write_ranking"]


def accuracy_of(text: str) -> float:
    """Top-1 accuracy of a model, as a fraction: of a run, its best; of a published network, on ImageNet; else NaN.

    text: as for `cornet score`, such as runs/mine/seed0, a checkpoint in a run's folder, or cornet_s.
    """
    name, _, options = text.partition("?")
    if "untrained" in options.split("&"):
        return math.nan
    if name in list_models():
        top1 = registered(name).top1
        return math.nan if top1 is None else top1
    path = Path(name).expanduser()
    if path.suffix == ".ckpt" and path.parent.name == "checkpoints":
        path = path.parent.parent
    if not path.is_dir():
        return math.nan
    try:
        summary = load_run(path).summary
    except CornetError:
        return math.nan
    is_accuracy = summary.get("task_metric", "val/top1") == summary.get("monitor") == "val/top1"
    return float(summary["best"]) if is_accuracy else math.nan


def write_ranking(ranking: Ranking, accuracies: Mapping[str, float], folder: Path) -> Path:
    """Write ranking.csv and ranking.html into a folder, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    table = ranking.table()
    table.insert(2, "accuracy", [accuracies.get(model, math.nan) for model in table["model"]])
    atomic_write(folder / "ranking.csv", csv_text(table))
    atomic_write(folder / "scores.csv", csv_text(pd.DataFrame([one.row for one in ranking.scores.values()])))
    path = folder / "ranking.html"
    atomic_write(path, ranking_page(ranking, accuracies))
    return path


def ranking_page(ranking: Ranking, accuracies: Mapping[str, float]) -> str:
    """Render the self-contained page. Models have short names, which it explains."""
    short = short_names(ranking.models)
    ranking, accuracies = (
        ranking.renamed(short),
        {short.get(one, one): top1 for one, top1 in accuracies.items()},
    )
    simulated = [name for name in ranking.benchmarks if is_simulated(ranking, name)]
    order = ranking.benchmarks
    drawn = [MEAN] if len(ranking.averaged) > 1 else []
    drawn += [
        name for name in order if sum(math.isfinite(ranking.value(m, name)) for m in ranking.models) > 1
    ]
    main = drawn[0] if drawn else ""
    failed = {f"{model}, {name}": why for (model, name), why in ranking.failures.items()}
    notes = {
        note: None for one in ranking.scores.values() for note in str(one.row["notes"]).split("; ") if note
    }
    return page(
        "Ranking of models",
        [
            part("ranking.lede", ranking=ranking, averaged=ranking.averaged),
            simulated_banner(order, simulated, "all benchmarks on this page"),
            part(
                "ranking.table",
                ranking=ranking,
                names=order,
                scales={name: scale_of(ranking, name) for name in order},
                groups={
                    name: ranking.groups(name) for name in [*order, *([MEAN] if ranking.averaged else [])]
                },
                accuracies=accuracies,
                any_accuracy=any(map(math.isfinite, accuracies.values())),
            ),
            part("ranking.full_names", names={new: old for old, new in short.items() if new != old}),
            part("ranking.method", ranking=ranking, unpaired=ranking.unpaired),
            part(
                "ranking.drawings",
                main=Markup(draw_gaps(ranking, main, "gaps")) if main else "",
                accuracy=Markup(draw_accuracy(ranking, accuracies, "accuracy")) if ranking.averaged else "",
                drawings=[
                    (name, Markup(draw_models(ranking, name, f"m{k}"))) for k, name in enumerate(drawn)
                ],
            ),
            part("ranking.failures", failures=failed),
            part("parts.notes", texts=list(notes)),
        ],
    )


def is_simulated(ranking: Ranking, benchmark: str) -> bool:
    return any(
        str(one.row.get("simulated")) == "True"
        for (_, name), one in ranking.scores.items()
        if name == benchmark
    )


def print_ranking(ranking: Ranking, accuracies: Mapping[str, float]) -> None:
    """Print the models, best first, with the groups that cannot be told apart."""
    short = short_names(ranking.models)
    ranking, accuracies = (
        ranking.renamed(short),
        {short.get(one, one): top1 for one, top1 in accuracies.items()},
    )
    console = Terminal(highlight=False)
    table = new_table()
    table.add_column("", justify="right")
    table.add_column("model", overflow="fold")
    for heading in ("mean", "95 %", "minus best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("groups", no_wrap=True)
    shown = any(map(math.isfinite, accuracies.values()))
    if shown:
        table.add_column("top-1", justify="right", no_wrap=True)
    for row in ranking.table().itertuples():
        gap = (
            ""
            if row.rank == 1
            else f"{row.minus_best:+.3f} [{row.minus_best_low:+.3f}, {row.minus_best_high:+.3f}]"
        )
        cells = [
            str(row.rank),
            cell(row.model),
            f"{row.mean:.3f}",
            f"{row.low:.3f} to {row.high:.3f}",
            gap,
            row.groups,
        ]
        top1 = accuracies.get(row.model, math.nan)
        table.add_row(*cells, *([f"{top1:.3f}" if math.isfinite(top1) else "-"] if shown else []))
    console.print(table)
    averaged = ", ".join(ranking.averaged) or "no benchmark, as none has a score of every model"
    console.print(
        f"mean: of {cell(averaged)}. Models with a common letter cannot be told apart (Holm, alpha = .05)."
    )
    if ranking.unpaired:
        console.print(f"Differences on {cell(', '.join(ranking.unpaired))} are not paired.")
    for (model, name), why in ranking.failures.items():
        console.print(cell(f"{model} has no score on {name}: {why.rstrip('.')}."))
    if any(is_simulated(ranking, name) for name in ranking.benchmarks):
        console.print("Simulated benchmarks check the pipeline; their scores say nothing about brains.")
