"""Maps of what stands out in photographs, computed from their pixels: a stand-in where no people's maps are at hand.

    python benchmarks/stand_in_maps.py IMAGES MAPS          # IMAGES/train/<class>/*.JPEG -> MAPS/train/<class>/*.png

Spectral residual of the grey image (Hou & Zhang 2007, CVPR): the log amplitude spectrum minus its mean over 3 x 3
frequencies, with the phase kept; the squared inverse transform, blurred by 3 pixels. They model early attention, and
are not human data: what is measured with them must say so.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter

BLUR = 3.0


def spectral_residual(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The map of a grey image (y, x), uint8."""
    spectrum = np.fft.fft2(grey)
    log = np.log(np.abs(spectrum) + 1e-6)
    residual = np.exp(log - uniform_filter(log, 3, mode="wrap") + 1j * np.angle(spectrum))
    found = gaussian_filter(np.abs(np.fft.ifft2(residual)) ** 2, BLUR)
    return np.rint(255 * found / max(found.max(), 1e-12)).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("maps", type=Path)
    arguments = parser.parse_args()
    paths = sorted(arguments.images.glob("*/*/*.JPEG"))
    for path in paths:
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"), float)
        to = (arguments.maps / path.relative_to(arguments.images)).with_suffix(".png")
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(spectral_residual(grey)).save(to)
    print(f"{len(paths)} maps in {arguments.maps}")


if __name__ == "__main__":
    main()
