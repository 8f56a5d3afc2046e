"""report.html of several seeds: their means with intervals, their curves, and the way to each one's own report."""

import math
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cornet.files import atomic_write
from cornet.opening import read_bytes
from cornet.report.page import write_page
from cornet.report.page_figures import figure
from cornet.report.page_style import HEAD
from cornet.report.seeds import Seeds
from cornet.report.seeds_interval import Estimate
from cornet.report.seeds_measures import Measure
from cornet.report.seeds_plots import draw_seeds
from cornet.report.seeds_table import interval_text, number

__all__ = ["write_seeds_page"]

COLUMNS = ("", "last: mean, 95 % interval", "sd", "best: mean, 95 % interval", "seeds", "scale", "ceiling")

CAPTIONS = {
    False: "Accuracy and loss on the validation images, after each epoch.",
    True: "Each panel is a benchmark: a mean that climbs from its untrained start (epoch 0) by more than the band is "
    "wide did so by training, and not by a lucky seed.",
}
"""How to read the pictures; True: of brain scores."""


def write_seeds_page(seeds: Seeds) -> Path:
    """Write report.html into the folder that holds the seeds, and each seed's own where it has none; return its path.

    It opens from disk, and needs nothing but the seeds' reports that it links to. Raises CornetError when it cannot be
    written.
    """
    for run in seeds.runs:
        if not (run.path / "report.html").is_file():
            write_page(run.path)
    path = seeds.folder / "report.html"
    atomic_write(path, _page(seeds))
    return path


def _page(seeds: Seeds) -> str:
    parts = [f"<h1>{escape(seeds.title)}</h1>", _lede(seeds), _banner(seeds), _left_out(seeds)]
    parts += ["<h2>Means over seeds</h2>", _means(seeds)]
    for brain, heading in ((False, "Accuracy and loss"), (True, "Brain scores")):
        content = draw_seeds(seeds, brain)
        if content is not None:
            caption = CAPTIONS[brain] + (
                " Thin: a seed; thick: their mean; band: the 95 % interval of the mean."
                if len(seeds.runs) > 1
                else " One seed alone has no interval."
            )
            alt = f"{heading} against epoch. {caption}"
            parts += [
                f"<h2>{heading} against epoch</h2>",
                figure(content, alt, caption, draw_seeds(seeds, brain, 1)),
            ]
    parts += ["<h2>Every seed</h2>", _each(seeds), _notes(seeds.notes), _configuration(seeds)]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{HEAD}\n<title>{escape(seeds.title)}</title>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _lede(seeds: Seeds) -> str:
    summary: Any = seeds.runs[0].summary
    number_of = {"parameters": "parameters", "train_images": "training images", "epochs": "epochs"}
    facts = [
        f"{summary[key]:,} {word}" for key, word in number_of.items() if isinstance(summary.get(key), int)
    ]
    if isinstance(summary.get("steps"), list):
        facts.append("steps from V1 to IT " + "/".join(map(str, summary["steps"])))
    if isinstance(summary.get("chance"), float):
        facts.append(f"chance {summary['chance']:.3f}")
    return (
        "<p>The same training, begun from different random numbers: what all seeds have in common, and how far one of "
        "them may be from it.</p>\n"
        f"<p class=facts>{escape('; '.join([*facts, _seeds_told(seeds)]))}.</p>\n"
        f"<p class='facts path'>Runs: {escape(str(seeds.folder))}</p>"
    )


def _seeds_told(seeds: Seeds) -> str:
    return f"seed{'s' if len(seeds.runs) > 1 else ''} {', '.join(map(str, seeds.numbers))}"


def _banner(seeds: Seeds) -> str:
    brain = [one for one in seeds.measures if one.kind == "brain"]
    simulated = [one.label for one in brain if one.simulated]
    if not simulated:
        return ""
    what = "all brain scores on this page" if len(simulated) == len(brain) else escape(", ".join(simulated))
    return (
        f'<div class="banner" role="note"><p><strong>Simulated:</strong> {what}. No brain was recorded for '
        "these; they check that the pipeline works, and say nothing about brains.</p></div>"
    )


