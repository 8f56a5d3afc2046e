"""Render heads from latents."""

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.stimuli.objects.heads.latents import COLUMNS
from cornet.stimuli.objects.heads.shape import PARAMETERS, head_shape
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.objects.rendering import render_rows

__all__ = ["render_heads"]


def render_heads(
    latents: pd.DataFrame,
    size: int = 64,
    *,
    antialias: int = 2,
    aperture: bool = False,
    progress: bool = False,
) -> np.ndarray:
    """Render the rows of `latents` (see `draw_heads`) to (n, size, size) uint8.

    Arguments: as in `cornet.stimuli.objects.render`. Raises CornetError for invalid arguments, missing columns, and
    shape parameters outside -1 to 1.
    """
    check_int("size", size, 16, 4096)
    check_int("antialias", antialias, 1, 4)
    if missing := [name for name in COLUMNS if name not in latents.columns]:
        raise CornetError(
            f"the table of latents has no columns {', '.join(missing)}; make it with draw_heads()."
        )
    shape = latents[list(PARAMETERS)].to_numpy(float)
    if not (np.abs(shape) <= 1).all():
        row, column = np.argwhere(~(np.abs(shape) <= 1))[0]
        raise CornetError(
            f"{list(PARAMETERS)[column]}={shape[row, column]:g} of row {row} must be from -1 to 1; change it."
        )
    return render_rows(
        latents, size, antialias=antialias, aperture=aperture, progress=progress, shape=head_shape
    )
