"""Contact sheets: many small images on one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cornet.errors import CornetError

__all__ = ["contact_sheet"]

_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def contact_sheet(
    images: Sequence[Any] | Any,
    columns: int,
    labels: Sequence[str] | None = None,
    *,
    rows: Sequence[str] | None = None,
    scale: int = 1,
    gap: int = 2,
) -> Image.Image:
    """Lay images out in rows, left to right and top to bottom.

    images: uint8 arrays or tensors, each (y, x), (y, x, 1), (y, x, 3), (1, y, x) or (3, y, x), or PIL
    images; sizes may differ (smaller images are centred in their tile). columns: tiles per row. labels: captions
    below the tiles, one per image. rows: captions left of the rows. scale: integer factor of enlargement
    (nearest neighbour). gap: pixels between tiles. Returns an "L" image if all images are grayscale and there are
    no captions, else "RGB". Raises CornetError for invalid arguments.
    """
    tiles = [_to_pil(image, k) for k, image in enumerate(images)]
    if not tiles:
        raise CornetError("images is empty, but a sheet needs at least one image; give one.")
    for name, value in (("columns", columns), ("scale", scale)):
        if not isinstance(value, int) or value < 1:
            raise CornetError(f"{name}={value!r} must be a whole number of at least 1; give such a number.")
    lines = -(-len(tiles) // columns)
    for name, captions, expected in (("labels", labels, len(tiles)), ("rows", rows, lines)):
        if captions is not None and len(captions) != expected:
            raise CornetError(
                f"{name} has {len(captions)} captions, but the sheet needs {expected}; give one each."
            )
    tiles = [
        tile.resize((tile.width * scale, tile.height * scale), Image.Resampling.NEAREST) for tile in tiles
    ]
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    font = ImageFont.load_default(max(10, min(16, width // 7)))
    line = round(font.size * 1.4) if isinstance(font, ImageFont.FreeTypeFont) else 14
    left = 0 if rows is None else round(max(font.getlength(text) for text in rows)) + 8
    step_x, step_y = width + gap, height + gap + (0 if labels is None else line)
    gray = labels is None and rows is None and all(tile.mode == "L" for tile in tiles)
    sheet = Image.new(
        "L" if gray else "RGB",
        (left + columns * step_x - gap, lines * step_y - gap),
        _PAPER[0] if gray else _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for k, tile in enumerate(tiles):
        x, y = left + k % columns * step_x, k // columns * step_y
        sheet.paste(tile, (x + (width - tile.width) // 2, y + (height - tile.height) // 2))
        if labels is not None:
            pen.text((x + width / 2, y + height), _truncate(labels[k], font, width), _INK, font, anchor="ma")
    for k, text in enumerate(rows or ()):
        pen.text((4, k * step_y + height / 2), text, _INK, font, anchor="lm")
    return sheet


def _truncate(text: str, font: Any, width: int) -> str:
    """Shorten the text until it fits."""
    while len(text) > 1 and font.getlength(text) > width:
        text = text.rstrip("~")[:-1] + "~"
    return text


def _to_pil(image: Any, index: int) -> Image.Image:
    """Convert an image to PIL, "L" or "RGB"."""
    if isinstance(image, Image.Image):
        return image if image.mode == "L" else image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3) and pixels.shape[0] in (1, 3):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 3)):
        raise CornetError(
            f"Image {index} is {pixels.dtype} of shape {pixels.shape}, but a sheet takes uint8 of (y, x), (y, x, 3)"
            " or (3, y, x); convert it first."
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
