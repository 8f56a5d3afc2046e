"""Tables: a top, and legs of many kinds. Lengths are relative, see `Shape.of`."""

from math import cos, pi, sin

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, pair, prism

__all__ = ["TABLES"]

DARK = 0.08


def _dining() -> list[Solid]:
    parts = [box((0, 0, 1.0), (1.3, 2.1, 0.13), 0.85), box((0, 0, 0.88), (1.12, 1.9, 0.14), 0.5)]
    return parts + pair([box((x, 0.92, 0.48), (0.15, 0.15, 0.95), 0.5) for x in (0.5, -0.5)])


def _round_pedestal() -> list[Solid]:
    parts = [
        frustum((0, 0, 0.98), (0, 0, 1.1), 0.95, None, 0.9),
        frustum((0, 0, 0.1), (0, 0, 1.0), 0.14, 0.1, 0.4),
        frustum((0, 0, 0.0), (0, 0, 0.14), 0.55, 0.2, 0.4),
    ]
    return [*parts, frustum((0, 0, 0.9), (0, 0, 0.99), 0.25, 0.4, 0.4)]


def _coffee() -> list[Solid]:
    parts = [box((0, 0, 0.72), (1.2, 1.7, 0.12), 0.55), box((0, 0, 0.26), (1.05, 1.5, 0.08), 0.8)]
    return parts + pair([box((x, 0.74, 0.36), (0.14, 0.14, 0.72), 0.3) for x in (0.5, -0.5)])


def _desk() -> list[Solid]:
    parts = [box((0, 0, 1.08), (1.1, 2.2, 0.12), 0.75), box((0, -0.75, 0.52), (0.95, 0.6, 1.0), 0.45)]
    parts += [box((0.48, -0.75, z), (0.06, 0.5, 0.26), 0.85) for z in (0.22, 0.52, 0.82)]
    parts += [box((0.52, -0.75, z), (0.06, 0.16, 0.05), DARK) for z in (0.22, 0.52, 0.82)]
    return [*parts, *(box((x, 0.98, 0.52), (0.13, 0.13, 1.0), 0.45) for x in (0.45, -0.45))]


def _picnic() -> list[Solid]:
    parts = [box((x, 0, 1.05), (0.26, 2.1, 0.09), 0.85) for x in (-0.3, 0.0, 0.3)]
    parts += [box((x, 0, 0.58), (0.32, 2.1, 0.09), 0.75) for x in (-0.95, 0.95)]
    for y in (0.7, -0.7):
        parts += [
            frustum((0.75, y, 0), (0.3, y, 1.02), 0.07, None, 0.35),
            frustum((-0.75, y, 0), (-0.3, y, 1.02), 0.07, None, 0.35),
            box((0, y, 0.52), (2.1, 0.1, 0.1), 0.35),
        ]
    return parts


def _oval() -> list[Solid]:
    top = [(0.72 * cos(2 * pi * k / 20), 1.15 * sin(2 * pi * k / 20)) for k in range(20)]
    parts = [prism(top, 0.95, 1.07, 0.3)]
    for y in (0.5, -0.5):
        parts += [
            frustum((0, y, 0.2), (0, y, 0.97), 0.1, None, 0.6),
            frustum((0, y, 0.3), (0.45, y, 0.04), 0.07, None, 0.6),
            frustum((0, y, 0.3), (-0.45, y, 0.04), 0.07, None, 0.6),
        ]
    return parts


def _tripod() -> list[Solid]:
    parts = [frustum((0, 0, 1.0), (0, 0, 1.12), 0.8, None, 0.8)]
    for k in range(3):
        a = 2 * pi * k / 3 + 0.5
        parts.append(
            frustum(
                (0.72 * cos(a), 0.72 * sin(a), 0.0), (0.42 * cos(a), 0.42 * sin(a), 1.0), 0.06, 0.09, 0.35
            )
        )
    return [*parts, frustum((0, 0, 0.42), (0, 0, 0.48), 0.45, None, 0.55)]


def _billiard() -> list[Solid]:
    parts = [box((0, 0, 0.85), (1.35, 2.3, 0.26), 0.6), box((0, 0, 0.985), (1.1, 2.05, 0.02), 0.25)]
    parts += pair(
        [frustum((x, y, 0.98), (x, y, 1.0), 0.1, None, 0.03) for x in (-0.57, 0.57) for y in (0.04, 1.04)]
    )
    parts += [
        ellipsoid((x, y, 1.05), [0.07] * 3, 1.0, gloss=0.3)
        for x, y in ((0.2, 0.4), (-0.15, 0.55), (0.1, -0.5))
    ]
    return parts + pair([frustum((x, 0.95, 0.0), (x, 0.95, 0.75), 0.1, 0.16, 0.5) for x in (0.5, -0.5)])


TABLES = {
    "billiard": _billiard,
    "coffee": _coffee,
    "desk": _desk,
    "dining": _dining,
    "oval": _oval,
    "picnic": _picnic,
    "round_pedestal": _round_pedestal,
    "tripod": _tripod,
}
