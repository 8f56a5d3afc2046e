"""report.html of a run: one file that opens from disk and needs nothing else."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.names import set_aside
from cornet.opening import read_bytes
from cornet.report.brain_data import read_logged, read_metrics
from cornet.report.brain_plots import BrainTables, Picture, draw_pictures, read_brain_tables
from cornet.report.curves import plot_curves
from cornet.report.page_figures import brain_figure, figure, whole_picture
from cornet.report.page_notes import banner, lacking, notes
from cornet.report.page_stimuli import stimuli_section
from cornet.report.page_style import HEAD
from cornet.report.page_tables import evaluations, summary_table
from cornet.report.page_times import times_table
from cornet.saved_config import config_text

__all__ = ["find_run_folder", "write_page"]


def write_page(folder: Path | str) -> Path:
    """Write report.html into a run's folder, with the pictures beside it, and return its path.

    All that the folder lacks is left out, or said to be absent. Raises CornetError when there is neither metrics.csv
    nor scores.csv, when one of the folder's tables cannot be read, or when the page cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CornetError(f"{folder} is no folder; name the folder of a run.")
    tables = read_brain_tables(folder)
    metrics, curves = (read_metrics(folder), None) if _drawn(folder) else read_logged(folder)
    if tables.scores is None and metrics is None:
        raise CornetError(
            f"{folder} has no metrics.csv and no scores.csv with numbers; name the folder of a run."
        )
    finished = _json(folder / "finished.json")
    pictures = draw_pictures(tables, narrow=True)
    for picture in pictures:
        atomic_write(folder / picture.name, picture.wide)
    if curves is not None:
        title, chance = _title(folder, finished), finished.get("chance")
        plot_curves(
            {title: curves}, folder / "curves.png", chance if isinstance(chance, float) else None, title
        )
    page = _page(folder, tables, metrics, finished, pictures)
    atomic_write(folder / "report.html", page)
    return folder / "report.html"


def find_run_folder(path: Path | str) -> Path:
    """The run's folder: the one named, or the only one below it; runs that are `set_aside` are left out.

    Raises CornetError when there is no such folder, no run in it, or several.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise CornetError(f"{path} is no folder; name the folder of a run.")
    if _has_numbers(path):
        return path
    below = [one for depth in ("*", "*/*", "*/*/*") for one in sorted(path.glob(depth))]
    found = [one for one in below if one.is_dir() and not set_aside(one) and _has_numbers(one)]
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
    metrics: pd.DataFrame | None,
    finished: dict[str, Any],
    pictures: list[Picture],
) -> str:
    title = _title(folder, finished)
    scores = tables.scores
    parts = [f"<h1>{escape(title)}</h1>", _lede(folder, finished, scores is not None), banner(tables)]
    parts.append("<h2>Brain scores</h2>")
    if scores is None:
        parts.append(
            "<p>No brain scores: there is no scores.csv; the run had no benchmarks, or has not come to them yet.</p>"
        )
    else:
        parts += [lacking(scores), summary_table(scores)]
    for picture in pictures:
        parts.append(brain_figure(picture))
        if picture.name == "solution_times.png":
            parts.append(times_table(tables.times, metrics))
    if scores is not None and not np.isfinite(scores["top1"]).any():
        parts.append("<p class=small>No plot against accuracy: none was measured when scores were taken.</p>")
    parts += [_curves(folder), stimuli_section(folder)]
    if scores is not None:
        parts += [notes(scores), evaluations(scores, metrics)]
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
            facts.append("steps from V1 to IT " + "/".join(map(str, finished["steps"])))
        if isinstance(finished.get("best"), float):
            what = str(finished.get("monitor", "val/top1")).removeprefix("val/").replace("top1", "top-1")
            facts.append(f"best {what} {finished['best']:.3f} (epoch {finished.get('best_epoch', '?')})")
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


def _curves(folder: Path) -> str:
    content = whole_picture(folder / "curves.png")
    if content is None:
        return ""
    caption = (
        "Loss and accuracy while training: validation (dashed in the left panel) that stops falling while training "
        "goes on falling means that the network learns its images by heart."
    )
    return "<h2>Learning curves</h2>\n" + figure(content, "Learning curves. " + caption, caption)


def _made_with(folder: Path) -> str:
    """Configuration and versions, folded."""
    parts = []
    config = config_text(folder)
    if config is not None:
        parts.append(
            f"<details><summary>Configuration (config.yaml)</summary><pre>{escape(config)}</pre></details>"
        )
    else:
        parts.append("<p class=small>The configuration is not known: there is no readable config.yaml.</p>")
    versions = _json(folder / "versions.json")
    images = _json(folder / "images.json")
    if images:
        versions["images"] = [images.get("fingerprint", ""), *images.get("continued_with", [])]
    if versions:
        rows = "".join(
            f"<tr><th scope=row>{escape(key)}</th><td>{escape(value)}</td></tr>"
            for key, value in _flat(versions)
        )
        table = f"<div class=scroll><table class=words>{rows}</table></div>"
        parts.append(f"<details><summary>Versions, machine, images</summary>{table}</details>")
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
        content = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _drawn(folder: Path) -> bool:
    """Whether curves.png is there, and no older than what it is drawn from."""
    curves, metrics = folder / "curves.png", folder / "metrics.csv"
    if not (curves.is_file() and metrics.is_file()):
        return False
    return curves.stat().st_mtime >= metrics.stat().st_mtime
