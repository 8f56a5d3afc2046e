"""Counter-based random numbers: (seed, stream, index, field) -> number in [0, 1).

Uses the finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
Unlike with a sequential generator, image i does not depend on the order, the process or the other images drawn, and
library releases do not change it.
"""

import zlib

import numpy as np

__all__ = ["bits", "phases", "uniform"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(words: np.ndarray) -> np.ndarray:
    """Scramble 64-bit words; (...) uint64 -> (...) uint64. Takes arrays, as scalars would warn about overflow."""
    words = words + _STEP
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def bits(*parts: "int | str | np.ndarray") -> np.ndarray:
    """64 random bits per combination of parts, which broadcast; at least 1-D uint64. Text enters as its CRC-32."""
    words = np.zeros(1, np.uint64)
    for part in parts:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part
        words = _mix(words ^ np.atleast_1d(np.asarray(number)).astype(np.uint64))
    return words


def uniform(*parts: "int | str | np.ndarray") -> np.ndarray:
    """Uniform float64 in [0, 1) per combination of parts; at least 1-D."""
    return (bits(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def phases(seed: int, count: int) -> np.ndarray:
    """First `count` random angles of a seed's sequence in radians, (count,) float32; independent of `count`."""
    words = bits(seed, np.arange(count, dtype=np.uint64))
    return (words >> np.uint64(40)).astype(np.float32) * np.float32(2 * np.pi / 2**24)
