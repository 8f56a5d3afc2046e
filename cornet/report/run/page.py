"""Write report.html of a run: one self-contained file that opens from disk."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.names import is_old_or_rerun
from cornet.opening import read_bytes
from cornet.report.curves import label, plot_curves, task_metric
from cornet.report.render import data_address, page, part, picture
from cornet.report.run.data import read_json, read_logged, read_metrics
from cornet.report.run.plots import BrainTables, Picture, draw_pictures, read_brain_tables
from cornet.report.run.sections import banner, evaluations, missing_scores, notes, summary_table, times_table
from cornet.report.seeds.seed_runs import folders_below
from cornet.runs.config import config_text

__all__ = ["chance_fact", "find_run_folder", "stimuli_section", "training_facts", "write_page"]


def write_page(folder: Path | str) -> Path:
    """Write report.html and its pictures into a run's folder, and return the page's path.

    Missing files are left out or reported as missing. Raises CornetError if both metrics.csv and scores.csv are
    missing, if a table cannot be read, or if the page cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CornetError(f"{folder} is not a folder; name the folder of a run.")
    tables, finished = read_brain_tables(folder), read_json(folder / "finished.json")
    metric, current = task_metric(finished), _curves_are_current(folder)
    metrics, curves = (read_metrics(folder), None) if current else read_logged(folder, metric)
    if tables.scores is None and metrics is None:
        raise CornetError(
            f"{folder} has no metrics.csv and no scores.csv with numbers; name the folder of a run."
        )
    pictures = draw_pictures(tables, narrow=True)
    for one in pictures:
        atomic_write(folder / one.name, one.wide)
    if curves is not None:
        title, chance = _title(folder, finished), finished.get("chance")
        drawn = chance if isinstance(chance, float) else None
        plot_curves({title: curves}, folder / "curves.png", drawn, title, metric)
    atomic_write(folder / "report.html", _page(folder, tables, metrics, finished, pictures))
    return folder / "report.html"


def find_run_folder(path: Path | str) -> Path:
    """Find the one run's folder at or below a folder, skipping `is_old_or_rerun` folders.

    Raises CornetError if the folder does not exist, or contains no run or several.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise CornetError(f"{path} is not a folder; name the folder of a run.")
    if _has_numbers(path):
        return path
    runs = [
        folder for folder in folders_below(path, 3) if not is_old_or_rerun(folder) and _has_numbers(folder)
    ]
    if len(runs) > 1:
        shown = ", ".join(map(str, runs[:4])) + (" ..." if len(runs) > 4 else "")
        raise CornetError(f"{path} contains {len(runs)} runs; name one or several of {shown}.")
    if not runs:
        raise CornetError(
            f"{path} has no metrics.csv and no scores.csv, and no run below it; name a run's folder."
        )
    return runs[0]


def _has_numbers(folder: Path) -> bool:
    return (folder / "metrics.csv").is_file() or (folder / "scores.csv").is_file()


def _page(
    folder: Path,
    tables: BrainTables,
    metrics: pd.DataFrame | None,
    finished: Mapping[str, Any],
    pictures: Sequence[Picture],
) -> str:
    scores = tables.scores
    parts = [
        _lede(folder, finished, scores is not None),
        banner(tables),
        part("parts.heading", text="Brain scores"),
    ]
    parts += [part("run.no_scores")] if scores is None else [missing_scores(scores), summary_table(scores)]
    for one in pictures:
        text = {"heading": one.heading, "caption": one.caption}
        parts.append(picture("run.picture", one.wide, one.narrow, name=one.name, **text))
        if one.name == "solution_times.png":
            parts.append(times_table(tables.times, metrics))
    if scores is not None and not np.isfinite(scores["task_value"]).any():
        parts.append(part("run.no_accuracy"))
    curves = read_picture(folder / "curves.png")
    if curves is not None:
        parts.append(picture("run.picture", curves, name="curves.png"))
    parts.append(stimuli_section(folder))
    if scores is not None:
        parts += [notes(scores), evaluations(scores, metrics)]
    return page(_title(folder, finished), [*parts, _made_with(folder)])


def _title(folder: Path, finished: Mapping[str, Any]) -> str:
    if "network" in finished and "data" in finished:
        return f"{finished['network']} on {finished['data']}"
    return f"Run {folder.absolute().name}"


def training_facts(finished: Mapping[str, Any]) -> list[str]:
    """Return short facts about the network and its training from finished.json."""
    words = {"parameters": "parameters", "train_images": "training images", "epochs": "epochs"}
    facts = [f"{finished[key]:,} {word}" for key, word in words.items() if isinstance(finished.get(key), int)]
    if isinstance(finished.get("steps"), list):
        facts.append("steps from V1 to IT " + "/".join(map(str, finished["steps"])))
    return facts


def chance_fact(finished: Mapping[str, Any]) -> list[str]:
    chance = finished.get("chance")
    return [f"chance {chance:.3f}"] if isinstance(chance, float) else []


def _lede(folder: Path, finished: Mapping[str, Any], scored: bool) -> Markup:
    """Render the introduction and the run's facts."""
    facts = training_facts(finished) if finished else ["not finished: results so far"]
    if isinstance(finished.get("best"), float):
        what = label(str(finished.get("monitor", task_metric(finished))))
        facts.append(f"best {what} {finished['best']:.3f} (epoch {finished.get('best_epoch', '?')})")
    text = "; ".join([*facts, *chance_fact(finished)])
    task = str(finished.get("task", "Classification"))
    return part("run.lede", scored=scored, facts=text, folder=str(folder), task=task)


