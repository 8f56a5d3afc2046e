"""report.html of a run: one file that opens from disk and needs nothing else."""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.report.brain_data import read_metrics
from cornet.report.brain_plots import BrainTables, Picture, draw_pictures, read_brain_tables
from cornet.report.curves import plot_curves
from cornet.report.page_style import HEAD
from cornet.report.page_tables import evaluations, summary_table
from cornet.report.sample_sheet import sample_sheet

__all__ = ["find_run_folder", "write_page"]

CAPTIONS = {
    "brain_scores.png": (
        "Score against epoch",
        "Each panel is one benchmark: a line that climbs from its untrained start (open circle, dotted) towards the "
        "dashed ceiling says that training made the network more brain-like there; bands are one standard error.",
    ),
    "brain_accuracy.png": (
        "Score against accuracy",
        "The path of training, from yellow (start) to dark (end): where it bends flat or down, the network still "
        "learnt to classify but did not become more brain-like; the dashed line is the ceiling.",
    ),
    "step_matrix.png": (
        "Which area and step predicts which region",
        "Rows are the network's areas with the step in brackets (from 0), columns are recorded regions, numbers raw "
        "scores with standard error; a red box marks the best of a column, and shading runs from zero to the best of "
        "the column over both tables.",
    ),
    "solution_times.png": (
        "Solution times",
        "Each dot is an image: the later the brain solves it (right), the later the network should (up); the dashed "
        "line is where both agree, and red ticks along the top are images that are never solved; "
        "Spearman is of the dots as drawn, whereas the score averages over splits.",
    ),
}
"""Heading and how to read it, of every picture."""


def write_page(folder: Path | str, stimuli: Sequence[tuple[str, Any]] | None = None) -> Path:
    """Write report.html into a run's folder, with the pictures beside it, and return its path.

    stimuli: sets to show samples of: (name, images), images uint8 (image, y, x, 3) or a list of such; the sheet is
    kept as stimuli.png, which later reports take. All that the folder lacks is left out, or said to be absent.
    Raises CornetError when there is neither metrics.csv nor scores.csv, when one of the folder's tables cannot be
    read, or when the page cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CornetError(f"{folder} is no folder; name the folder of a run.")
    tables, metrics = read_brain_tables(folder), read_metrics(folder)
    if tables.scores is None and metrics is None:
        raise CornetError(
            f"{folder} has no metrics.csv and no scores.csv with numbers; name the folder of a run."
        )
    if stimuli:
        atomic_write(folder / "stimuli.png", sample_sheet(stimuli))
    finished = _json(folder / "finished.json")
    pictures = draw_pictures(tables, narrow=True)
    for picture in pictures:
        atomic_write(folder / picture.name, picture.wide)
    if metrics is not None:
        _draw_curves(folder, metrics, finished)
    names = [name for name, _ in stimuli or ()]
    page = _page(folder, tables, finished, pictures, names)
    atomic_write(folder / "report.html", page)
    return folder / "report.html"


def find_run_folder(path: Path | str) -> Path:
    """The run's folder: the one named, or the only one below it; runs moved aside (.old1) are left out.

    Raises CornetError when there is no such folder, no run in it, or several.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise CornetError(f"{path} is no folder; name the folder of a run.")
    if _has_numbers(path):
        return path
    below = [one for depth in ("*", "*/*", "*/*/*") for one in sorted(path.glob(depth))]
    found = [one for one in below if one.is_dir() and ".old" not in one.name and _has_numbers(one)]
    if len(found) > 1:
        shown = ", ".join(map(str, found[:4])) + (" ..." if len(found) > 4 else "")
        raise CornetError(f"{path} holds {len(found)} runs; name one or several of {shown}.")
    if not found:
        raise CornetError(
            f"{path} has no metrics.csv and no scores.csv, nor a run below it; name a run's folder."
        )
    return found[0]


def _has_numbers(folder: Path) -> bool:
    return (folder / "metrics.csv").is_file() or (folder / "scores.csv").is_file()


