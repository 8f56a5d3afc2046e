"""Write the table and the page of `cornet neuron`."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from cornet.brain.neuron.estimators import METHODS, PENALTIES
from cornet.brain.neuron.profile import Profile, SiteScore
from cornet.brain.neuron.target import HALVES, MIN_RELIABILITY
from cornet.csv_cells import csv_text
from cornet.files import atomic_write
from cornet.report.model_names import short_names
from cornet.report.neuron.plots import (
    BASELINE,
    SHUFFLED,
    TRAINED,
    UNTRAINED,
    draw_distribution,
    draw_layers,
    draw_scatter,
    layer_name,
    measure_name,
    row_name,
)
from cornet.report.render import data_address, number, page, part, simulated_banner, thumbnail
from cornet.report.terminal_tables import new_table
from cornet.terminal import Terminal, cell, duration

__all__ = ["neuron_page", "print_profile", "write_profile"]

LIKED = 6
"""Stimuli shown of those with the largest and the smallest responses."""


def write_profile(profile: Profile, folder: Path) -> Path:
    """Write neuron.csv and neuron.html into a folder, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "neuron.csv", csv_text(profile.table()))
    path = folder / "neuron.html"
    atomic_write(path, neuron_page(profile))
    return path


def neuron_page(profile: Profile) -> str:
    """Render the self-contained page. Models have short names."""
    profile = profile.renamed(short_names(profile.models))
    target = profile.target
    baselines = [one for model in profile.models for one in profile.of(model) if len(profile.of(model)) == 1]
    several = [model for model in profile.models if len(profile.of(model)) > 1]
    twins = {trained: one for trained, one in profile.twins.items() if {trained, one} <= set(several)}
    drawn = [model for model in several if model not in twins.values()] or [""]
    drawings = [
        (name_of(model, twins), Markup(draw_layers(profile, model, twins.get(model, ""), baselines, f"m{k}")))
        for k, model in enumerate(drawn)
    ]
    title = f"Neuron {target.neuroids[0]}" if profile.single else f"Neurons of {target.name}"
    best = profile.best
    scatter = draw_scatter(profile, best, "scatter") if best is not None and profile.single else ""
    return page(
        title,
        [
            part("neuron.lede", what=what_text(profile), facts=facts(profile), findings=findings(profile)),
            simulated_banner([target.name], [target.name] * target.simulated, "the responses on this page"),
            part(
                "neuron.layers",
                drawings=drawings,
                colours=colours(profile, bool(baselines), bool(twins)),
                ceiling=target.has_ceiling,
                shuffles=len(profile.sites[0].shuffled) if profile.single else 0,
            ),
            part(
                "neuron.scatter",
                drawing=Markup(scatter),
                site="" if best is None else best_text(profile, best),
            )
            if scatter
            else Markup(),
            part("neuron.liked", groups=liked(profile)) if profile.single else Markup(),
            Markup()
            if profile.single or best is None
            else part("neuron.distribution", drawing=Markup(draw_distribution(profile, "neuroids"))),
            part(
                "neuron.table",
                rows=table_rows(profile),
                measure=measure_name(profile),
                single=profile.single,
                method=method_text(profile),
            ),
            part("parts.notes", texts=[*profile.left_out, *target.notes]),
        ],
    )


def name_of(model: str, twins: dict[str, str]) -> str:
    return f"{model}, trained and untrained" if model in twins else model


def what_text(profile: Profile) -> str:
    target, models = profile.target, len(profile.models)
    whom = (
        f"of one neuroid, {target.neuroids[0]}," if profile.single else f"of {len(target.neuroids)} neuroids"
    )
    what = f"How well each layer of {models} model{'s' * (models != 1)} predicts the responses {whom}"
    return f"{what} to {len(target.responses)} images it was not fitted to ({target.name})."


