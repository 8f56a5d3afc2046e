"""Which areas a network has, from the image up."""

from typing import NamedTuple

from cornet.errors import CornetError

__all__ = ["AREAS", "CHANNELS", "Place", "area_layout"]

AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)


class Place(NamedTuple):
    """An area's name, channels at width 1, and whether it halves the map. V1 has a stride of its own, 4 in all."""

    name: str
    channels: int
    halves: bool


FOUR = tuple(Place(name, channels, True) for name, channels in zip(AREAS, CHANNELS, strict=True))
V3 = Place("V3", CHANNELS[1], False)
LAYOUTS = {4: FOUR, 5: (*FOUR[:2], V3, *FOUR[2:])}


def area_layout(areas: int) -> tuple[Place, ...]:
    """The places of 4 or 5 areas. Raises CornetError for another number.

    The 2019 paper does not name its fifth area; ours is V3, between V2 and V4, with channels and map size of V2.
    """
    if isinstance(areas, bool) or areas not in LAYOUTS:
        raise CornetError(f"areas={areas!r} is unknown; choose 4, or 5 for one with V3 between V2 and V4.")
    return LAYOUTS[areas]