def _page(
    folder: Path,
    tables: BrainTables,
    finished: dict[str, Any],
    pictures: list[Picture],
    stimuli: Sequence[str],
) -> str:
    title = _title(folder, finished)
    scores = tables.scores
    parts = [f"<h1>{escape(title)}</h1>", _lede(folder, finished, scores is not None), _banner(tables)]
    parts.append("<h2>Brain scores</h2>")
    if scores is None:
        parts.append(
            "<p>No brain scores: there is no scores.csv; the run had no benchmarks, or has not come to them yet.</p>"
        )
    else:
        parts += [_failures(scores), summary_table(scores)]
    parts += [_brain_figure(picture) for picture in pictures]
    if scores is not None and not np.isfinite(scores["top1"]).any():
        parts.append("<p class=small>No plot against accuracy: none was measured when scores were taken.</p>")
    parts += [_curves(folder), _stimuli(folder, stimuli)]
    if scores is not None:
        parts += [_notes(scores), evaluations(scores)]
    parts.append(_made_with(folder))
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{HEAD}\n<title>{escape(title)}</title>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _title(folder: Path, finished: Mapping[str, Any]) -> str:
    if "network" in finished and "data" in finished:
        return f"{finished['network']} on {finished['data']}"
    return f"Run {folder.absolute().name}"


def _lede(folder: Path, finished: Mapping[str, Any], scored: bool) -> str:
    """What the page is, and the run in one line."""
    facts = []
    if finished:
        number = {"parameters": "parameters", "train_images": "training images", "epochs": "epochs"}
        facts = [
            f"{finished[key]:,} {word}" for key, word in number.items() if isinstance(finished.get(key), int)
        ]
        if isinstance(finished.get("steps"), list):
            facts.append("steps V1/V2/V4/IT " + "/".join(map(str, finished["steps"])))
        if isinstance(finished.get("best"), float):
            facts.append(f"best top-1 {finished['best']:.3f} (epoch {finished.get('best_epoch', '?')})")
        if isinstance(finished.get("chance"), float):
            facts.append(f"chance {finished['chance']:.3f}")
    else:
        facts.append("not finished: what is there so far")
    what = "How a network learnt to name objects."
    if scored:
        what = (
            "How a network that learnt to name objects came to resemble the primate ventral stream: its scores on "
            "benchmarks, taken while it was trained."
        )
    return (
        f"<p>{what}</p>\n"
        f"<p class=facts>{escape('; '.join(facts))}.</p>\n"
        f"<p class='facts path'>Run: {escape(str(folder))}</p>"
    )


def _banner(tables: BrainTables) -> str:
    simulated: dict[str, bool] = {}
    for table in (tables.scores, tables.times):
        if table is not None:
            for name, flag in zip(table["benchmark"], table["simulated"], strict=True):
                simulated[str(name)] = simulated.get(str(name), False) or bool(flag)
    names = [name for name, flag in simulated.items() if flag]
    if not names:
        return ""
    what = "all benchmarks on this page" if len(names) == len(simulated) else escape(", ".join(names))
    return (
        f'<div class="banner" role="note"><p><strong>Simulated:</strong> {what}. No brain was recorded for '
        "these; they check that the pipeline works, and say nothing about brains.</p></div>"
    )


def _failures(scores: pd.DataFrame) -> str:
    """What failed last, before any number."""
    failed = scores[scores["failure"] != ""]
    if failed.empty:
        return ""
    told = _counted((row.benchmark, row.failure) for row in failed.itertuples())
    return f'<div class="banner failure" role="note"><p><strong>Not everything was scored.</strong></p>{told}</div>'


def _notes(scores: pd.DataFrame) -> str:
    noted = scores[scores["notes"] != ""]
    if noted.empty:
        return ""
    return f"<h2>Notes</h2>\n{_counted((row.benchmark, row.notes) for row in noted.itertuples())}"


