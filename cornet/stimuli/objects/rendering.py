"""Render images from latents."""

from collections.abc import Callable, Iterator
from math import cos, radians, sin
from time import monotonic

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cornet.errors import CornetError
from cornet.stimuli.objects.backgrounds import pattern
from cornet.stimuli.objects.categories import shape_of
from cornet.stimuli.objects.latents import COLUMNS, check_int
from cornet.stimuli.objects.tracing import Shape, Traced, trace

__all__ = ["CONTRAST_FLOOR", "RENDERER_VERSION", "camera", "compose", "render", "render_rows"]

RENDERER_VERSION = 1
"""Part of the cache key. Increase it whenever a pixel changes (tests/golden/objects.npz detects this)."""

CONTRAST_FLOOR = 0.20
"""Minimum difference between the mean grey levels (0..1) of an object and of the background around it."""

_MARGIN = 0.015
_SURROUND = 0.06


def render(
    latents: pd.DataFrame,
    size: int = 64,
    *,
    antialias: int = 2,
    aperture: bool = False,
    progress: bool = False,
) -> np.ndarray:
    """Render the rows of `latents` (see `draw_latents`) to (n, size, size) uint8.

    size: pixels per side, 16 to 4096. antialias: rays per pixel in each direction, 1 to 4. aperture: grey
    outside the inscribed circle. progress: show a progress bar on a terminal after one second.
    Pixels depend only on the row, size, antialias and aperture. Raises CornetError for invalid arguments.
    """
    check_int("size", size, 16, 4096)
    check_int("antialias", antialias, 1, 4)
    if missing := [name for name in COLUMNS if name not in latents.columns]:
        raise CornetError(
            f"the table of latents has no columns {', '.join(missing)}; make it with draw_latents()."
        )
    return render_rows(latents, size, antialias=antialias, aperture=aperture, progress=progress)


def object_shape(row: dict) -> Shape:
    """The shape of the object that a row of latents names."""
    return shape_of(row["object_name"])


def render_rows(
    latents: pd.DataFrame,
    size: int,
    *,
    antialias: int = 2,
    aperture: bool = False,
    progress: bool = False,
    shape: Callable[[dict], Shape] = object_shape,
) -> np.ndarray:
    """Render rows with the latents that `compose` reads, (n, size, size) uint8. shape: of the object of a row."""
    images = np.empty((len(latents), size, size), np.uint8)
    rows = latents.to_dict("records")
    for i in _with_progress_bar(len(rows)) if progress else range(len(rows)):
        image = compose(rows[i], size, antialias=antialias, aperture=aperture, shape=shape)[0]
        images[i] = np.rint(image * np.float32(255))
    return images


def compose(
    row: dict,
    size: int,
    *,
    antialias: int = 2,
    aperture: bool = False,
    shape: Callable[[dict], Shape] = object_shape,
) -> tuple[np.ndarray, Traced | None]:
    """Render one image: (size, size) float32 in 0..1, and the traced object (None if outside the frame).

    shape: makes the shape of a row.
    """
    turn, light = camera(row)
    traced = trace(
        shape(row),
        turn=turn,
        diameter=row["size"],
        x=row["x"],
        y=row["y"],
        light=light,
        size=size,
        antialias=antialias,
    )
    image = pattern(row["background"], row["background_seed"], size) * np.float32(row["background_contrast"])
    image += np.float32(row["background_mean"])
    if traced is not None:
        _blend(image, traced, row["albedo"])
    np.clip(image, 0, 1, out=image)
    if aperture:
        inside = _disc(size)
        image = image * inside + np.float32(0.5) * (1 - inside)
    return image, traced


def camera(row: dict) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) from object (ahead, left, up) to camera (right, up, towards the viewer), and the lamp, (3,).

    Yaw rotates the object about its vertical axis, pitch tilts the camera down, roll rotates the image.
    """
    a, b, c = radians(row["yaw"]), radians(row["pitch"]), radians(row["roll"])
    right, towards, up = np.array([sin(a), cos(a), 0]), np.array([cos(a), -sin(a), 0]), np.array([0.0, 0, 1])
    seen_up, seen_towards = cos(b) * up - sin(b) * towards, cos(b) * towards + sin(b) * up
    turn = np.stack([cos(c) * right - sin(c) * seen_up, sin(c) * right + cos(c) * seen_up, seen_towards])
    d, e = radians(row["light_azimuth"]), radians(row["light_elevation"])
    return turn, np.array([sin(d) * cos(e), sin(e), cos(d) * cos(e)])


def _blend(image: np.ndarray, traced: Traced, albedo: float) -> None:
    """Draw the object over its background, after shifting the background's grey level away from it."""
    luminance = np.minimum(traced.luminance * np.float32(albedo), traced.coverage)
    weight = float(traced.coverage.sum())
    if weight > 0:
        margin = max(round(_SURROUND * len(image)), 1)
        around = tuple(
            slice(max(s.start - margin, 0), s.stop + margin) for s in (traced.rows, traced.columns)
        )
        free = np.ones_like(image)
        free[traced.rows, traced.columns] -= traced.coverage
        _separate(image, around, free[around], float(luminance.sum()) / weight)
    window = image[traced.rows, traced.columns]
    window *= 1 - traced.coverage
    window += luminance


def _separate(image: np.ndarray, around: tuple[slice, ...], free: np.ndarray, tone: float) -> None:
    """Shift the background if its mean in the window `around` is closer to `tone` than the contrast floor."""
    total = float(free.sum())
    if total <= 0:
        return
    wanted = CONTRAST_FLOOR + _MARGIN
    local = float((image[around] * free).sum()) / total
    brighter = local >= tone
    # Keep the sign of the difference, unless that would leave the grey range.
    if brighter and tone + wanted > 0.85:
        brighter = False
    elif not brighter and tone - wanted < 0.15:
        brighter = True
    for _ in range(3):
        gap = local - tone if brighter else tone - local
        if gap >= wanted:
            break
        image += np.float32(wanted - gap if brighter else gap - wanted)
        np.clip(image, 0.02, 0.98, out=image)
        local = float((image[around] * free).sum()) / total


def _disc(size: int) -> np.ndarray:
    """Mask (size, size) float32: 1 inside the inscribed circle, 0 outside, with a soft edge of one pixel."""
    axis = (np.arange(size) + 0.5 - size / 2).astype(np.float32)
    return np.clip(np.float32(size / 2) - np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2), 0, 1)


def _with_progress_bar(total: int) -> Iterator[int]:
    """range(total), with a progress bar after one second if stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from range(total)
        return
    columns = (
        TextColumn("rendering objects"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(compact=True),
    )
    bar = Progress(*columns, console=console, transient=True)
    start = monotonic()
    task = bar.add_task("", total=total, rate=0.0)
    try:
        for i in range(total):
            yield i
            if i % 16 == 15 and (elapsed := monotonic() - start) > 1:
                bar.start()
                bar.update(task, completed=i + 1, rate=(i + 1) / elapsed)
    finally:
        bar.stop()
