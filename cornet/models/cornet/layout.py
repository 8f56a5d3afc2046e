"""The areas of the CORnet family: channels, map size, steps, and the milliseconds that the steps represent.

The published intervals of the steps, in ms after stimulus onset (`cornet.models.cornet.steps` computes them):

    CORnet-S     V1 50-150; V2 70-170, 170-270; V4 90-140, 140-190, 190-240, 240-290; IT 100-200, 200-300
    CORnet-Z     V1 50-150; V2 70-170; V4 90-190; IT 100-200
    CORnet-R     one clock for all areas: step t is 50 + 30 t to 80 + 30 t; V1 from step 0, later areas from step 1
    CORnet-RT    (not published) the clock of CORnet-R; V2 from step 1, V4 from step 2, IT from step 3

The 2019 paper does not name the fifth area of its network with five; ours is V3, between V2 and V4. It has the
channels, map size and steps of V2, starts at 80 ms and otherwise follows V2.

Imports no PyTorch. Sources: Kubilius et al. 2018 (Z, R, RT), Kubilius, Schrimpf et al. 2019 (S).
"""

from typing import NamedTuple

from cornet.errors import CornetError

__all__ = ["CHANNELS", "CORNET_S", "AreaSpec", "area_layout"]


class AreaSpec(NamedTuple):
    """An area as in CORnet-S.

    channels: at width 1. halves: whether the area halves the map (V1 instead has a total stride of 4). steps, onset_ms
    and step_ms: as in `cornet.models.area_table.Area`.
    """

    name: str
    channels: int
    halves: bool
    steps: int
    onset_ms: float
    step_ms: float


CORNET_S = (
    AreaSpec("V1", 64, True, 1, 50, 100),
    AreaSpec("V2", 128, True, 2, 70, 100),
    AreaSpec("V3", 128, False, 2, 80, 100),
    AreaSpec("V4", 256, True, 4, 90, 50),
    AreaSpec("IT", 512, True, 2, 100, 100),
)
"""All areas from the lowest to the highest; networks with four areas have no V3."""

LAYOUTS = {4: tuple(spec for spec in CORNET_S if spec.name != "V3"), 5: CORNET_S}
CHANNELS = tuple(spec.channels for spec in LAYOUTS[4])


def area_layout(areas: int) -> tuple[AreaSpec, ...]:
    """Specifications of 4 or 5 areas. Raises CornetError for another number."""
    if isinstance(areas, bool) or areas not in LAYOUTS:
        raise CornetError(f"areas={areas!r} is unknown; choose 4, or 5 to add V3 between V2 and V4.")
    return LAYOUTS[areas]
