"""Boats: pointed hulls with decks, masts, sails and funnels. Lengths are relative, see `Shape.of`."""

from collections.abc import Sequence

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, pair, prism, rotation

__all__ = ["BOATS"]

GLASS = 0.1
TYRE = 0.05


def _vessel(
    length: float, beam: float, depth: float, albedo: float, *, stern: float = 0.8, bow: float = 0.25
) -> list[Solid]:
    """A hull with a pointed, raised bow and a deck at z = 0; the wale along its edge is lighter."""
    half = length / 2

    def level(z: float, shrink: float, rise: float) -> list[tuple[float, float, float]]:
        ends = [(half * (1 - 0.3 * (1 - shrink)), 0.0), (half * 0.45 * shrink, beam / 2 * shrink)]
        ends += [
            (-half * (1 - 0.15 * (1 - shrink)), beam / 2 * stern * shrink),
            (half * 0.45 * shrink, -beam / 2 * shrink),
        ]
        ends += [(-half * (1 - 0.15 * (1 - shrink)), -beam / 2 * stern * shrink)]
        return [(x, y, z + (rise if k == 0 else 0)) for k, (x, y) in enumerate(ends)]

    return [
        hull(level(-depth * 0.25, 0.97, bow * 0.8) + level(-depth, 0.55, 0.0), albedo),
        hull(level(0.0, 1.0, bow) + level(-depth * 0.25, 0.97, bow * 0.8), min(albedo + 0.45, 1.0)),
    ]


def _mast(x: float, height: float, *, boom: float = 0.0, thick: float = 0.035) -> list[Solid]:
    parts = [frustum((x, 0, 0), (x, 0, height), thick, thick * 0.7, 0.25)]
    if boom:
        parts.append(frustum((x, 0, 0.3), (x - boom, 0, 0.3), thick * 0.8, None, 0.25))
    return parts


def _sail(corners: Sequence[tuple[float, float]], albedo: float = 0.95) -> Solid:
    """A sail with three or four corners, points (x, z), thin at the edges and thicker in the middle."""
    middle_x = sum(x for x, _ in corners) / len(corners)
    middle_z = sum(z for _, z in corners) / len(corners)
    edge = [(x, y, z) for x, z in corners for y in (-0.01, 0.01)]
    return hull([*edge, (middle_x, 0.10, middle_z), (middle_x, 0.0, middle_z)], albedo)


def _funnel(x: float, z: float, height: float, radius: float, albedo: float) -> list[Solid]:
    band = frustum((x, 0, z + height * 0.75), (x, 0, z + height), radius * 1.06, None, 0.08)
    return [frustum((x, 0, z), (x, 0, z + height), radius, None, albedo), band]


def _decks(spans: Sequence[tuple[float, float, float]], height: float, albedo: float) -> list[Solid]:
    """Storeys (from x, to x, width), each with a dark row of windows, upwards from z = 0."""
    parts = []
    for k, (start, end, width) in enumerate(spans):
        middle, length, z = (start + end) / 2, end - start, (k + 0.5) * height
        parts.append(box((middle, 0, z), (length, width, height * 0.98), albedo))
        parts.append(box((middle, 0, z + 0.05 * height), (length * 0.9, width * 1.03, height * 0.4), GLASS))
    return parts


def _sailboat() -> list[Solid]:
    sails = [
        _sail([(0.10, 0.35), (0.10, 1.9), (-0.95, 0.35)]),
        _sail([(0.25, 0.25), (0.18, 1.7), (0.95, 0.35)], 0.8),
    ]
    return _vessel(2.2, 0.75, 0.42, 0.15) + _mast(0.15, 2.0, boom=1.1) + sails


def _ketch() -> list[Solid]:
    sails = [
        _sail([(0.22, 0.3), (0.22, 1.55), (-0.5, 0.3)]),
        _sail([(-0.68, 0.3), (-0.68, 1.15), (-1.15, 0.3)]),
    ]
    sails.append(_sail([(0.4, 0.25), (0.32, 1.4), (1.1, 0.35)], 0.75))
    return _vessel(2.5, 0.7, 0.4, 0.5) + _mast(0.27, 1.65, boom=0.8) + _mast(-0.63, 1.25, boom=0.5) + sails