def _counted(pairs: Iterable[tuple[Any, Any]]) -> str:
    """Each text once, with how many evaluations it belongs to."""
    counts: dict[tuple[str, str], int] = {}
    for benchmark, text in pairs:
        key = (str(benchmark), str(text).rstrip("."))
        counts[key] = counts.get(key, 0) + 1
    items = [
        f"<li><strong>{escape(benchmark)}</strong>: {escape(text)} "
        f"<span class=small>({count} evaluation{'s' if count > 1 else ''})</span></li>"
        for (benchmark, text), count in counts.items()
    ]
    return f"<ul>{''.join(items)}</ul>"


def _brain_figure(picture: Picture) -> str:
    heading, caption = CAPTIONS[picture.name]
    return f"<h2>{heading}</h2>\n" + _figure(picture.wide, f"{heading}. {caption}", caption, picture.narrow)


def _figure(content: bytes, alt: str, caption: str, narrow: bytes | None = None) -> str:
    """narrow: taken instead on narrow screens; without it a picture is scrolled there."""
    # All pictures at one scale, so that their letters are of one size; 1040 px are 9 inches.
    with Image.open(io.BytesIO(content)) as picture:
        width = round(picture.width * 1040 / 1350)
    image = f'<img src="{_data(content)}" alt="{escape(alt)}" width="{width}">'
    if narrow is None:
        inner = f'<div class="scroll wide" tabindex="0">{image}</div>'
    else:
        inner = f'<picture><source media="(max-width: 600px)" srcset="{_data(narrow)}">{image}</picture>'
    return f"<figure>{inner}<figcaption>{escape(caption)}</figcaption></figure>"


def _data(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _curves(folder: Path) -> str:
    content = _picture(folder / "curves.png")
    if content is None:
        return ""
    caption = (
        "Loss and accuracy while training: validation (dashed in the left panel) that stops falling while training "
        "goes on falling means that the network learns its images by heart."
    )
    return "<h2>Learning curves</h2>\n" + _figure(content, "Learning curves. " + caption, caption)


def _stimuli(folder: Path, names: Sequence[str]) -> str:
    content = _picture(folder / "stimuli.png")
    if content is None:
        return ""
    caption = "Samples of what the network was shown" + (": " + ", ".join(names) if names else "") + "."
    return "<h2>Sample stimuli</h2>\n" + _figure(content, caption, caption)


def _made_with(folder: Path) -> str:
    """Configuration and versions, folded."""
    parts = []
    try:
        config = (folder / "config.yaml").read_text()
        parts.append(
            f"<details><summary>Configuration (config.yaml)</summary><pre>{escape(config)}</pre></details>"
        )
    except (OSError, UnicodeDecodeError):
        parts.append("<p class=small>The configuration is not known: there is no readable config.yaml.</p>")
    versions = _json(folder / "versions.json")
    if versions:
        rows = "".join(
            f"<tr><th scope=row>{escape(key)}</th><td>{escape(value)}</td></tr>"
            for key, value in _flat(versions)
        )
        parts.append(
            f"<details><summary>Versions</summary><div class=scroll><table class=words>{rows}</table></div></details>"
        )
    return "<h2>What it was made with</h2>\n" + "\n".join(parts)


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in node.items():
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            value = {str(k + 1): one for k, one in enumerate(value)}
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key} ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append((f"{prefix}{key}", text if value not in (None, [], "") else "-"))
    return found


def _json(path: Path) -> dict[str, Any]:
    """A damaged or absent file tells nothing: the report is made without it."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _picture(path: Path) -> bytes | None:
    """A whole picture, or None."""
    try:
        with Image.open(path) as image:
            image.verify()
        return path.read_bytes()
    except Exception:  # a damaged picture fails in many ways
        return None


def _draw_curves(folder: Path, metrics: pd.DataFrame, finished: Mapping[str, Any]) -> None:
    """Anew when training has gone on since."""
    path = folder / "curves.png"
    if path.is_file() and path.stat().st_mtime >= (folder / "metrics.csv").stat().st_mtime:
        return
    title = _title(folder, finished)
    plot_curves({title: metrics}, path, chance=finished.get("chance"), title=title)
