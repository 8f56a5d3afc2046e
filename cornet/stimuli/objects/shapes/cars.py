"""Cars: a body, glass under a roof, wheels and lamps. Lengths are relative, see `Shape.of`."""

from collections.abc import Sequence

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, pair, profile

__all__ = ["CARS"]

GLASS = 0.1
TYRE = 0.05
METAL = 0.75
LAMP = 0.1
ROOF = 0.82  # width of the roof in units of the cabin's
WIDTH = 0.95


def _wheels(xs: Sequence[float], track: float, radius: float) -> list[Solid]:
    parts = []
    for x in xs:
        parts.append(frustum((x, track - 0.2, radius), (x, track + 0.02, radius), radius, None, TYRE))
        parts.append(frustum((x, track, radius), (x, track + 0.035, radius), radius * 0.55, None, METAL))
    return pair(parts)


def _lights(front: float, back: float, z: float, y: float) -> list[Solid]:
    lamp = ellipsoid((front, y, z), (0.05, LAMP, LAMP * 0.8), 1.0, gloss=0.3)
    return pair([lamp, box((back, y, z), (0.06, LAMP * 1.3, LAMP * 1.2), 0.15)])


def _cabin(
    side: Sequence[tuple[float, float]], width: float, albedo: float, *, pillars: Sequence[float] = ()
) -> list[Solid]:
    """Glass with a side view, points (x, z), below a roof and between pillars in the body's colour."""
    high, low = max(z for _, z in side), min(z for _, z in side)
    roof = [x for x, z in side if z > high - 0.02]
    parts = [profile(side, width, GLASS, top=ROOF)]
    parts.append(
        box(
            (sum(roof) / len(roof), 0, high), (max(roof) - min(roof) + 0.1, width * ROOF * 1.02, 0.07), albedo
        )
    )
    for x in pillars:
        post = [(x - 0.05, low), (x + 0.05, low), (x + 0.04, high), (x - 0.04, high)]
        parts.append(profile(post, width * 1.03, albedo, top=ROOF))
    return parts


def _car(
    body: Sequence[tuple[float, float]],
    cabin: Sequence[tuple[float, float]],
    albedo: float,
    *,
    pillars: Sequence[float] = (),
    wheels: Sequence[float] = (0.62, -0.62),
    radius: float = 0.21,
) -> list[Solid]:
    front, back = max(x for x, _ in body), min(x for x, _ in body)
    parts = [profile(body, WIDTH, albedo, top=0.94), *_cabin(cabin, WIDTH * 0.9, albedo, pillars=pillars)]
    parts += _wheels(wheels, WIDTH / 2, radius) + _lights(front - 0.03, back, 0.42, WIDTH * 0.36)
    parts.append(box((front - 0.02, 0, 0.24), (0.1, WIDTH * 0.98, 0.1), 0.12))
    return [*parts, box((front - 0.01, 0, 0.42), (0.06, WIDTH * 0.34, 0.12), 0.1)]


def _sedan() -> list[Solid]:
    body = [(1.08, 0.2), (1.08, 0.48), (0.5, 0.6), (-1.05, 0.58), (-1.1, 0.2)]
    return _car(body, [(0.52, 0.56), (0.18, 0.92), (-0.42, 0.92), (-0.8, 0.56)], 0.8, pillars=(-0.1,))


def _coupe() -> list[Solid]:
    body = [(1.2, 0.16), (1.2, 0.34), (0.4, 0.52), (-1.0, 0.56), (-1.05, 0.16)]
    wing = [
        box((-0.98, 0, 0.72), (0.2, 0.95, 0.04), 0.15),
        *pair(box((-0.98, 0.35, 0.64), (0.06, 0.04, 0.18), 0.15)),
    ]
    return (
        _car(body, [(0.42, 0.5), (0.0, 0.78), (-0.3, 0.78), (-0.95, 0.54)], 0.6, wheels=(0.72, -0.66)) + wing
    )