def facts(profile: Profile) -> list[str]:
    """Short sentences on data and method."""
    target = profile.target
    found = []
    if target.time_bin is not None:
        found.append(f"responses {target.time_bin[0]:g}-{target.time_bin[1]:g} ms")
    if target.square_roots:
        found.append("square roots of the responses")
    if not target.has_ceiling:
        found.append("averaged responses: the ceiling is unknown, and the score is not divided by it")
    elif profile.single:
        found.append(f"reliability {target.reliability[0]:.2f} (mean of {HALVES} random halves)")
    else:
        counted = target.reliability[target.reliable]
        middle = f"median reliability {np.median(counted):.2f}, " if len(counted) else ""
        found.append(f"{middle}{len(counted)} neuroids with a reliability of at least {MIN_RELIABILITY:g}")
    folds = int(target.folds.max()) + 1
    found.append(f"{folds} folds{f', no {target.grouped_by} divided' if target.grouped_by else ''}")
    found.append(METHODS[profile.method])
    return found


def findings(profile: Profile) -> list[str]:
    """The best layer, layers that cannot be told apart from it, and trained against untrained networks."""
    best = profile.best
    if best is None:
        return ["No layer has a score: see the notes."]
    found = [f"Best: {best_text(profile, best)}."]
    if ties := profile.ties:
        named = ", ".join(
            layer_name(profile, one) if one.model == best.model else row_name(profile, one)
            for one in ties[:4]
        )
        more = f" and {len(ties) - 4} more" if len(ties) > 4 else ""
        found[0] += f" Not told apart from it: {named}{more}."
    elif len(profile.sites) > 1:
        found[0] += " All other layers are worse."
    for trained, untrained in profile.twins.items():
        one, other = profile.best_of(trained), profile.best_of(untrained)
        if one is None or other is None:
            continue
        gap = profile.gap(one, other)
        verdict = "better than" if gap.low > 0 else "worse than" if gap.high < 0 else "not told apart from"
        found.append(
            f"{trained} is {verdict} its untrained twin, each at its best layer: {gap.value:+.3f} "
            f"({gap.low:+.3f} to {gap.high:+.3f})."
        )
    return found


def best_text(profile: Profile, one: SiteScore) -> str:
    ends = one.interval
    return f"{row_name(profile, one)}, {one.value:.3f} ({ends.low:.3f} to {ends.high:.3f})"


def colours(profile: Profile, baselines: bool, twins: bool) -> list[tuple[str, str]]:
    """Colours and their meanings."""
    untrained = twins or any("untrained" in model for model in profile.models)
    return [
        *(
            [(TRAINED, "network")]
            if any("untrained" not in m for m in profile.models if len(profile.of(m)) > 1)
            else []
        ),
        *([(UNTRAINED, "untrained network")] if untrained else []),
        *([(BASELINE, "one layer only")] if baselines else []),
        (SHUFFLED, "shuffled responses"),
    ]


