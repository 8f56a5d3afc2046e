"""Background patterns of mean 0 and standard deviation 1, with the same structure at any image size.

noise: 1/f amplitude, the spectrum of natural scenes (Field 1987, J Opt Soc Am A). texture: one band of frequency and
orientation. leaves: overlapping discs (Lee, Mumford, Huang 2001, IJCV). scene: sky over ground. plain: uniform.
"""

from functools import lru_cache

import numpy as np

from cornet.stimuli.draws import bits, phases, uniform

__all__ = ["BACKGROUNDS", "pattern"]

BACKGROUNDS = ("noise", "texture", "leaves", "scene")
"""Kinds of background that "mixed" draws from (all except "plain")."""

_LEAVES = 48


def pattern(kind: str, seed: int, size: int) -> np.ndarray:
    """Make a pattern, (size, size) float32. kind: one of BACKGROUNDS, or "plain"."""
    if kind == "plain":
        return np.zeros((size, size), np.float32)
    made = _MAKERS[kind](seed, size)
    centred = made - made.mean()
    return centred / centred.std()


@lru_cache(maxsize=4)
def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertical and horizontal cycles per image of a half spectrum, and the drawing order: low frequencies first."""
    vertical, horizontal = np.meshgrid(
        np.fft.fftfreq(size, 1 / size), np.arange(size // 2 + 1), indexing="ij"
    )
    shell = np.maximum(np.abs(vertical), horizontal)
    order = np.lexsort((horizontal.ravel(), vertical.ravel(), shell.ravel()))
    return vertical.astype(np.float32), horizontal.astype(np.float32), order


def _filtered(seed: int, amplitude: np.ndarray) -> np.ndarray:
    """Make an image with given amplitudes, (size, size // 2 + 1), and random phases."""
    size = amplitude.shape[0]
    drawn = np.empty(amplitude.size, np.float32)
    drawn[_frequencies(size)[2]] = phases(seed, amplitude.size)
    angle = drawn.reshape(amplitude.shape)
    spectrum = np.empty(amplitude.shape, np.complex64)
    spectrum.real, spectrum.imag = amplitude * np.cos(angle), amplitude * np.sin(angle)
    return np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)


@lru_cache(maxsize=4)
def _falling(size: int, power: float) -> np.ndarray:
    vertical, horizontal, _ = _frequencies(size)
    frequency = np.sqrt(vertical**2 + horizontal**2)
    frequency[0, 0] = np.inf
    return frequency**-power


def _noise(seed: int, size: int) -> np.ndarray:
    return _filtered(seed, _falling(size, 1.1))


def _texture(seed: int, size: int) -> np.ndarray:
    angle, spread, octave = (uniform(seed, part)[0] for part in ("angle", "spread", "octave"))
    vertical, horizontal, _ = _frequencies(size)
    centre, width = np.float32(4 * 2**octave), np.float32(0.8 + 1.6 * spread)
    along = horizontal * np.float32(np.cos(np.pi * angle)) + vertical * np.float32(np.sin(np.pi * angle))
    across = vertical * np.float32(np.cos(np.pi * angle)) - horizontal * np.float32(np.sin(np.pi * angle))
    band = np.exp(-(((np.abs(along) - centre) / width) ** 2) - (across / (2 * width)) ** 2)
    grain = band / np.sqrt((band**2).sum()) + np.float32(0.6) * _falling(size, 1.1) / _falling_norm(size)
    return _filtered(seed, grain)


@lru_cache(maxsize=4)
def _falling_norm(size: int) -> np.float32:
    return np.float32(np.sqrt((_falling(size, 1.1) ** 2).sum()))


def _leaves(seed: int, size: int) -> np.ndarray:
    number = np.arange(_LEAVES, dtype=np.uint64)
    # Radii with density r^-3 between 0.05 and 0.4 of the image.
    low, high = 0.05**-2, 0.4**-2
    radius = (low + (high - low) * uniform(seed, "radius", number)) ** -0.5
    centre_x, centre_y = (1.2 * uniform(seed, axis, number) - 0.1 for axis in ("x", "y"))
    tone = uniform(seed, "tone", number).astype(np.float32) - np.float32(0.5)
    grid = ((np.arange(size) + 0.5) / size).astype(np.float32)
    image = np.float32(0.5) * _scaled_noise(seed, size)
    for k in np.argsort(-radius, kind="stable"):
        x, y, r = (float(value[k]) for value in (centre_x, centre_y, radius))
        i0, i1 = max(int((y - r) * size) - 1, 0), min(int((y + r) * size) + 2, size)
        j0, j1 = max(int((x - r) * size) - 1, 0), min(int((x + r) * size) + 2, size)
        if i0 >= i1 or j0 >= j1:
            continue
        distance = np.sqrt(
            (grid[i0:i1, None] - np.float32(y)) ** 2 + (grid[None, j0:j1] - np.float32(x)) ** 2
        )
        cover = np.clip((np.float32(r) - distance) * np.float32(size) + np.float32(0.5), 0, 1)
        window = image[i0:i1, j0:j1]
        window += cover * (tone[k] - np.float32(0.8) * window)
    return image


def _scaled_noise(seed: int, size: int) -> np.ndarray:
    noise = _noise(int(bits(seed, "noise")[0] >> np.uint64(1)), size)
    return noise / (noise.std() * np.float32(3))


def _scene(seed: int, size: int) -> np.ndarray:
    horizon, slope = 0.35 + 0.35 * uniform(seed, "horizon")[0], 0.2 * (uniform(seed, "slope")[0] - 0.5)
    down = ((np.arange(size) + 0.5) / size).astype(np.float32)
    below = down[:, None] - np.float32(horizon) - np.float32(slope) * (down[None, :] - np.float32(0.5))
    ground = np.clip(below * np.float32(size) + np.float32(0.5), 0, 1)
    noise = _scaled_noise(seed, size)
    sky = np.float32(0.35) + np.float32(0.4) * (below + np.float32(0.3)) + np.float32(0.25) * noise
    return sky + ground * (np.float32(-0.7) + np.float32(0.75) * noise - sky + np.float32(0.35))


_MAKERS = {"noise": _noise, "texture": _texture, "leaves": _leaves, "scene": _scene}