def _beetle() -> list[Solid]:
    parts = [ellipsoid((0, 0, 0.42), (1.05, 0.42, 0.3), 0.7, gloss=0.3)]
    parts.append(ellipsoid((-0.1, 0, 0.5), (0.66, 0.38, 0.48), GLASS, gloss=0.3))
    parts.append(ellipsoid((-0.12, 0, 0.53), (0.62, 0.37, 0.48), 0.7, gloss=0.3, cut=[(0, 0, -1, -0.62)]))
    parts += [box((x, 0, 0.66), (0.09, 0.8, 0.3), 0.7) for x in (-0.1,)]
    parts += pair([ellipsoid((x, 0.4, 0.32), (0.34, 0.14, 0.26), 0.55) for x in (0.66, -0.66)])
    return (
        parts
        + _wheels((0.66, -0.66), 0.52, 0.21)
        + pair(ellipsoid((0.95, 0.3, 0.5), (0.09, 0.1, 0.1), 1.0, gloss=0.3))
    )


def _wagon() -> list[Solid]:
    body = [(1.1, 0.2), (1.1, 0.5), (0.55, 0.6), (-1.1, 0.6), (-1.1, 0.2)]
    return _car(body, [(0.58, 0.58), (0.25, 0.95), (-0.95, 0.95), (-1.08, 0.58)], 0.35, pillars=(0.0, -0.55))


def _jeep() -> list[Solid]:
    body = [(1.0, 0.28), (1.0, 0.68), (0.35, 0.72), (-0.9, 0.72), (-0.9, 0.28)]
    parts = _car(
        body,
        [(0.36, 0.7), (0.3, 1.18), (-0.88, 1.18), (-0.9, 0.7)],
        0.5,
        pillars=(0.3, -0.2, -0.82),
        radius=0.28,
    )
    return [
        *parts,
        frustum((-0.9, 0, 0.62), (-1.05, 0, 0.62), 0.27, None, TYRE),
        frustum((-1.05, 0, 0.62), (-1.07, 0, 0.62), 0.13, None, METAL),
    ]


def _pickup() -> list[Solid]:
    body = [(1.15, 0.26), (1.15, 0.6), (0.6, 0.68), (-1.2, 0.64), (-1.2, 0.26)]
    parts = _car(
        body,
        [(0.62, 0.64), (0.38, 1.05), (-0.08, 1.05), (-0.2, 0.64)],
        0.75,
        pillars=(-0.1,),
        radius=0.25,
        wheels=(0.7, -0.75),
    )
    return [*parts, box((-0.7, 0, 0.645), (0.86, 0.72, 0.04), 0.08)]


def _van() -> list[Solid]:
    parts = [
        profile([(1.0, 0.22), (1.0, 0.55), (0.62, 1.18), (-1.1, 1.18), (-1.1, 0.22)], 0.95, 0.9, top=0.9)
    ]
    screen = [(0.985, 0.6), (0.70, 1.09), (0.735, 1.12), (1.02, 0.63)]
    parts.append(profile(screen, 0.82, GLASS, top=0.95))
    parts += [box((x, 0, 0.86), (0.36, 0.93, 0.3), GLASS) for x in (0.38, -0.15, -0.7)]
    parts.append(box((-0.05, 0, 0.5), (2.0, 0.97, 0.08), 0.25))
    return (
        parts
        + _wheels((0.6, -0.65), 0.475, 0.22)
        + _lights(0.99, -1.1, 0.45, 0.34)
        + [box((0.99, 0, 0.28), (0.1, 0.92, 0.1), 0.12)]
    )


def _racer() -> list[Solid]:
    nose = [(1.35, 0.16), (1.35, 0.24), (0.3, 0.48), (-0.9, 0.5), (-1.0, 0.16)]
    parts = [
        profile(nose, 0.42, 0.85, top=0.8),
        box((1.3, 0, 0.14), (0.26, 1.15, 0.05), 0.85),
        box((-1.1, 0, 0.72), (0.26, 0.95, 0.05), 0.85),
    ]
    parts += pair(
        [
            box((-1.1, 0.42, 0.55), (0.26, 0.04, 0.36), 0.3),
            ellipsoid((-0.3, 0.33, 0.28), (0.5, 0.16, 0.17), 0.6),
        ]
    )
    parts += [
        ellipsoid((0.05, 0, 0.52), (0.16, 0.14, 0.17), 0.15),
        ellipsoid((-0.3, 0, 0.5), (0.45, 0.13, 0.2), 0.85),
    ]
    return parts + _wheels((0.85, -0.8), 0.6, 0.27)


CARS = {
    "beetle": _beetle,
    "coupe": _coupe,
    "jeep": _jeep,
    "pickup": _pickup,
    "racer": _racer,
    "sedan": _sedan,
    "van": _van,
    "wagon": _wagon,
}
