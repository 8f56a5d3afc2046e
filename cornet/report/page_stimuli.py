"""Sample stimuli on a report: what `cornet.training.sample_stimuli` left in the run's folder, a set a figure."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from cornet.opening import read_bytes
from cornet.report.brain_data import read_json
from cornet.report.render import data_address, part

__all__ = ["stimuli_section", "whole_picture"]


def stimuli_section(folder: Path) -> Markup:
    """HTML: each set's samples with what they are; nothing where the folder has none. What is damaged is left out."""
    try:
        told = read_json(folder / "stimuli" / "sets.json")
        found = [_set(folder / "stimuli", one, told["screen"]) for one in told["sets"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return Markup()
    sets = [one for one in found if one["tiles"]]
    return part("run.stimuli", sets=sets) if sets else Markup()


def whole_picture(path: Path) -> bytes | None:
    """A picture's file; None where it is absent or damaged."""
    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        return content
    except Exception:  # a damaged picture fails in many ways
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
    """Of whom these are, how they were chosen, and what is seen of them."""
    size, across = int(screen["size"]), float(screen["degrees"])
    if one["degrees"] is None:
        extent = "of a visual angle that nobody told, so that they fill the screen"
    else:
        extent = f"that span {float(one['degrees']):g} degrees"
    spread = "at even distances in their table"
    if one["column"]:
        spread = f"spread over the {int(one['kinds']):,} kinds of {one['column']}"
    return (
        f"{int(one['count']):,} stimuli {extent}; used by {', '.join(map(str, one['benchmarks']))}. "
        f"Here are {shown}, {spread}, as the network sees them: in their place on its screen of {size} x {size} "
        f"pixels, which spans {across:g} degrees."
    )


def _tiles(path: Path, side: int, gap: int, count: int) -> list[bytes]:
    """The samples of a sheet, without what is written under them; none where the sheet is not whole."""
    content = whole_picture(path)
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
