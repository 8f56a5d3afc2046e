"""A visual diet: training images with the acuity, contrast and colour sensitivity of an infant, which develop.

    diet = VisualDiet(epochs=30)                 # from 2 months to 15 years of age over 30 epochs
    shown = diet(images, epoch=4)                # uint8 (batch, 3, y, x)

Own implementation from published measurements:

* Acuity: 6/360 at 4 weeks (taken as one month) and 6/18 at one year (gratings, preferential looking: Gwiazda, Brill,
  Mohindra & Held 1978, Vision Res. 18, 1557), that is 0.5 and 10 cycles per degree; 6/6, 30 cycles per degree, at 5
  years (an age that we choose). Between them log acuity is linear in log age.
* Contrast sensitivity: its peak rises by almost two log units from 2 months to adulthood and is not yet adult at 8
  years (Gwiazda, Bauer, Thorn & Held 1997, Optom. Vis. Sci. 74, 785): 1.9 log units, linear in log age, until 10 years
  (an age that we choose). The adult threshold is a contrast of .005, our choice.
* Colour: chromatic thresholds fall by nearly a factor of two with each doubling of age from 3 months until adolescence
  (Knoblauch, Vital-Durand & Barbur 2001, Vision Res. 41, 23): sensitivity is proportional to age until 15 years.

Related work: Vogelsang et al. (2018, PNAS 115, 11333) trained with blur that falls; Lu et al. (2025, arXiv 2507.03168)
with acuity, contrast and colour that develop.
"""

import math
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.errors import CornetError, check_choice
from cornet.sizes import check_positive, check_positive_int
from cornet.stimuli.draws import bits

__all__ = ["VisualDiet", "acuity", "colour_sensitivity", "contrast_threshold"]

Order = Literal["growing", "reversed", "shuffled"]

ACUITY = ((1.0, 0.5), (12.0, 10.0), (60.0, 30.0))
"""Age in months, and acuity in cycles per degree."""
CONTRAST_AGES, CONTRAST_LOG_UNITS, ADULT_THRESHOLD = (2.0, 120.0), 1.9, 0.005
COLOUR_ADULT = 180.0
"""Months."""
AT_ACUITY = 0.1
"""Contrast that the blur leaves at the acuity limit."""
LUMINANCE = (0.299, 0.587, 0.114)


def acuity(months: float) -> float:
    """Cycles per degree at an age; constant before 1 month and after 5 years."""
    ages, values = zip(*ACUITY, strict=True)
    return float(np.exp(np.interp(math.log(months), np.log(ages), np.log(values))))


def contrast_threshold(months: float) -> float:
    """The lowest visible contrast at an age; constant before 2 months and after 10 years."""
    missing = np.interp(math.log(months), np.log(CONTRAST_AGES), (CONTRAST_LOG_UNITS, 0.0))
    return float(ADULT_THRESHOLD * 10**missing)


def colour_sensitivity(months: float) -> float:
    """Chromatic sensitivity relative to its best, which it has from 15 years."""
    return min(months / COLOUR_ADULT, 1.0)


class VisualDiet:
    """Images as seen at the age of an epoch.

    epochs: over which age grows, by the same factor in each; later epochs have the last age. start, end: ages in months
    in the first and the last of them. degrees: visual angle of an image. acuity, contrast, colour: whether each
    develops; otherwise it is adult, that is unchanged. order: "growing", or as controls "reversed" or "shuffled" (the
    same ages in another order). seed: of the shuffled order.

    An image is blurred by a Gaussian that leaves a tenth of the contrast at the acuity limit. Its colours are mixed
    with grey of the same luminance by the chromatic sensitivity. Its contrast (the difference from the image's mean,
    divided by it) is reduced by the threshold of this age, minus the adult one. Adult images are unchanged.

    Raises CornetError for ages that do not grow and values out of range.
    """

    def __init__(
        self,
        epochs: int,
        *,
        start: float = 2.0,
        end: float = 180.0,
        degrees: float = 8.0,
        acuity: bool = True,
        contrast: bool = True,
        colour: bool = True,
        order: Order = "growing",
        seed: int = 0,
    ) -> None:
        check_positive_int("epochs", epochs)
        check_positive("degrees", degrees)
        check_choice("order", order, get_args(Order))
        if not 0 < start <= end < math.inf:
            raise CornetError(
                f"the diet's start={start!r} and end={end!r} must be ages in months above 0, the end not before the "
                "start."
            )
        self.epochs, self.start, self.end, self.degrees = epochs, float(start), float(end), float(degrees)
        self.parts = {"acuity": acuity, "contrast": contrast, "colour": colour}
        self.order, self.seed = order, seed

    def age(self, epoch: int) -> float:
        """The age in months in an epoch, from 0."""
        place = min(epoch, self.epochs - 1)
        if self.order == "reversed":
            place = self.epochs - 1 - place
        elif self.order == "shuffled":
            place = int(
                np.argsort(bits(self.seed, "visual diet", np.arange(self.epochs)), kind="stable")[place]
            )
        share = place / (self.epochs - 1) if self.epochs > 1 else 1.0
        return self.start * (self.end / self.start) ** share

    def __call__(self, images: Tensor, epoch: int) -> Tensor:
        """Images (batch, 3, y, x) uint8 as seen in an epoch, uint8."""
        months = self.age(epoch)
        shown = images.float()
        if self.parts["acuity"]:
            shown = blurred(shown, acuity(months) * self.degrees / images.shape[-1])
        if self.parts["colour"] and (sensitivity := colour_sensitivity(months)) < 1:
            weights = torch.tensor(LUMINANCE, device=shown.device).view(3, 1, 1)
            grey = (shown * weights).sum(dim=1, keepdim=True)
            shown = grey + sensitivity * (shown - grey)
        if self.parts["contrast"]:
            lost = contrast_threshold(months) - ADULT_THRESHOLD
            mean = shown.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1)
            contrast = (shown - mean) / mean
            shown = mean * (1 + contrast.sign() * (contrast.abs() - lost).clamp(min=0))
        return shown.round().clamp(0, 255).to(torch.uint8)


def blurred(images: Tensor, limit: float) -> Tensor:
    """Blur images by a Gaussian that leaves `AT_ACUITY` of the contrast at `limit` cycles per pixel.

    Nothing is blurred if the limit is beyond the finest grating that the pixels can show, half a cycle per pixel.
    """
    if limit >= 0.5:
        return images
    sd = math.sqrt(math.log(1 / AT_ACUITY) / 2) / (math.pi * limit)
    reach = min(math.ceil(3 * sd), images.shape[-1] - 1, images.shape[-2] - 1)
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-(places**2) / (2 * sd**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    groups = images.shape[1]
    wide = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    wide = F.conv2d(wide, kernel[:, :, None], groups=groups)
    return F.conv2d(wide, kernel[..., None], groups=groups)
