"""Contact sheets: many small images on one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cornet.errors import CornetError

__all__ = ["contact_sheet"]

_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def contact_sheet(
    images: Sequence[Any] | Any, columns: int, labels: Sequence[str] | None = None, *, gap: int = 2
) -> Image.Image:
    """Lay images out in rows, left to right and top to bottom.

    images: uint8 arrays or tensors, each (y, x), (y, x, 1), (y, x, 3), (1, y, x) or (3, y, x), or PIL
    images; sizes may differ (smaller images are centred in their tile). columns: tiles per row. labels: captions
    below the tiles, one per image. gap: pixels between tiles. Returns an "L" image if all images are greyscale and
    there are no captions, else "RGB". Raises CornetError for invalid arguments.
    """
    tiles = [_to_pil(image, k) for k, image in enumerate(images)]
    if not tiles:
        raise CornetError("images is empty, but a sheet needs at least one image; give one.")
    if not isinstance(columns, int) or columns < 1:
        raise CornetError(f"columns={columns!r} must be a whole number of at least 1; give such a number.")
    if labels is not None and len(labels) != len(tiles):
        raise CornetError(
            f"labels has {len(labels)} captions, but the sheet needs {len(tiles)}; give one each."
        )
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    font = ImageFont.load_default(max(10, min(16, width // 7)))
    line = round(font.size * 1.4) if isinstance(font, ImageFont.FreeTypeFont) else 14
    step_x, step_y = width + gap, height + gap + (0 if labels is None else line)
    grey = labels is None and all(tile.mode == "L" for tile in tiles)
    sheet = Image.new(
        "L" if grey else "RGB",
        (columns * step_x - gap, -(-len(tiles) // columns) * step_y - gap),
        _PAPER[0] if grey else _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for k, tile in enumerate(tiles):
        x, y = k % columns * step_x, k // columns * step_y
        sheet.paste(tile, (x + (width - tile.width) // 2, y + (height - tile.height) // 2))
        if labels is not None:
            pen.text((x + width / 2, y + height), _truncate(labels[k], font, width), _INK, font, anchor="ma")
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
