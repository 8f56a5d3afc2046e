"""Half-cosine filters on the scale of equivalent rectangular bandwidths (ERB).

Source: McDermott and Simoncelli 2011 (Neuron 71:926); scale of Glasberg and Moore 1990 (Hearing Research 47:103).
"""

import numpy as np

from cornet.errors import CornetError
from cornet.sizes import check_positive, check_positive_int

__all__ = ["erb_filters", "erb_frequencies", "erb_numbers"]

SCALE = 9.265
BREAK = 24.7 * SCALE  # Hz


def erb_numbers(hertz: np.ndarray) -> np.ndarray:
    """ERB numbers of frequencies in Hz, of the same shape."""
    return SCALE * np.log1p(np.asarray(hertz, float) / BREAK)


def erb_frequencies(numbers: np.ndarray) -> np.ndarray:
    """Frequencies in Hz of ERB numbers, of the same shape."""
    return BREAK * np.expm1(np.asarray(numbers, float) / SCALE)


def erb_filters(
    samples: int, rate: float, filters: int, low: float, high: float, factor: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the responses of a bank of filters and their centres.

    samples: length of the sound that is filtered. rate: Hz. filters: of a bank that is sampled once. low, high: limits
    of the band-pass filters, Hz. factor: how many times denser the bank is.

    Returns responses (channel, samples // 2 + 1) and centres in Hz (channel,). Channels: `factor` low-pass,
    `factor` (`filters` + 1) - 1 band-pass, `factor` high-pass, from low to high. At each frequency the squares of the
    responses sum to 1. Raises CornetError for limits that are not 0 < low < high <= rate / 2.
    """
    for word, count in (("samples", samples), ("filters", filters), ("factor", factor)):
        check_positive_int(word, count)
    check_positive("rate", rate)
    if not 0 < low < high <= rate / 2:
        raise CornetError(
            f"low={low} and high={high} Hz must be above 0, in order, and at most half the rate of {rate} Hz; "
            "change one of them."
        )
    count = factor * (filters + 1) - 1
    centres, spacing = np.linspace(
        erb_numbers(np.array(low)), erb_numbers(np.array(high)), count + 2, retstep=True
    )
    centres, width = centres[1:-1], float(spacing) * factor
    top = rate / 2 if samples % 2 == 0 else rate * (samples - 1) / (2 * samples)
    hertz = np.linspace(0, top, samples // 2 + 1)
    distance = (erb_numbers(hertz) - centres[:, None]) / width
    band = np.where(np.abs(distance) < 1, np.cos(distance * np.pi / 2), 0.0)
    lower, upper = band[:factor], band[count - factor :]
    below = hertz < erb_frequencies(centres[:factor])[:, None]
    above = hertz > erb_frequencies(centres[count - factor :])[:, None]
    responses = np.concatenate(
        [np.where(below, np.sqrt(1 - lower**2), 0), band, np.where(above, np.sqrt(1 - upper**2), 0)]
    )
    limits = np.concatenate([centres[:factor] - width, centres, centres[count - factor :] + width])
    frequencies = erb_frequencies(limits)
    return responses / np.sqrt(factor), np.where(frequencies < 0, 1.0, frequencies)