def liked(profile: Profile) -> list[dict[str, Any]]:
    """The stimuli with the largest and the smallest responses, as pictures."""
    target = profile.target
    measured = target.responses[:, 0]
    known = np.flatnonzero(np.isfinite(measured))
    order = known[np.argsort(measured[known], kind="stable")]
    groups = []
    count = min(LIKED, len(order) // 2)
    for name, places in (("Largest responses", order[::-1][:count]), ("Smallest responses", order[:count])):
        tiles = [
            {
                "address": data_address(thumbnail(target.stimuli.pictures[int(k)])),
                "name": str(target.stimuli.ids[k]),
                "label": f"{measured[k]:.3g}",
            }
            for k in places
        ]
        groups.append({"name": name, "tiles": tiles})
    return groups


def table_rows(profile: Profile) -> list[dict[str, Any]]:
    """A row for each site; values of all neuroids are medians."""
    rows = []
    counted = profile.target.reliable if not profile.single else np.ones(1, bool)
    best, ties = profile.best, profile.ties
    favourites = favourite_counts(profile)

    def median(values: Any) -> float:
        known = values[counted]
        known = known[np.isfinite(known)]
        return float(np.median(known)) if len(known) else math.nan

    for one in profile.sites:
        name = row_name(profile, one) if len(profile.of(one.model)) == 1 else layer_name(profile, one)
        row = {"model": one.model, "name": name, "layer": layer_name(profile, one), "features": one.width}
        row |= {"value": one.value, "low": one.interval.low, "high": one.interval.high, "r": median(one.r)}
        row |= {"penalty": f"{median(one.prediction.penalties):.2g}".replace("nan", "-")}
        row |= {"dimensions": median(one.prediction.dimensions), "shuffled": one.chance}
        row |= {"best": one is best, "tied": one in ties, "alone": len(profile.of(one.model)) == 1}
        row["favourite"] = favourites.get((one.model, one.site), 0)
        rows.append(row)
    return rows


def favourite_counts(profile: Profile) -> dict[Any, int]:
    """The number of neuroids in the median whose best layer of its model a site is."""
    found: dict[Any, int] = {}
    for model in profile.models:
        sites = profile.of(model)
        values = np.array([one.explained for one in sites])[:, profile.target.reliable]
        for column in np.nan_to_num(values, nan=-np.inf).T:
            if np.isfinite(column).any():
                key = model, sites[int(column.argmax())].site
                found[key] = found.get(key, 0) + 1
    return found


def method_text(profile: Profile) -> str:
    """How the score is computed."""
    unit = "images" if profile.single else "neuroids"
    groups = (
        f" (whole groups of {profile.target.grouped_by})"
        if profile.target.grouped_by and profile.single
        else ""
    )
    penalty = (
        f", its penalty chosen by {PENALTIES[profile.penalty]}" if profile.method == "kernel_ridge" else ""
    )
    ratio = "divided by the reliability" if profile.target.has_ceiling else "not divided by a ceiling"
    return (
        f"Method: {METHODS[profile.method]}{penalty}, fitted in every fold on the other folds alone. Score: r squared "
        f"with the sign of r, between the pooled held-out predictions and the mean responses, {ratio}. Intervals: 95 % "
        f"bootstrap over {unit}{groups}, without fitting again; they are paired between layers. Recorded in "
        f"{duration(profile.recording_seconds)}, compared in {duration(profile.comparing_seconds)}."
    )


def print_profile(profile: Profile) -> None:
    """Print a row for each layer, and what was found."""
    profile = profile.renamed(short_names(profile.models))
    console = Terminal(highlight=False)
    table = new_table()
    table.add_column("model, layer", overflow="fold")
    name = "nEV" if profile.target.has_ceiling else "r\u00b2"
    for heading in (name, "95 %", "r", "lambda", "dims", "shuffled"):
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for row in table_rows(profile):
        mark = "*" if row["best"] else "=" if row["tied"] else " "
        ends = f"{number(row['low'])} to {number(row['high'])}" if math.isfinite(row["low"]) else "-"
        numbers = [f"{number(row['value'])}{mark}", ends, number(row["r"]), row["penalty"]]
        numbers += [number(row["dimensions"], 0), number(row["shuffled"])]
        if row["model"] != previous and not row["alone"]:
            table.add_row(f"[bold]{cell(row['model'])}[/]")
        table.add_row(cell(row["name"] if row["alone"] else f"  {row['layer']}"), *numbers)
        previous = row["model"]
    console.print(cell(what_text(profile)))
    console.print(table)
    console.print(cell(f"{'; '.join(facts(profile))}. * best, = not told apart from it."))
    for text in findings(profile):
        console.print(cell(text))
    for text in profile.left_out:
        console.print(cell(text[:1].upper() + text[1:].rstrip(".") + "."))
    if profile.target.simulated:
        console.print("The responses are simulated; the scores say nothing about brains.")
    recorded, compared = duration(profile.recording_seconds), duration(profile.comparing_seconds)
    console.print(f"Recorded in {recorded}, compared in {compared}.")
