"""Fruit. Lengths are relative, see `Shape.of`."""

from math import cos, pi, radians, sin

from cornet.stimuli.objects.solids import Solid, ellipsoid, frustum, moved, rotation, tube

__all__ = ["FRUIT"]


def _apple() -> list[Solid]:
    lobes = [
        ellipsoid((0.12 * cos(a), 0.12 * sin(a), 0.0), (0.76, 0.76, 0.76), 0.55, gloss=0.45)
        for a in (0.3, 2.4, 4.5)
    ]
    dimple = ellipsoid((0, 0, 0.74), (0.22, 0.22, 0.05), 0.12)
    leaf = ellipsoid((0.3, 0.06, 1.08), (0.32, 0.15, 0.05), 0.85, turn=rotation(pitch=-20, yaw=15))
    return [
        *lobes,
        dimple,
        *tube([(0, 0, 0.7), (0.03, 0, 0.95), (0.1, 0, 1.15)], [0.06, 0.05, 0.06], 0.1),
        leaf,
    ]


def _banana() -> list[Solid]:
    parts = []
    for shift, lean in ((0.0, 0.0), (0.3, 12.0)):
        bend = [radians(a) for a in range(-65, 66, 26)]
        path = [(sin(a), 0.0, 0.75 - cos(a)) for a in bend]
        radii = [0.09, 0.18, 0.21, 0.21, 0.17, 0.08]
        one = [
            *tube(path, radii, 0.9),
            frustum(path[0], (path[0][0] - 0.08, 0, path[0][2] + 0.2), 0.07, 0.06, 0.12),
            ellipsoid(path[-1], [0.085] * 3, 0.12),
        ]
        parts += [moved(part, rotation(roll=lean), (0.0, shift, 0.0)) for part in one]
    return parts


def _cherries() -> list[Solid]:
    parts = []
    for x, y, z in ((0.0, -0.5, 0.0), (0.1, 0.5, -0.1)):
        parts.append(ellipsoid((x, y, z), (0.45, 0.45, 0.43), 0.3, gloss=0.7))
        parts += tube([(x, y, z + 0.38), (x, y * 0.7, z + 0.85), (0, 0, 1.35)], [0.04, 0.04, 0.05], 0.2)
    return [*parts, ellipsoid((0, 0.32, 1.4), (0.16, 0.36, 0.06), 0.75, turn=rotation(roll=-15))]


def _grapes() -> list[Solid]:
    parts = []
    for level, (count, radius) in enumerate(((6, 0.5), (6, 0.44), (4, 0.33), (3, 0.2), (1, 0.0))):
        for k in range(count):
            a = 2 * pi * k / count + 0.5 * level
            parts.append(
                ellipsoid((radius * cos(a), radius * sin(a), -0.34 * level), [0.25] * 3, 0.45, gloss=0.55)
            )
    parts.append(ellipsoid((0.1, 0, 0.12), [0.25] * 3, 0.45, gloss=0.55))
    stem = tube([(0, 0, 0.2), (0, 0, 0.5), (0.15, 0, 0.65)], [0.06, 0.05, 0.05], 0.12)
    return [*parts, *stem, ellipsoid((-0.05, 0.32, 0.42), (0.3, 0.36, 0.06), 0.8, turn=rotation(roll=20))]


def _pear() -> list[Solid]:
    body = tube([(0, 0, -0.3), (0, 0, 0.58)], [0.68, 0.34], 0.8, gloss=0.3, rounded=True)
    leaf = ellipsoid((0.25, 0.05, 1.05), (0.28, 0.13, 0.05), 0.45, turn=rotation(pitch=-20, yaw=20))
    return [*body, *tube([(0, 0, 0.85), (0.02, 0, 1.05), (0.1, 0, 1.25)], [0.06, 0.05, 0.06], 0.1), leaf]


def _pineapple() -> list[Solid]:
    parts = [ellipsoid((0, 0, 0), (0.55, 0.55, 0.8), 0.35)]
    for level in range(-2, 3):
        ring = 0.55 * cos(0.36 * level) * 0.93
        for k in range(9):
            a = 2 * pi * (k + 0.5 * (level % 2)) / 9
            parts.append(ellipsoid((ring * cos(a), ring * sin(a), 0.8 * sin(0.36 * level)), [0.13] * 3, 0.8))
    for k in range(6):
        a, lean = 2 * pi * k / 6, 0.5
        parts.append(
            frustum(
                (0.12 * cos(a), 0.12 * sin(a), 0.7), (lean * cos(a), lean * sin(a), 1.35), 0.13, 0.01, 0.25
            )
        )
    return [
        *parts,
        frustum((0, 0, 0.7), (0, 0, 1.65), 0.16, 0.01, 0.3),
        *(
            frustum((0, 0, 0.75), (0.22 * cos(a), 0.22 * sin(a), 1.55), 0.12, 0.01, 0.3)
            for a in (0.5, 2.6, 4.7)
        ),
    ]


def _strawberry() -> list[Solid]:
    parts = tube([(0, 0, -0.05), (0, 0, -0.9)], [0.64, 0.2], 0.5, gloss=0.3, rounded=True)
    for level, (z, radius, count) in enumerate(
        ((0.12, 0.61, 9), (-0.2, 0.61, 9), (-0.52, 0.44, 7), (-0.8, 0.28, 5))
    ):
        for k in range(count):
            a = 2 * pi * (k + 0.5 * level) / count
            parts.append(ellipsoid((radius * cos(a), radius * sin(a), z), (0.045, 0.045, 0.065), 1.0))
    for k in range(6):
        a = 2 * pi * k / 6
        parts.append(
            ellipsoid(
                (0.33 * cos(a), 0.33 * sin(a), 0.52),
                (0.36, 0.13, 0.06),
                0.15,
                turn=rotation(yaw=60 * k, pitch=14),
            )
        )
    return [*parts, frustum((0, 0, 0.45), (0.05, 0, 0.85), 0.06, None, 0.15)]


def _watermelon() -> list[Solid]:
    """A slice: half a disc of flesh with a pale rind, a dark skin and seeds."""
    lower = [(0, 0, 1, 0)]
    parts = [ellipsoid((0, 0, 0.4), (0.3, 1.15, 1.0), 0.15, cut=[*lower, (1, 0, 0, 0.7), (-1, 0, 0, 0.7)])]
    parts.append(
        ellipsoid((0, 0, 0.405), (0.31, 1.06, 0.91), 0.95, cut=[*lower, (1, 0, 0, 0.72), (-1, 0, 0, 0.72)])
    )
    parts.append(
        ellipsoid((0, 0, 0.41), (0.32, 0.97, 0.82), 0.55, cut=[*lower, (1, 0, 0, 0.74), (-1, 0, 0, 0.74)])
    )
    for x in (-0.235, 0.235):
        for y, z in ((-0.6, 0.2), (-0.3, 0.0), (0.0, 0.2), (0.3, 0.0), (0.6, 0.2), (0.0, -0.2)):
            parts.append(ellipsoid((x, y, z), (0.03, 0.05, 0.085), 0.03))
    return [moved(part, rotation(yaw=-25)) for part in parts]


FRUIT = {
    "apple": _apple,
    "banana": _banana,
    "cherries": _cherries,
    "grapes": _grapes,
    "pear": _pear,
    "pineapple": _pineapple,
    "strawberry": _strawberry,
    "watermelon": _watermelon,
}
