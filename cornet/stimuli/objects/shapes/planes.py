"""Planes: fuselages, wings, tails, engines and propellers. Lengths are relative, see `Shape.of`."""

from collections.abc import Sequence

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, pair, rotation

__all__ = ["PLANES"]

GLASS = 0.1
TYRE = 0.05


def _wing(
    root: float,
    tip: float,
    sweep: float,
    span: float,
    *,
    x: float = 0.0,
    z: float = 0.0,
    rise: float = 0.0,
    thick: float = 0.07,
    albedo: float = 0.75,
) -> list[Solid]:
    """A pair of wings; root and tip are chords, sweep and rise are the offsets of the tip, backwards and upwards."""
    plan = [(x + root / 2, 0.0, z), (x - root / 2, 0.0, z)]
    plan += [(x + tip / 2 - sweep, span, z + rise), (x - tip / 2 - sweep, span, z + rise)]
    half = (thick / 2, thick / 2, thick / 4, thick / 4)
    return pair(
        hull([(a, b, c + s * h) for (a, b, c), h in zip(plan, half, strict=True) for s in (-1, 1)], albedo)
    )


def _fin(x: float, z: float, height: float, chord: float) -> Solid:
    side = [
        (x + chord / 2, z),
        (x - chord / 2, z),
        (x - 0.25 - chord * 0.3, z + height),
        (x - 0.25 + chord * 0.2, z + height),
    ]
    return hull([(a, y, b) for a, b in side for y in (-0.035, 0.035)], 0.4)


def _fuselage(length: float, radius: float, albedo: float, *, windows: bool = True) -> list[Solid]:
    half = length / 2
    parts = [frustum((half * 0.6, 0, 0), (-half * 0.35, 0, 0), radius, None, albedo, gloss=0.15)]
    parts.append(ellipsoid((half * 0.6, 0, 0), (half * 0.4, radius, radius), albedo, gloss=0.15))
    parts.append(frustum((-half * 0.35, 0, 0), (-half, 0, radius * 0.45), radius, radius * 0.3, albedo))
    parts.append(
        ellipsoid((half * 0.76, 0, radius * 0.42), (half * 0.13, radius * 0.72, radius * 0.45), GLASS)
    )
    if windows:
        parts.append(box((half * 0.1, 0, radius * 0.25), (half * 0.95, radius * 1.99, radius * 0.22), GLASS))
    return parts


def _engines(places: Sequence[tuple[float, float, float]], radius: float, length: float) -> list[Solid]:
    parts = []
    for x, y, z in places:
        parts.append(frustum((x + length / 2, y, z), (x - length / 2, y, z), radius, radius * 0.75, 0.5))
        parts.append(
            frustum((x + length / 2, y, z), (x + length / 2 + 0.02, y, z), radius * 0.75, None, 0.05)
        )
    return pair(parts)


def _propeller(x: float, y: float, z: float, radius: float, *, angle: float = 30.0) -> list[Solid]:
    blades = [
        box((x, y, z), (0.04, 0.1, 2 * radius), 0.12, turn=rotation(roll=angle + turn)) for turn in (0, 90)
    ]
    return [*blades, ellipsoid((x, y, z), (0.12, 0.09, 0.09), 0.9)]


def _tail(
    x: float, z: float, *, span: float = 0.55, fin: float = 0.55, high: bool = False, albedo: float = 0.75
) -> list[Solid]:
    level = z + fin * 0.92 if high else z
    back = 0.22 if high else 0.0
    return [
        _fin(x, z - 0.08, fin, 0.5),
        *_wing(0.38, 0.2, 0.18, span, x=x - back, z=level, thick=0.06, albedo=albedo),
    ]


def _airliner() -> list[Solid]:
    parts = _fuselage(2.9, 0.24, 0.95) + _wing(0.75, 0.28, 0.6, 1.35, x=0.1, z=-0.1, rise=0.15)
    return parts + _tail(-1.2, 0.08) + _engines([(0.3, 0.55, -0.2)], 0.15, 0.42)


def _jumbo() -> list[Solid]:
    parts = _fuselage(3.0, 0.28, 0.85) + _wing(0.85, 0.3, 0.75, 1.5, x=0.15, z=-0.1, rise=0.15, albedo=0.6)
    parts.append(ellipsoid((0.75, 0, 0.2), (0.55, 0.2, 0.2), 0.85))
    return (
        parts
        + _tail(-1.25, 0.1, span=0.65, fin=0.65)
        + _engines([(0.3, 0.5, -0.2), (0.0, 1.0, -0.12)], 0.13, 0.4)
    )


