"""PNG files of every bit depth and colour type, written by hand, against what the PNG specification says of them.

Written by: samples are packed, filtered with type 0, interlaced as Adam7, compressed; no image library has a part in
it. Expected: samples scaled to 8 bits as `decode_image` promises, and laid on white by their alpha.
"""

import itertools
import struct
import zlib

import numpy as np
import pytest

from cornet.stimuli.decode import decode_image

HEIGHT, WIDTH = 13, 11
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KINDS = [(color, depth) for color, depths in DEPTHS.items() for depth in depths]
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def packed(samples: np.ndarray, depth: int) -> bytes:
    """Rows (y, x, channel) of samples, each after the byte of its filter."""
    rows = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            rows += b"\0" + row.astype(">u2").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth)[::-1]) & 1
            rows += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    return rows


def write_png(samples: np.ndarray, color: int, depth: int, interlaced: bool, chunks: bytes = b"") -> bytes:
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
    data = b"".join(packed(part, depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def scaled(samples: np.ndarray, color: int, depth: int) -> np.ndarray:
    """Samples of `depth` bits as 8 bits."""
    if depth == 16:
        return np.round(samples / 257) if color == 0 else samples >> 8
    return samples * (255 // (2**depth - 1))


def expected(samples: np.ndarray, alpha: np.ndarray, color: int, depth: int) -> np.ndarray:
    """Laid on white. samples: (y, x, 1 or 3); alpha: (y, x), 0 to 1."""
    shown = scaled(samples, color, depth) * alpha[..., None] + 255 * (1 - alpha[..., None])
    return np.broadcast_to(shown, (*alpha.shape, 3))


def check(data: bytes, wanted: np.ndarray, mixed: bool = False) -> None:
    """Exact, but for rounding where colours are mixed."""
    found = decode_image(data)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= (1 if mixed else 0)


def draw(color: int, depth: int) -> np.ndarray:
    """Random samples, with black, white and neighbours that differ in the lowest bit only."""
    rng = np.random.default_rng(color * 100 + depth)
    samples = rng.integers(0, 2**depth, (HEIGHT, WIDTH, CHANNELS[color]), dtype=np.int64)
    samples[0, :2], samples[1, 1] = [[0], [2**depth - 1]], samples[1, 0] ^ 1
    return samples


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("color", "depth"), KINDS)
def test_every_kind(color: int, depth: int, interlaced: bool) -> None:
    samples = draw(color, depth)
    opaque = np.ones(samples.shape[:2])
    if color == 3:
        palette = np.random.default_rng(depth).integers(0, 256, (2**depth, 3))
        data = write_png(samples, 3, depth, interlaced, chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
        check(data, palette[samples[..., 0]])
        alphas = np.arange(2**depth)[:200] * 37 % 256  # fewer than colours: the others are opaque
        table = np.append(alphas, np.full(2**depth, 255))[: 2**depth] / 255
        more = chunk(b"PLTE", palette.astype(np.uint8).tobytes()) + chunk(b"tRNS", bytes(alphas.tolist()))
        seen = expected(palette[samples[..., 0]], table[samples[..., 0]], 2, 8)
        check(write_png(samples, 3, depth, interlaced, more), seen, mixed=True)
    elif color in (4, 6):
        alpha = scaled(samples[..., -1], color, depth) / 255
        seen = expected(samples[..., :-1], alpha, color, depth)
        check(write_png(samples, color, depth, interlaced), seen, mixed=True)
    else:
        check(write_png(samples, color, depth, interlaced), expected(samples, opaque, color, depth))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("color", "depth"), [kind for kind in KINDS if kind[0] in (0, 2)])
def test_a_transparent_colour_shows_white(color: int, depth: int, interlaced: bool) -> None:
    """Of exactly that colour; a neighbour that differs in the lowest bit stays, and unused high bits do not count."""
    samples = draw(color, depth)
    for clear, high in itertools.product((samples[0, 0], samples[0, 1], samples[1, 0]), (0, 1 << depth)):
        if high and depth == 16:
            continue
        marked = struct.pack(f">{len(clear)}H", *(clear + high))
        alpha = 1.0 - (samples == clear).all(axis=2)
        assert alpha.min() == 0
        assert alpha.max() == 1
        data = write_png(samples, color, depth, interlaced, chunk(b"tRNS", marked))
        check(data, expected(samples, alpha, color, depth))


def test_gamma_is_ignored() -> None:
    samples = draw(2, 8)
    plain = decode_image(write_png(samples, 2, 8, False))
    for gamma in (45455, 100000, 220000):
        data = write_png(samples, 2, 8, False, chunk(b"gAMA", struct.pack(">I", gamma)))
        assert (decode_image(data) == plain).all()