def _left_out(seeds: Seeds) -> str:
    if not seeds.left_out:
        return ""
    items = "".join(
        f"<li><strong>{escape(one.path.name)}</strong>: {escape(one.why.rstrip('.'))}</li>"
        for one in seeds.left_out
    )
    return (
        '<div class="banner failure" role="note"><p><strong>Left out:</strong> not averaged in.</p>'
        f"<ul>{items}</ul></div>"
    )


def _means(seeds: Seeds) -> str:
    head = "".join(f"<th scope=col>{column}</th>" for column in COLUMNS)
    lines = "".join(_row(one) for one in seeds.measures)
    return (
        f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>\n'
        "<p class=small>Last: after the last evaluation; best: at the epoch that each seed keeps as its best, by "
        f"{escape(_monitors(seeds))}, where the value that was chosen by is biased upwards. The interval is that of "
        "the mean by Student's t, and seeds are its unit: with few of them it is wide. It tells how other seeds would "
        "come out on the same images and the same brain data, not how other images or brains would.</p>"
    )


def _monitors(seeds: Seeds) -> str:
    summary = seeds.runs[0].summary
    told = [f"{summary.get('monitor', 'val/top1')} (accuracies, losses)"]
    if summary.get("brain_best") is not None:
        told.append(f"{summary.get('brain_monitor', 'brain/mean')} (brain scores)")
    return " or ".join(told)


def _row(one: Measure) -> str:
    final, count = one.final, str(int(one.last.notna().sum()))
    if int(count) < len(one.last):
        count += f" of {len(one.last)}"
    cells = [_name(one), _estimate(one, final), f"<span class=error>{number(final.sd)}</span>"]
    cells += [_estimate(one, one.at_best), count, escape(one.scale) or "-"]
    cells += [number(math.nan if one.apart else one.ceiling)]
    filled = zip(COLUMNS, cells, strict=True)
    return (
        "<tr>"
        + "".join(f'<td data-label="{label}"><span>{cell}</span></td>' for label, cell in filled)
        + "</tr>"
    )


def _estimate(one: Measure, estimate: Estimate) -> str:
    if one.apart:
        return "<span class=none>not averaged</span>"
    if not estimate.n:
        return "-" if one.last.notna().any() else "<span class=none>undefined</span>"
    interval = f" <span class=error>{interval_text(estimate)}</span>" if math.isfinite(estimate.low) else ""
    return f"<span class=number><strong>{number(estimate.mean)}</strong>{interval}</span>"


def _name(one: Measure) -> str:
    mark = " <span class=tag>simulated</span>" if one.simulated else ""
    return f"{escape(one.label).replace('_', '_<wbr>')}{mark}"


def _each(seeds: Seeds) -> str:
    """Last and best values, a seed a column, whose head leads to the seed's own report."""
    head = "<th scope=col></th>"
    for run in seeds.runs:
        address = quote(Path(os.path.relpath(run.path / "report.html", seeds.folder)).as_posix())
        head += f'<th scope=col class=short><a href="{address}">seed {run.seed}</a></th>'
    lines = []
    for one in seeds.measures:
        cells = "".join(
            f"<td>{number(last)} <span class=when>best {number(best)}</span></td>"
            for last, best in zip(one.last, one.best, strict=True)
        )
        lines.append(f"<tr><td>{_name(one)}</td>{cells}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
        "<p class=small>The last value, and below it that of the best epoch. A seed's name leads to its own report.</p>"
    )


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return (
        "<h2>Notes</h2>\n<ul>" + "".join(f"<li>{escape(note.rstrip('.'))}</li>" for note in notes) + "</ul>"
    )


def _configuration(seeds: Seeds) -> str:
    run = seeds.runs[0]
    try:
        config = read_bytes(run.path / "config.yaml").decode()
    except (OSError, UnicodeDecodeError):
        return ""
    return (
        "<h2>What they were made with</h2>\n"
        f"<details><summary>Configuration of seed {run.seed}, from which the others differ in the seed alone</summary>"
        f"<pre>{escape(config)}</pre></details>\n"
        "<p class=small>Versions and sample stimuli are in each seed's own report.</p>"
    )
