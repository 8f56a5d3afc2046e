"""Sample stimuli on a report: what `cornet.training.sample_stimuli` left in the run's folder, a set a figure."""

import io
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from cornet.opening import read_bytes
from cornet.report.page_figures import data_address, whole_picture

__all__ = ["stimuli_section"]


def stimuli_section(folder: Path) -> str:
    """HTML: each set's samples with what they are; "" where the folder has none. What is damaged is left out."""
    try:
        told = json.loads(read_bytes(folder / "stimuli" / "sets.json"))
        screen, sets = told["screen"], told["sets"]
        figures = [_figure(folder / "stimuli", one, screen) for one in sets]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    found = [one for one in figures if one]
    return "\n".join(["<h2>Sample stimuli</h2>", *found]) if found else ""


def _figure(folder: Path, one: Mapping[str, Any], screen: Mapping[str, Any]) -> str:
    tiles = _tiles(
        folder / Path(str(one["file"])).name, int(one["side"]), int(one["gap"]), len(one["labels"])
    )
    if not tiles:
        return ""
    cells = [
        f'<div><img src="{data_address(tile)}" alt="{escape(f"stimulus {name}: {label}")}">'
        f'<span title="{escape(str(name))}">{escape(str(label))}</span></div>'
        for tile, label, name in zip(tiles, one["labels"], one["ids"], strict=True)
    ]
    tag = " <span class=tag>simulated</span>" if one["simulated"] else ""
    words = f"<strong>{escape(str(one['name']))}</strong>{tag}: {escape(_facts(one, screen, len(tiles)))}"
    return f'<figure><div class="samples">{"".join(cells)}</div><figcaption>{words}</figcaption></figure>'


def _facts(one: Mapping[str, Any], screen: Mapping[str, Any], shown: int) -> str:
    """Of whom these are, how they were chosen, and what is seen of them."""
    size, across = int(screen["size"]), float(screen["degrees"])
    if one["degrees"] is None:
        extent = "of a visual angle that nobody told, so that they fill the screen"
    else:
        extent = f"that span {float(one['degrees']):g} degrees"
    spread = "at even distances in their table"
    if one["column"]:
        kinds = int(one["kinds"])
        spread = f"spread over the {kinds:,} kinds of {one['column']}"
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
