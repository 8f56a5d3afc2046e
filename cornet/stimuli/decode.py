"""Decode image files.

JPEG files are decoded by simplejpeg (libjpeg-turbo) in strict mode; otherwise libjpeg fills damaged data with grey.
Strict mode also rejects the rare file with stray bytes before the end marker. Pillow decodes other formats and CMYK
JPEG, chosen by content, not by name.

Decoding at reduced size (libjpeg's DCT scaling) is not used: on 100 ImageNet photographs, it changed crops by 4 grey
levels on average (14 at most), and was slower than full size, as few of its scales are vectorised.
"""

import io
import warnings

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from cornet.errors import CornetError

__all__ = ["BadImage", "decode_image"]

MAX_PIXELS = 100_000_000
"""Larger images are rejected by their header, before memory is allocated."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
"""Formats that Pillow may open; parsers of rarer formats are an unnecessary risk."""


class BadImage(CornetError):
    """An image file that cannot be decoded completely, with the reason."""


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode an image file to (y, x, 3) RGB uint8, writable.

    Grey becomes three equal channels. 16-bit grey is divided by 257 and rounded; 16-bit colour, and 16-bit grey with
    alpha, keep their high byte. Transparency is blended with white; a PNG's transparent colour (tRNS) is compared at
    full depth. Animations and multi-page files yield their first frame. EXIF orientation is ignored, as in the tools
    behind ImageNet's published results; so are a PNG's gamma (gAMA) and all colour profiles.

    Raises BadImage if the data are empty, truncated, damaged, not an image, or have more than MAX_PIXELS, and for
    32-bit integer or floating-point pixels, whose white level is unknown.
    """
    if not data:
        raise BadImage("the file is empty")
    if data[:2] == b"\xff\xd8":
        return _decode_jpeg(data)
    return _decode_other(data)


def _decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # a damaged header, or a chroma subsampling unknown to libjpeg-turbo
        return _decode_other(data)
    _check_size(int(width), int(height))
    ink = colors in ("CMYK", "YCCK")
    try:
        pixels = simplejpeg.decode_jpeg(data, "CMYK" if ink else "RGB", strict=True)
    except ValueError as error:
        raise BadImage(f"the JPEG data are damaged ({error})") from None
    return _decode_other(data) if ink else pixels


def _decode_other(data: bytes) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            # Warnings are about unused EXIF data, and about sizes, which are checked below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(*image.size)
                if isinstance(image, TiffImageFile):  # a tile may be larger than the image
                    _check_size(image.tag_v2.get(TILEWIDTH, 0), image.tag_v2.get(TILELENGTH, 0))
                return _to_rgb(image, data)
    except BadImage:
        raise
    except Image.UnidentifiedImageError:
        raise BadImage(f"the data are not an image in any of the formats {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's plugins raise OSError, ValueError, SyntaxError, struct.error, ...
        raise BadImage(f"the image data are damaged ({error})") from None


def _to_rgb(image: ImageFile.ImageFile, data: bytes) -> NDArray[np.uint8]:
    if image.mode in ("I", "F"):
        raise BadImage(
            f"its pixels are {'32-bit integers' if image.mode == 'I' else 'floating-point numbers'}"
        )
    clear = _transparent(image, data)
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clip it at 255
        grey = ((np.asarray(image).astype(np.int64) + 128) // 257).astype(np.uint8)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
    elif clear is None and image.has_transparency_data:
        picture = image.convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        pixels = np.array(Image.alpha_composite(page, picture).convert("RGB"))
    else:
        pixels = np.array(image.convert("RGB"))
    if clear is not None:
        pixels[clear] = 255
    return pixels


def _transparent(image: ImageFile.ImageFile, data: bytes) -> NDArray[np.bool_] | None:
    """Mask (y, x) of pixels with a PNG's transparent colour (tRNS); None if it has none.

    Pillow widens 2- and 4-bit samples and drops the low bytes of 16-bit ones, but leaves this colour unchanged. For
    1-bit images it treats any grey but 0 as white, although only the lowest bit counts.
    """
    color = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("1", "L", "I;16", "RGB") or color is None:
        return None
    raw = str(image.tile[0].args)  # how Pillow unpacks the samples; unavailable after loading
    samples = np.asarray(image).astype(np.int64)
    if raw == "RGB;16B":
        with Image.open(io.BytesIO(data), formats=("PNG",)) as low:
            low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # the other byte of each sample
            samples = samples << 8 | np.asarray(low)
    if image.mode == "1":
        color = _lowest_bit(data)
    bits = 16 if "16" in raw else {"1": 1, "L;2": 2, "L;4": 4}.get(raw, 8)
    samples >>= 8 - bits if image.mode == "L" else 0
    matches = samples == np.asarray(color) & (1 << bits) - 1
    return matches if matches.ndim == 2 else matches.all(axis=2)


def _lowest_bit(data: bytes) -> int:
    """Lowest bit of the grey value in a PNG's tRNS chunk. The chunk must exist."""
    place = 8
    while data[place + 4 : place + 8] not in (b"tRNS", b""):
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return int.from_bytes(data[place + 8 : place + 10], "big") & 1


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImage(
            f"its header says {width} x {height} pixels, which exceeds the maximum of {MAX_PIXELS:,}"
        )
