"""Write the table and page of `cornet report sweep FOLDER`."""

import math
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.report.render import page, part, simulated_banner
from cornet.report.sweep.changes import FEW, change_text, changes_of, find_base, name_of, published_change
from cornet.report.sweep.factors import design_of, explain
from cornet.report.sweep.plots import draw_accuracy, draw_changes, draw_cost, draw_steps
from cornet.report.sweep.table import left_out_text, print_sweep, sweep_rows
from cornet.report.sweep.tasks import draw_tasks
from cornet.report.sweep.variants import Sweep, Variant, read_sweep
from cornet.runs.config import config_text
from cornet.terminal import Terminal

__all__ = ["report_sweep", "sweep_page"]

FRONTS: tuple[tuple[str, str, Callable[..., str], str], ...] = (
    ("Score against accuracy", "a", draw_accuracy, "no other variant is better in both"),
    ("Score and accuracy against cost", "m", draw_cost, "no cheaper variant is as good"),
)


def report_sweep(folder: Path | str, base: str | None = None, console: Terminal | None = None) -> Path:
    """Print the table of a sweep, write sweep.csv and sweep.html into its folder, and return the page's path.

    folder: contains runs as `train.py -m` writes them, <overrides>/seed<k>, up to three levels deep. base: number or
    folder of the variant to compare the others with; by default the one that differs least from the others. The page
    is self-contained. Unfinished runs are left out and counted; runs that were stopped early are marked and not in any
    mean.

    Raises CornetError if there are fewer than two variants, if benchmarks differ in version or data between runs, if
    base does not match exactly one variant, or if the files cannot be written.
    """
    sweep = read_sweep(folder)
    chosen = find_base(sweep, base)
    print_sweep(sweep, chosen, console)
    atomic_write(sweep.folder / "sweep.csv", csv_text(sweep_rows(sweep, chosen)))
    path = sweep.folder / "sweep.html"
    atomic_write(path, sweep_page(sweep, chosen))
    return path


def sweep_page(sweep: Sweep, base: Variant) -> str:
    """Render the self-contained page."""
    brain = [name for name, one in sweep.measures.items() if one.kind == "brain"]
    parts = [_lede(sweep, base), simulated_banner(brain, sweep.simulated, "all brain scores on this page")]
    stopped = sum(len(one.stopped) for one in sweep.variants)
    parts.append(part("sweep.left_out", text=left_out_text(sweep), stopped=stopped))
    parts += [_variants(sweep, base), *_tasks(sweep), part("parts.heading", text="Change from the base")]
    parts += [_changes(sweep, base), _factors(sweep, base), *_plots(sweep, base)]
    parts.append(part("parts.notes", texts=sweep.notes))
    parts.append(part("sweep.configuration", number=base.number, text=config_text(base.folders[0])))
    return page(sweep.title, parts)


def _lede(sweep: Sweep, base: Variant) -> Markup:
    factors = []
    for factor in sweep.factors:
        values = sorted((one.values[factor.key] for one in sweep.variants), key=factor.order)
        also = f" (and {', '.join(factor.same)}, the same in every run)" if factor.same else ""
        factors.append(f"{factor.name}{also}: {', '.join(dict.fromkeys(map(factor.text, values)))}")
    return part("sweep.lede", facts="; ".join(factors), base=base, folder=str(sweep.folder))


def _variants(sweep: Sweep, base: Variant) -> Markup:
    factors = sweep.factors if len(sweep.factors) <= FEW else ()
    texts = [[factor.text(one.values[factor.key]) for factor in factors] for one in sweep.variants]
    rows = [
        (one, cells or [name_of(sweep, base, one)]) for one, cells in zip(sweep.variants, texts, strict=True)
    ]
    names = [factor.name for factor in factors]
    return part("sweep.variants", factors=names, measures=list(sweep.measures), rows=rows, base=base)


def _tasks(sweep: Sweep) -> list[Markup]:
    """Render the metrics of several tasks against each numeric factor; empty for a single task."""
    drawings = [
        (f"Tasks against {factor.name}", Markup(drawn))
        for k, factor in enumerate(sweep.factors)
        if (drawn := draw_tasks(sweep, factor, f"t{k}"))
    ]
    return [part("sweep.tasks", drawings=drawings)] if drawings else []


def _changes(sweep: Sweep, base: Variant) -> Markup:
    """Render the changes of all variants that differ from the base in only one factor."""
    changes = changes_of(sweep, base)
    if not changes:
        return part("sweep.no_changes")
    measures = list(dict.fromkeys(one.measure for one in changes))
    known = sweep.measures
    shown = [
        name
        for name in measures
        if known[name].is_task or known[name].of_part or known[name].name == "brain/mean"
    ]
    shown = shown if len(shown) > 1 else measures[:2]
    variants = {one.variant.number: one.variant for one in changes}
    return part(
        "sweep.changes",
        drawings=[
            (name, Markup(draw_changes(sweep, base, changes, name, f"c{k}"))) for k, name in enumerate(shown)
        ],
        changes=changes,
        names={number: change_text(sweep, base, one) for number, one in variants.items()},
        published={number: published_change(sweep, base, one) for number, one in variants.items()},
        accuracies=[name for name in measures if known[name].name == "val/top1"],
        base=base.number,
        others=len(sweep.variants) - 1,
        tested=sum(math.isfinite(one.difference.p) for one in changes),
        few=any(0 < min(one.difference.n) < 4 for one in changes),
    )


def _factors(sweep: Sweep, base: Variant) -> Markup:
    """Render the linear model and the forest of every measure, or the reason why there are none."""
    design = design_of(sweep, base.number)
    results = [] if design.why else [explain(sweep, design, name) for name in sweep.compared]
    return part(
        "sweep.factors",
        why=design.why[:1].upper() + design.why[1:],
        columns=[column.name for column in design.columns],
        names=list(design.factors),
        results=results,
        related="; ".join(f"{a} and {b} (r = {r:.2f})" for a, b, r in design.related),
        negative=any(one.share < 0 for one in results),
    )


def _plots(sweep: Sweep, base: Variant) -> list[Markup]:
    brain = [name for name in sweep.compared if sweep.measures[name].kind == "brain"]
    parts = []
    for heading, key, draw, caption in FRONTS:
        names = brain if draw is draw_accuracy else sweep.compared
        drawings = [(name, Markup(draw(sweep, base, name, f"{key}{k}"))) for k, name in enumerate(names)]
        if any(drawing for _, drawing in drawings):
            parts.append(part("sweep.fronts", heading=heading, caption=caption, drawings=drawings))
    times = [name for name in brain if sweep.measures[name].name.endswith("-ost")]
    if times:
        parts.append(part("parts.heading", text="Solution times against steps"))
    for k, name in enumerate(times):
        drawing = Markup(draw_steps(sweep, base, name, f"s{k}"))
        parts.append(part("sweep.steps", drawing=drawing, name=name, texts=_undefined(sweep, name)))
    return parts


def _undefined(sweep: Sweep, name: str) -> list[str]:
    """Return which variants have undefined solution times, in every seed and in some seeds."""
    without = [one for one in sweep.variants if name in one.measures and not one.estimate(name).n]
    some = [one for one in sweep.variants if 0 < one.estimate(name).n < len(one.seeds)]
    return [
        f"undefined in {which} of variant {', '.join(str(one.number) for one in variants)}"
        for which, variants in (("every seed", without), ("some seeds", some))
        if variants
    ]
