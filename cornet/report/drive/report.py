"""Print the result of `cornet drive`, and write its page and table."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from cornet.files import atomic_write
from cornet.report.drive.plots import Row, draw_rows
from cornet.report.model_names import short_names
from cornet.report.render import data_address, number, page, part, simulated_banner, thumbnail
from cornet.report.terminal_tables import new_table
from cornet.synthesis.driven.lab_table import TABLE
from cornet.synthesis.driven.outcome import Outcome
from cornet.synthesis.driven.study import Study
from cornet.terminal import Terminal, cell, duration

__all__ = ["condition_rows", "drive_page", "plain_study", "print_study", "study_rows", "write_study"]

SHOWN = 60
"""Neuroids with pictures on the page; the folder has all."""

OVERSHOOT = "Predictions overshoot what neurons do; they are not the result."


def write_study(study: Study, folder: Path) -> Path:
    """Write drive.html into a folder, and return its path."""
    path = folder / "drive.html"
    atomic_write(path, drive_page(study))
    return path


def drive_page(study: Study) -> str:
    """Render the self-contained page."""
    target = study.target
    sheet = tiles(study)
    rows = [Row(one.name, values_of(study, one), k == 0) for k, one in enumerate(study.outcomes)]
    plot = Markup()
    if rows:
        plot = Markup(
            draw_rows(
                rows, study.names, axis_name(study), "Each neuroid by condition", "conditions", limit(study)
            )
        )
    return page(
        f"Images that drive {target.name}",
        [
            part("drive.lede", what=what_text(study), facts=facts(study), findings=findings(study)),
            simulated_banner([target.name], [target.name] * target.simulated, "the responses on this page"),
            part(
                "drive.sheet",
                tiles=sheet,
                left=len(study.columns) - len(sheet),
                space=study.read_out.fitted.space is not None,
            ),
            part(
                "drive.conditions",
                drawing=plot,
                rows=condition_rows(study),
                one_hot=one_hot(study),
                natural=natural_counts(study),
            )
            if rows
            else Markup(),
            part(
                "drive.table", rows=study_rows(study), truth=study.truth is not None, one_hot=one_hot(study)
            ),
            part("drive.method", texts=method(study)),
            part("parts.notes", texts=list(study.notes)),
        ],
    )


def one_hot(study: Study) -> bool:
    return study.settings.mode != "stretch"


def limit(study: Study) -> float:
    return 0.0 if one_hot(study) else 1.0


def axis_name(study: Study) -> str:
    return (
        "share, minus that of the best natural image"
        if one_hot(study)
        else "true response / best natural image"
    )


def values_of(study: Study, outcome: Outcome) -> NDArray[np.float64]:
    """What is drawn: ratios, or differences of shares."""
    return outcome.values - outcome.natural if one_hot(study) else outcome.ratio


def natural_counts(study: Study) -> list[int]:
    """Numbers of natural images that are compared with."""
    if study.truth is None:
        return [len(study.responses)]
    own, more = len(study.truth.shown), len(study.truth.more)
    return [own, own + more] if more else [own]


def what_text(study: Study) -> str:
    number_of = len(study.columns)
    model = short_names([study.read_out.model])[study.read_out.model]
    drive = "raise the predicted response of one neuroid" + " and lower all others" * one_hot(study)
    return (
        f"Images for {number_of} neuroid{'s' * (number_of != 1)} of {study.target.name}, changed from noise "
        f"to {drive}, through {study.read_out.site} of {model}."
    )


def facts(study: Study) -> list[str]:
    r = study.read_out.fitted.r
    found = [f"median r of held-out images {np.median(r):.2f}"]
    if study.r_true is not None:
        found.append(f"{np.median(study.r_true):.2f} with the true responses")
    found.append(f"{len(study.responses)} natural images")
    found.append(
        f"{study.side} x {study.side} pixels, {study.degrees:g} degrees, {'colour' if study.colour else 'grey'}"
    )
    starts = study.settings.starts
    found.append("1 start" if starts == 1 else f"{starts} starts; the one with the best prediction is used")
    found.append(f"synthesised in {duration(study.seconds.get('synthesis', 0.0))}")
    return found


def findings(study: Study) -> list[str]:
    """The result in sentences, never the prediction as the result."""
    if not study.outcomes:
        return [f"{study.reason[:1].upper()}{study.reason[1:]}.", OVERSHOOT]
    own, counts = study.outcomes[0], natural_counts(study)
    if one_hot(study):
        found = [
            f"True share of the softmax: median {np.median(own.values):.2f}, of the best of {counts[0]} natural images "
            f"{np.median(own.natural):.2f}; better than it for {own.beyond:.0%} of the neuroids. The right neuroid "
            f"responds most to {own.right:.0%} of the images ({own.on_target:+.1f} standard deviations, the others "
            f"{own.off_target:+.1f})."
        ]
    else:
        found = [
            f"True response over the best of {counts[0]} natural images: median {own.median:.2f}; beyond it for "
            f"{own.beyond:.0%} of the neuroids{more_text(own, counts)}."
        ]
        ratio = np.median(study.predicted / study.measured_max)
        found.append(f"Predicted: {ratio:.2f} times the largest measured natural response. {OVERSHOOT}")
    return found


def more_text(own: Outcome, counts: list[int]) -> str:
    return f", and beyond the best of {counts[1]:,} for {own.beyond_more:.0%}" if len(counts) > 1 else ""


def tiles(study: Study) -> list[dict[str, Any]]:
    """For each neuroid the best natural image, the synthesised one, and a map of the factorised mapping's positions."""
    target, found = study.target, []
    rows = study_rows(study)
    for place in range(min(SHOWN, len(study.columns))):
        best = int(study.natural_best[place])
        space = study.read_out.fitted.space
        row = rows[place]
        found.append(
            {
                "name": row["neuroid"],
                "natural": address(target.stimuli.pictures[best]),
                "natural_text": f"{number(row['natural_max'], 2)} ({row['natural_max_image']})",
                "image": address(study.images.chosen[place]),
                "space": address(greys(space[place])) if space is not None else "",
                "label": result_text(study, row),
            }
        )
    return found


