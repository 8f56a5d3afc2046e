"""The neural harmoniser: saliency maps that agree with maps of what people find important (Fel et al. 2022, NeurIPS).

    train.py losses=harmonisation data.maps=true

The images need the targets `map` (batch, y, x) and `map_token` (batch,): `data=imagenet_clickme`, photographs with
`data.maps=FOLDER`, or rendered objects with `data.maps=true`. The loss compares the signed gradient of the logit of the
correct class, averaged over colours; the alignment score its largest absolute value over colours, as published. The
published training adds `WeightPenalty(1e-5)` and label smoothing .1 (experiment=imagenet_harmonised_2022).
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.losses.base import Loss
from cornet.losses.saliency_maps import LEVELS, harmonisation, saliency
from cornet.stimuli.samples import IGNORED, Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["Harmonisation"]

MAP, TOKEN = "map", "map_token"
ENOUGH = 100
"""Images without any map that are an error; the rest of an epoch that was resumed may have fewer, by chance."""


class Harmonisation(Loss):
    """The difference between the gradient of the correct class's logit and a map, over a pyramid of resolutions.

    head: the prediction with the class logits. label: the target with the classes. levels, standardise: see
    `cornet.losses.saliency_maps.harmonisation`.

    A harmonised step takes about 2.5 times as long as a plain one. With progressive image sizes the maps are resized
    with the images. Raises CornetError for images without maps, and after an epoch of `ENOUGH` images or more without
    any map.
    """

    needs_gradients = True
    maps_seen: Tensor

    def __init__(
        self,
        weight: float = 1.0,
        *,
        levels: int = LEVELS,
        standardise: Literal["map", "levels"] = "map",
        head: str = "label",
        label: str = "label",
    ) -> None:
        super().__init__(weight)
        self.levels, self.standardise, self.head, self.label = levels, standardise, head, label
        self.register_buffer("maps_seen", torch.zeros(()), persistent=False)
        self.images_seen = 0
        harmonisation(
            torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), torch.zeros(1), levels, standardise
        )  # checks both

    def attach(self, net: Any, source: Any) -> None:
        if source is not None and not getattr(source, "maps", False):
            raise CornetError(
                f"the harmonisation loss needs images with maps of what is important, which {source.name} does not "
                "have; use data=imagenet_clickme, data.maps=FOLDER for photographs, or data=objects data.maps=true."
            )

    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        assert outputs.images is not None
        if self.head not in outputs.predictions:
            raise CornetError(
                f"the harmonisation loss reads the class logits {self.head!r}, but the task predicts "
                f"{', '.join(outputs.predictions)}; set its head to one of these, or use task=classification."
            )
        for name in (MAP, TOKEN):
            if name not in batch.targets:
                raise CornetError(
                    f"the batch has no target {name!r}, but {', '.join(batch.targets)}; give images with maps."
                )
        maps, tokens = batch.targets[MAP], batch.targets[TOKEN]
        if maps.shape != (len(batch.inputs), *batch.inputs.shape[-2:]):
            raise CornetError(
                f"maps of shape {tuple(maps.shape)} do not match images of shape {tuple(batch.inputs.shape)}; give one "
                "map (y, x) for each image, of the same size."
            )
        shown = outputs.images.shape[-2:]
        if maps.shape[-2:] != shown:
            maps = F.interpolate(maps[:, None], shown, mode="bilinear", antialias=True)[:, 0]
        self.maps_seen += tokens.sum()
        self.images_seen += len(tokens)
        labels = batch.targets[self.label].long()
        known = labels != IGNORED
        with torch.autocast(maps.device.type, enabled=False):
            found = saliency(outputs.predictions[self.head], outputs.images, labels.where(known, 0))
            return harmonisation(found, maps, tokens * known, self.levels, self.standardise)

    def start_epoch(self) -> None:
        self.maps_seen.zero_()
        self.images_seen = 0

    def end_epoch(self) -> None:
        maps, images = float(self.maps_seen), self.images_seen
        if maps == 0 and images >= ENOUGH:
            raise CornetError(
                f"none of {images} images of this epoch has a map (map_token is 0 for all), so the harmonisation loss "
                "learns nothing; give images with maps, or leave the loss out."
            )
