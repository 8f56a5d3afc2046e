"""The choices of data of two tasks: rendered heads and objects, or two folders of photographs."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from cornet.errors import CornetError
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.two_tasks.exemplars import RenderedExemplars
from cornet.stimuli.two_tasks.source import TwoTasks

__all__ = ["heads_and_objects", "two_folders"]

FACES, OBJECTS = "faces", "objects"
MEAN, STD = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
"""Of the rendered images, rounded."""


def heads_and_objects(
    *,
    identities: int = 56,
    train_images: int = 2048,
    val_images: int = 560,
    test_images: int = 560,
    size: int = 32,
    variation: float = 0.5,
    only: str | None = None,
    seed: int = 0,
    cache: str | os.PathLike[str] | bool | None = None,
) -> TwoTasks:
    """Identities of rendered heads, and exemplars of the rendered objects of seven other categories.

    A stand-in for photographs of faces and objects: both are simple solids with the same kinds of background.

    identities: classes of the first task; the second has 56. train_images, val_images, test_images: of each task.
    variation: of pose, light, position and size. only, seed: as in `TwoTasks`.
    Raises CornetError for invalid arguments.
    """
    from cornet.stimuli.objects.heads import RenderedHeads

    shown: dict[str, Any] = {
        "size": size,
        "variation": variation,
        "seed": seed,
        "cache": cache,
        "flip": False,
    }
    heads = RenderedHeads(
        identities=identities, train_images=train_images, val_images=val_images + test_images, **shown
    )
    objects = RenderedExemplars(
        train_images=train_images, val_images=val_images, test_images=test_images, **shown
    )
    sources = {FACES: heads, OBJECTS: objects}
    return TwoTasks(sources, only=only, mean=MEAN, std=STD, seed=seed, name="heads_and_objects")


def two_folders(
    folder: Mapping[str, str | os.PathLike[str]],
    *,
    size: int = 224,
    crop_scale: Sequence[float] = (0.7656, 0.7656),
    crop_ratio: Sequence[float] = (1.0, 1.0),
    flip: bool = False,
    val_resize: float | None = 256 / 224,
    grey: float = 0.2,
    train_images: int | None = None,
    only: str | None = None,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    seed: int = 0,
) -> TwoTasks:
    """Photographs of two tasks, such as faces sorted by identity and objects sorted by kind.

    folder: {task: folder with train/<class> and val/<class>}. crop_scale, crop_ratio, flip, val_resize: as in
    `ImageFolder`; the defaults crop 224 x 224 pixels of a square image of 256, as published. others: as in `TwoTasks`.
    Raises CornetError for invalid arguments and folders.
    """
    if not isinstance(folder, Mapping) or len(folder) != 2:
        raise CornetError(
            f"folder={folder!r} must name two tasks and their folders, as in "
            "'data.folder={faces: /path/one, objects: /path/two}'."
        )
    arguments: dict[str, Any] = {
        "size": size, "crop_scale": crop_scale, "crop_ratio": crop_ratio, "flip": flip, "val_resize": val_resize,
        "seed": seed,
    }  # fmt: skip
    sources = {str(task): ImageFolder(path, name=str(task), **arguments) for task, path in folder.items()}
    return TwoTasks(
        sources,
        only=only,
        train_images=train_images,
        grey=grey,
        mean=mean,
        std=std,
        seed=seed,
        name="two_folders",
    )