def _cessna() -> list[Solid]:
    parts = [
        ellipsoid((0.25, 0, 0), (0.85, 0.27, 0.29), 0.9),
        frustum((0, 0, 0), (-1.2, 0, 0.1), 0.25, 0.07, 0.9),
    ]
    parts += [
        box((0.18, 0, 0.2), (0.6, 0.46, 0.22), GLASS),
        *_wing(0.5, 0.42, 0.05, 1.5, x=0.2, z=0.34, rise=0.06),
    ]
    parts += pair(
        [
            frustum((0.2, 0.2, -0.15), (0.2, 0.85, 0.34), 0.03, None, 0.3),
            frustum((0.15, 0.35, -0.42), (0.15, 0.42, -0.42), 0.13, None, TYRE),
        ]
    )
    parts += pair(frustum((0.15, 0.1, -0.2), (0.15, 0.38, -0.42), 0.035, None, 0.3))
    return parts + _tail(-1.1, 0.1, span=0.5, fin=0.5) + _propeller(1.1, 0, 0, 0.38)


def _biplane() -> list[Solid]:
    parts = [
        ellipsoid((0.1, 0, 0), (1.1, 0.24, 0.26), 0.5),
        frustum((0.8, 0, 0), (1.05, 0, 0), 0.26, 0.22, 0.25),
    ]
    parts += _wing(0.5, 0.45, 0.05, 1.3, x=0.4, z=0.52, rise=0.04, albedo=0.9)
    parts += _wing(0.5, 0.45, 0.05, 1.2, x=0.3, z=-0.15, rise=0.04, albedo=0.8)
    parts += pair(
        [frustum((x, y, -0.15), (x + 0.1, y, 0.52), 0.035, None, 0.15) for x in (0.1, 0.45) for y in (0.85,)]
    )
    parts += pair(frustum((0.55, 0.25, -0.45), (0.55, 0.33, -0.45), 0.16, None, TYRE))
    parts.append(ellipsoid((-0.1, 0, 0.25), (0.15, 0.13, 0.15), 0.1))
    return parts + _tail(-0.9, 0.08, span=0.5, fin=0.4, albedo=0.9) + _propeller(1.12, 0, 0, 0.42, angle=60)


def _fighter() -> list[Solid]:
    parts = [
        frustum((-1.0, 0, 0), (0.5, 0, 0), 0.22, 0.2, 0.55),
        frustum((0.5, 0, 0), (1.5, 0, -0.05), 0.2, 0.02, 0.55),
    ]
    parts.append(ellipsoid((0.55, 0, 0.17), (0.38, 0.13, 0.16), GLASS, gloss=0.4))
    parts += _wing(1.4, 0.25, 0.65, 1.05, x=-0.15, z=0, albedo=0.65) + _wing(
        0.45, 0.2, 0.3, 0.65, x=-0.95, albedo=0.65
    )
    parts += pair(_twin_fins())
    return [*parts, *pair(frustum((-1.0, 0.13, 0), (-1.2, 0.13, 0), 0.13, 0.1, 0.08))]


def _twin_fins() -> list[Solid]:
    side = [(-0.55, 0.15), (-1.05, 0.15), (-1.25, 0.7), (-0.98, 0.7)]
    return [hull([(x, y + 0.25 * (z > 0.5), z) for x, z in side for y in (0.17, 0.22)], 0.35)]


def _business_jet() -> list[Solid]:
    parts = _fuselage(2.6, 0.24, 0.95) + _wing(0.6, 0.25, 0.4, 1.25, x=-0.05, z=-0.14, rise=0.1, albedo=0.7)
    return parts + _tail(-1.1, 0.1, fin=0.6, high=True) + _engines([(-0.6, 0.36, 0.12)], 0.14, 0.5)


def _seaplane() -> list[Solid]:
    parts = [
        ellipsoid((0.1, 0, 0), (1.15, 0.26, 0.28), 0.8),
        frustum((-0.3, 0, 0), (-1.2, 0, 0.12), 0.22, 0.07, 0.8),
    ]
    parts += [
        ellipsoid((0.5, 0, 0.2), (0.3, 0.18, 0.14), GLASS),
        *_wing(0.55, 0.45, 0.05, 1.4, x=0.2, z=0.3, rise=0.05, albedo=0.95),
    ]
    floats = [ellipsoid((0.25, 0.5, -0.55), (0.85, 0.13, 0.13), 0.35)]
    floats += [frustum((x, 0.15, -0.1), (x, 0.48, -0.5), 0.035, None, 0.2) for x in (-0.1, 0.5)]
    return parts + pair(floats) + _tail(-1.1, 0.12, fin=0.5, albedo=0.95) + _propeller(1.25, 0, 0, 0.4)


def _bomber() -> list[Solid]:
    parts = _fuselage(2.7, 0.22, 0.45, windows=False) + _wing(
        0.65, 0.3, 0.15, 1.55, x=0.25, rise=0.1, albedo=0.5
    )
    for y in (0.5, 0.95):
        parts += pair(ellipsoid((0.5, y, 0.04), (0.35, 0.1, 0.1), 0.35))
        parts += _propeller(0.86, y, 0.04, 0.24) + _propeller(0.86, -y, 0.04, 0.24)
    return parts + _tail(-1.15, 0.08, span=0.65, fin=0.55, albedo=0.5)


PLANES = {
    "airliner": _airliner,
    "biplane": _biplane,
    "bomber": _bomber,
    "business_jet": _business_jet,
    "cessna": _cessna,
    "fighter": _fighter,
    "jumbo": _jumbo,
    "seaplane": _seaplane,
}
