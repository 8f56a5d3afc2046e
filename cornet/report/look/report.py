"""Write the pictures and the page of `cornet look`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cornet.files import atomic_write
from cornet.report.look.inside import Filters, Inside
from cornet.report.look.pictures import coloured, filter_tile, overlay, rows_of, scale_of
from cornet.report.look.plots import draw_picture, draw_read_out, step_label, top_classes
from cornet.report.metamers.report import png_of
from cornet.report.render import data_address, number, page, part

__all__ = ["look_page", "write_look"]


def write_look(
    model: str, filters: Filters | None, seen: Sequence[Inside], notes: Sequence[str], folder: Path
) -> Path:
    """Write look.png (of the first image; look-2.png of the second, ...) and look.html; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, inside in enumerate(seen):
        name = "look.png" if place == 0 else f"look-{place + 1}.png"
        atomic_write(folder / name, draw_picture(filters, inside, f"{model}: {inside.name}"))
    path = folder / "look.html"
    atomic_write(path, look_page(model, filters, seen, notes))
    return path


def look_page(model: str, filters: Filters | None, seen: Sequence[Inside], notes: Sequence[str]) -> str:
    """Render the self-contained page: the filters, then a part for each image."""
    every = [*notes, *(text for one in seen for text in one.notes)]
    return page(
        f"Inside {model}",
        [
            part("look.lede", images=len(seen), size=seen[0].pixels.shape[0]),
            Markup() if filters is None else part("look.filters", **filter_tiles(filters)),
            *(part("look.image", **image_part(one, place, len(seen) > 1)) for place, one in enumerate(seen)),
            part("parts.notes", texts=list(dict.fromkeys(every))),
        ],
    )


def filter_tiles(filters: Filters) -> dict[str, Any]:
    tiles = [data_address(png_of(filter_tile(one))) for one in filters.values]
    sizes = sorted({one.shape[-1] for one in filters.values})
    side = f"{sizes[0]} x {sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return {"tiles": tiles, "name": filters.name, "total": filters.total, "side": side}


def image_part(inside: Inside, place: int, several: bool) -> dict[str, Any]:
    """The maps, saliency and read-out of an image."""
    read = inside.read
    areas = []
    for area in inside.areas:
        rows = []
        for label, maps in rows_of(area).items():
            ends = scale_of(maps)
            cells = [None if one is None else data_address(png_of(coloured(one, ends))) for one in maps]
            rows.append(
                {"label": label, "cells": cells, "ends": f"{number(ends[0], 2)} to {number(ends[1], 2)}"}
            )
        steps = [step_label(step, times) for step, times in enumerate(area.times)]
        shape = " x ".join(map(str, next(one for one in area.mean if one is not None).shape))
        areas.append({"name": area.name, "rows": rows, "steps": steps, "shape": shape})
    found: dict[str, Any] = {
        "name": inside.name,
        "label": inside.label,
        "several": several,
        "address": data_address(png_of(inside.pixels)),
        "areas": areas,
        "saliency": [],
        "drawing": Markup(),
        "chosen": "",
        "best": [],
    }
    if read is not None:
        found["chosen"] = read.classes[read.chosen]
        found["saliency"] = [
            {
                "address": data_address(png_of(overlay(inside.pixels, one))),
                "step": step_label(step, times),
                "text": f"{read.probabilities[k, read.chosen]:.2f}",
            }
            for k, (one, step, times) in enumerate(zip(read.saliency, read.steps, read.times, strict=True))
        ]
        found["drawing"] = Markup(draw_read_out(read, f"read{place}"))
        found["best"] = [(read.classes[k], f"{read.probabilities[-1, k]:.2f}") for k in top_classes(read)]
    return found