def _tug() -> list[Solid]:
    cabin = _decks([(-0.35, 0.55, 0.65), (-0.05, 0.45, 0.5)], 0.36, 0.9)
    fenders = pair([ellipsoid((x, 0.47, -0.12), (0.11, 0.07, 0.11), TYRE) for x in (-0.6, -0.2, 0.2)])
    return _vessel(2.0, 0.95, 0.5, 0.2, bow=0.3) + cabin + _funnel(-0.25, 0.36, 0.65, 0.15, 0.6) + fenders


def _steamer() -> list[Solid]:
    parts = _vessel(2.8, 0.72, 0.48, 0.12, bow=0.22) + _decks(
        [(-0.95, 0.75, 0.58), (-0.75, 0.5, 0.46)], 0.24, 0.95
    )
    for x in (-0.55, -0.1, 0.35):
        parts += _funnel(x, 0.48, 0.5, 0.13, 0.5)
    return parts + _mast(1.0, 0.8) + _mast(-1.15, 0.7)


def _freighter() -> list[Solid]:
    parts = _vessel(2.8, 0.8, 0.5, 0.3) + _decks([(-1.15, -0.7, 0.66)] * 3, 0.26, 0.95)
    for k, x in enumerate((-0.42, 0.0, 0.42)):
        for level in range(2 - (k == 2)):
            shade = (0.85, 0.25, 0.55, 0.15, 0.7, 0.4)[(2 * k + level) % 6]
            parts.append(box((x, 0, 0.15 + 0.29 * level), (0.38, 0.64, 0.28), shade))
    return parts + _funnel(-1.0, 0.78, 0.3, 0.1, 0.4) + _mast(0.95, 0.75)


def _rowboat() -> list[Solid]:
    inside = [(0.85, 0.0), (0.4, 0.33), (-0.9, 0.26), (-0.9, -0.26), (0.4, -0.33)]
    parts = [*_vessel(2.1, 0.85, 0.42, 0.45, bow=0.12), prism(inside, 0.0, 0.025, 0.1)]
    parts += [box((x, 0, 0.05), (0.16, 0.7, 0.05), 0.9) for x in (-0.6, -0.05, 0.45)]
    oar = [frustum((-0.15, 0.3, 0.08), (-0.55, 1.05, -0.2), 0.035, None, 0.8)]
    oar.append(ellipsoid((-0.62, 1.15, -0.25), (0.1, 0.2, 0.05), 0.8, turn=rotation(yaw=25)))
    return parts + pair(oar)


def _speedboat() -> list[Solid]:
    screen = hull(
        [(0.35, y, 0.05) for y in (-0.33, 0.33)]
        + [(0.0, y, 0.32) for y in (-0.27, 0.27)]
        + [(-0.02, 0.28, 0.05), (-0.02, -0.28, 0.05)],
        GLASS,
    )
    parts = [*_vessel(2.3, 0.8, 0.38, 0.65, stern=0.9, bow=0.08), screen]
    parts.append(prism([(-0.05, 0.3), (-0.9, 0.3), (-0.9, -0.3), (-0.05, -0.3)], 0.0, 0.02, 0.12))
    parts += [box((-0.35, y, 0.12), (0.16, 0.2, 0.24), 0.9) for y in (-0.16, 0.16)]
    return [
        *parts,
        box((-1.2, 0, 0.05), (0.22, 0.28, 0.42), 0.08),
        box((-0.8, 0, 0.1), (0.14, 0.6, 0.2), 0.9),
    ]


def _warship() -> list[Solid]:
    parts = _vessel(3.0, 0.7, 0.42, 0.35, bow=0.15, stern=0.7) + _decks(
        [(-0.5, 0.4, 0.48), (-0.2, 0.3, 0.36)], 0.26, 0.7
    )
    for x, ahead in ((0.72, 1), (-0.85, -1)):
        parts.append(frustum((x, 0, 0), (x, 0, 0.2), 0.22, 0.17, 0.6))
        parts += [frustum((x, y, 0.13), (x + ahead * 0.5, y, 0.2), 0.035, None, 0.2) for y in (-0.07, 0.07)]
    return (
        parts
        + _mast(0.05, 1.25, thick=0.05)
        + _funnel(-0.35, 0.3, 0.5, 0.12, 0.6)
        + [box((0.05, 0, 0.95), (0.06, 0.45, 0.06), 0.3)]
    )


BOATS = {
    "ferry_steamer": _steamer,
    "freighter": _freighter,
    "ketch": _ketch,
    "rowboat": _rowboat,
    "sailboat": _sailboat,
    "speedboat": _speedboat,
    "tug": _tug,
    "warship": _warship,
}