def result_text(study: Study, row: dict[str, Any]) -> str:
    if study.truth is None:
        return f"predicted {number(row['predicted'], 2)}"
    if one_hot(study):
        return f"share {number(row['share'], 2)}"
    return f"{number(row['over_natural'], 2)} x natural"


def address(pixels: NDArray[np.uint8]) -> str:
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return data_address(thumbnail(flat))


def greys(weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Weights of positions as grey levels: 128 is 0."""
    return np.rint(127.5 + 127.5 * weights / max(float(np.abs(weights).max()), 1e-30)).astype(np.uint8)


def study_rows(study: Study) -> list[dict[str, Any]]:
    """A row for each neuroid, as plain data; None where a value is unknown."""
    found = []
    best = study.images.best
    own = study.outcomes[0] if study.outcomes else None
    for place, name in enumerate(study.names):
        row: dict[str, Any] = {
            "neuroid": str(name),
            "held_out_r": float(study.read_out.fitted.r[place]),
            "natural_max": float(study.measured_max[place]),
            "natural_max_image": str(study.target.stimuli.ids[study.natural_best[place]]),
            "predicted": float(study.predicted[place]),
            "start": int(best[place]),
            "variation": float(study.images.variation[place, best[place]]),
            "beyond": None,
        }
        if own is not None and study.truth is not None:
            key = "share" if one_hot(study) else "true_response"
            row |= {key: float(own.values[place]), f"natural_{key}": float(own.natural[place])}
            row["over_natural"] = float(own.ratio[place])
            row["beyond"] = bool(own.values[place] > own.natural[place])
            if own.more is not None:
                row["beyond_more"] = bool(own.values[place] > own.more[place])
        found.append(
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        )
    return found


def condition_rows(study: Study) -> list[dict[str, Any]]:
    """A row for the images and for each control."""
    return [
        {
            "name": one.name,
            "median": one.median,
            "beyond": one.beyond,
            "beyond_more": one.beyond_more,
            "share": float(np.median(one.values)),
            "natural": float(np.median(one.natural)),
            "right": one.right,
            "main": k == 0,
        }
        for k, one in enumerate(study.outcomes)
    ]


def plain_study(study: Study) -> dict[str, Any]:
    """Rows of neuroids and conditions as plain data, and what was found; None where a value is unknown."""
    conditions = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in condition_rows(study)
    ]
    return {"findings": findings(study), "conditions": conditions, "neuroids": study_rows(study)}


def method(study: Study) -> list[str]:
    settings = study.settings
    found = [
        f"Mapping: {study.read_out.fitted.method}, from {study.read_out.site}; r is of cross-validated predictions.",
        f"Synthesis (Bashivan, Kar & DiCarlo 2019): {settings.steps} steps of {settings.step:g}, mode {settings.mode}, "
        f"total variation weighted by {settings.weight:g} (in standard deviations of a response), images shifted at "
        f"random by up to 19/299 of their side at each step, {settings.starts} starts from white noise with seed "
        f"{settings.seed}.",
        "All values are of the 8-bit images that were saved. Of the starts, the one with the best prediction is used.",
    ]
    if study.truth is not None:
        found.append(
            "True responses are computed from the pixels by the simulation, without noise; natural images are its own "
            "stimuli. Shuffled responses: the same with responses that were assigned to other images before the fit."
        )
    found.append(
        f"{TABLE} lists the images to show: synthesised ones, and as many of the best natural ones. Evaluate what "
        "comes back with cornet drive FOLDER --responses RECORDED."
    )
    return found


def print_study(study: Study) -> None:
    """Print a row for each neuroid, the controls, and what was found."""
    console = Terminal(highlight=False)
    console.print(cell(what_text(study)))
    table = new_table()
    table.add_column("neuroid", overflow="fold")
    middle = "share" if one_hot(study) else "true"
    headings = (
        ["r", "predicted", "natural max"]
        if study.truth is None
        else ["r", "predicted", middle, "natural", "ratio"]
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    key = "share" if one_hot(study) else "true_response"
    for row in study_rows(study):
        values = [row["held_out_r"], row["predicted"]]
        values += (
            [row["natural_max"]]
            if study.truth is None
            else [row[key], row[f"natural_{key}"], row["over_natural"]]
        )
        table.add_row(cell(row["neuroid"]), *[number(math.nan if v is None else v, 2) for v in values])
    console.print(table)
    if len(study.outcomes) > 1:
        controls = new_table()
        controls.add_column("condition")
        for heading in ("median ratio", "beyond natural"):
            controls.add_column(heading, justify="right", no_wrap=True)
        for one in study.outcomes:
            controls.add_row(cell(one.name), number(one.median, 2), f"{one.beyond:.0%}")
        console.print(controls)
    console.print(cell(f"{'; '.join(facts(study))}."))
    for text in findings(study):
        console.print(cell(text))
    for text in study.notes:
        console.print(cell(text[:1].upper() + text[1:].rstrip(".") + "."))
    if study.target.simulated:
        console.print("The responses are simulated; they say nothing about brains.")