def _made_with(folder: Path) -> Markup:
    """Render configuration and versions, folded."""
    versions, images = read_json(folder / "versions.json"), read_json(folder / "images.json")
    if images:
        versions["images"] = [images.get("fingerprint", ""), *images.get("continued_with", [])]
    return part("run.made_with", config=config_text(folder), versions=_version_rows(versions))


def _version_rows(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in node.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(k + 1): item for k, item in enumerate(value)}
        if isinstance(value, dict):
            rows += _version_rows(value, f"{prefix}{key} ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((f"{prefix}{key}", text if value not in (None, [], "") else "-"))
    return rows


def _curves_are_current(folder: Path) -> bool:
    """Return whether curves.png exists and is not older than metrics.csv."""
    curves, metrics = folder / "curves.png", folder / "metrics.csv"
    if not (curves.is_file() and metrics.is_file()):
        return False
    return curves.stat().st_mtime >= metrics.stat().st_mtime


def stimuli_section(folder: Path) -> Markup:
    """Render each stimulus set's samples and facts; empty if the folder has none. Damaged sets are left out."""
    try:
        content = read_json(folder / "stimuli" / "sets.json")
        sets = [_set(folder / "stimuli", one, content["screen"]) for one in content["sets"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return Markup()
    sets = [one for one in sets if one["tiles"]]
    return part("run.stimuli", sets=sets) if sets else Markup()


def read_picture(path: Path) -> bytes | None:
    """Read a picture's file. Return None if it is missing or damaged."""
    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        return content
    except Exception:  # Pillow raises many exceptions on damaged pictures
        return None


def _set(folder: Path, one: Mapping[str, Any], screen: Mapping[str, Any]) -> dict[str, Any]:
    labels = one["labels"]
    tiles = _tiles(folder / Path(str(one["file"])).name, int(one["side"]), int(one["gap"]), len(labels))
    shown = [
        {"address": data_address(tile), "label": str(label), "name": str(name)}
        for tile, label, name in (zip(tiles, labels, one["ids"], strict=True) if tiles else ())
    ]
    facts = _facts(one, screen, len(tiles)) if tiles else ""
    return {"name": str(one["name"]), "simulated": one["simulated"], "facts": facts, "tiles": shown}


def _facts(one: Mapping[str, Any], screen: Mapping[str, Any], shown: int) -> str:
    """Describe a stimulus set: its size and benchmarks, how the samples were chosen, and how they are shown."""
    size, across = int(screen["size"]), float(screen["degrees"])
    if one["degrees"] is None:
        extent = "of unknown visual angle, shown over the full screen"
    else:
        extent = f"that span {float(one['degrees']):g} degrees"
    selection = "at equal distances in the table"
    if one["column"]:
        selection = f"covering the {int(one['kinds']):,} values of {one['column']}"
    return (
        f"{int(one['count']):,} stimuli {extent}; used by {', '.join(map(str, one['benchmarks']))}. "
        f"The {shown} samples, {selection}, are shown as the network sees them: at their position on its screen of "
        f"{size} x {size} pixels, which spans {across:g} degrees."
    )


def _tiles(path: Path, side: int, gap: int, count: int) -> list[bytes]:
    """Cut the samples from a sheet, without their captions. Return [] if the sheet is damaged or incomplete."""
    content = read_picture(path)
    if content is None or side < 1 or gap < 0:
        return []
    with Image.open(io.BytesIO(content)) as sheet:
        if sheet.width < count * (side + gap) - gap or sheet.height < side:
            return []
        tiles = [sheet.crop((k * (side + gap), 0, k * (side + gap) + side, side)) for k in range(count)]
    return [_png(tile) for tile in tiles]


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="png", optimize=True)
    return content.getvalue()
