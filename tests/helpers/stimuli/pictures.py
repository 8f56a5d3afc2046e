"""Made-up photographs, and files and folders of them."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Something smooth with a little texture, (y, x, 3) uint8: JPEG keeps it well."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 16
    waves = [np.sin(a * y + b * x + c) for a, b, c in rng.uniform(0.3, 1.5, (3, 3))]
    return (
        (127 + 90 * np.stack(waves, -1) + rng.normal(0, 3, (height, width, 3))).clip(0, 255).astype(np.uint8)
    )


def encode(image: np.ndarray | Image.Image, format: str = "PNG", **options: object) -> bytes:
    """Write an image as Pillow does."""
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, format, **options)
    return file.getvalue()


def jpeg(image: np.ndarray, subsampling: str = "420", quality: int = 92) -> bytes:
    return simplejpeg.encode_jpeg(image, quality, "RGB", subsampling)


def png(width: int, height: int, depth: int, color_type: int, rows: bytes) -> bytes:
    """A PNG file from its raw rows (each preceded by the filter byte), for what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def with_size(data: bytes, height: int, width: int) -> bytes:
    """A JPEG whose header claims another size."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def pillow(data: bytes) -> np.ndarray:
    """Decode as ImageNet tools do."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def class_folders(
    root: Path, *, classes: int = 2, train: int = 3, val: int = 2, height: int = 48, width: int = 64
) -> Path:
    """train/ and val/ with JPEG files, a different picture in each; its folder."""
    seed = 0
    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            for item in range(count):
                path = root / split / f"n{label:04d}" / f"{split}_{item}.JPEG"
                write(path, jpeg(picture(height, width, seed := seed + 1)))
    return root
