"""A few stimuli of each set on one picture."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from cornet.errors import CornetError
from cornet.stimuli.sheet import contact_sheet

__all__ = ["sample_sheet"]

ACROSS, SIDE = 8, 112


def sample_sheet(sets: Sequence[tuple[str, Any]], across: int = ACROSS, side: int = SIDE) -> bytes:
    """PNG: a row for each set, of samples taken at even distances.

    sets: (name, images), images uint8 (image, y, x), (image, y, x, 3) or (image, 3, y, x), or a list of such images
    or of PIL images. across: samples a row. side: pixels a side of each. Raises CornetError.
    """
    tiles: list[Image.Image] = []
    blank = Image.new("RGB", (side, side), "white")
    for name, images in sets:
        if len(images) == 0:
            raise CornetError(
                f"The stimuli {name!r} are no images at all; give at least one, or leave the set out."
            )
        chosen = np.unique(np.linspace(0, len(images) - 1, across).round().astype(int))
        row = [contact_sheet([images[k]], 1) for k in chosen]
        row = [tile.convert("RGB").resize((side, side), Image.Resampling.BICUBIC) for tile in row]
        tiles += row + [blank] * (across - len(row))
    names = [name if len(name) <= 22 else f"{name[:12]}...{name[-7:]}" for name, _ in sets]
    content = io.BytesIO()
    contact_sheet(tiles, across, rows=names, gap=4).save(content, format="png")
    return content.getvalue()
