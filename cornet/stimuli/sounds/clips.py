"""Read clips: WAV files of any sampling rate and number of channels, as one channel at one rate."""

import io
import logging
import math
import struct
import warnings
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from cornet.errors import CornetError
from cornet.opening import read_bytes

__all__ = ["MOST_SECONDS", "read_clip", "resample", "window"]

log = logging.getLogger("cornet")

MOST_SECONDS = 600.0
"""Longest clip that is read."""


def read_clip(path: Path) -> tuple[np.ndarray, int]:
    """Return the samples of a WAV file, averaged over channels, float64 in -1..1, and the sampling rate in Hz.

    Raises CornetError for a file that is not a WAV file, is damaged or compressed, has no samples or values that are
    not finite, or is longer than `MOST_SECONDS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of other programs
            rate, samples = wavfile.read(io.BytesIO(read_bytes(path)))
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give the path of a WAV file.") from None
    except (
        OSError,
        ValueError,
        EOFError,
        struct.error,
        OverflowError,
        MemoryError,
        ZeroDivisionError,
    ) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise CornetError(
            f"{path} cannot be read as a WAV file ({reason}); convert it to uncompressed WAV."
        ) from None
    if not samples.size or rate < 1:
        raise CornetError(f"{path} has no samples; leave it out.")
    if len(samples) > MOST_SECONDS * rate:
        raise CornetError(
            f"{path} has {len(samples) / rate:,.0f} s, but at most {MOST_SECONDS:,.0f} s are read; cut it."
        )
    kind = samples.dtype
    values = samples.astype(np.float64)
    if kind == np.uint8:
        values = (values - 128) / 128
    elif kind.kind == "i":
        values /= float(2 ** (8 * kind.itemsize - 1))
    if values.ndim > 1:
        values = values.mean(1)
    if not np.isfinite(values).all():
        raise CornetError(f"{path} has samples that are not finite; leave it out.")
    return values, int(rate)


def resample(sound: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample (sample,) from `rate` to `wanted` Hz by a polyphase filter with a Kaiser window (beta 5)."""
    if rate == wanted:
        return sound
    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(sound, wanted // common, rate // common, window=("kaiser", 5.0)))


def window(sound: np.ndarray, samples: int, number: int = 0, count: int = 1) -> np.ndarray:
    """Cut one of `count` evenly spread windows out of a sound (sample,); a single one is the middle."""
    room = len(sound) - samples
    first = room // 2 if count == 1 else round(room * number / (count - 1))
    return sound[first : first + samples]
