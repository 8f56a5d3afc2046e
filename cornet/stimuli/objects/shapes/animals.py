"""Animals: bodies, heads, legs and distinctive features. Lengths are relative, see `Shape.of`."""

from math import cos, pi, sin

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, moved, pair, rotation, tube

__all__ = ["ANIMALS"]

DARK = 0.06


def _legs(
    xs: tuple[float, float], y: float, top: float, radius: float, albedo: float, *, hoof: float = DARK
) -> list[Solid]:
    """Four legs from the ground, z = 0, to `top`, with hooves or paws."""
    parts = []
    for x in xs:
        parts.append(frustum((x, y, 0.05), (x, y, top), radius * 0.8, radius * 1.25, albedo))
        parts.append(frustum((x, y, 0.0), (x, y, 0.1), radius * 1.1, None, hoof))
    return pair(parts)


def _eyes(x: float, y: float, z: float, radius: float) -> list[Solid]:
    return pair(ellipsoid((x, y, z), [radius] * 3, DARK, gloss=0.5))


def _camel() -> list[Solid]:
    body = [
        ellipsoid((0, 0, 1.08), (0.78, 0.4, 0.42), 0.75),
        ellipsoid((-0.32, 0, 1.42), (0.27, 0.24, 0.4), 0.65),
        ellipsoid((0.3, 0, 1.42), (0.27, 0.24, 0.4), 0.65),
    ]
    neck = tube(
        [(0.6, 0, 1.1), (0.95, 0, 0.98), (1.12, 0, 1.35), (1.15, 0, 1.75)], [0.22, 0.19, 0.15, 0.13], 0.75
    )
    head = [
        ellipsoid((1.32, 0, 1.8), (0.32, 0.16, 0.18), 0.75),
        ellipsoid((1.53, 0, 1.74), (0.12, 0.11, 0.1), 0.35),
    ]
    return [
        *body,
        *neck,
        *head,
        *_legs((0.5, -0.5), 0.22, 1.1, 0.12, 0.7),
        *_eyes(1.3, 0.13, 1.86, 0.045),
        *pair(ellipsoid((1.1, 0.1, 1.93), (0.05, 0.04, 0.1), 0.5)),
    ]


def _cow() -> list[Solid]:
    body = [
        box((0, 0, 0.95), (1.3, 0.6, 0.6), 0.95),
        ellipsoid((0.62, 0, 0.95), (0.2, 0.31, 0.31), 0.95),
        ellipsoid((-0.62, 0, 0.95), (0.2, 0.31, 0.31), 0.95),
    ]
    patches = [
        ellipsoid((0.3, 0, 1.08), (0.3, 0.37, 0.22), 0.1),
        ellipsoid((-0.4, 0, 1.0), (0.22, 0.36, 0.3), 0.1),
    ]
    head = [
        ellipsoid((1.0, 0, 1.25), (0.3, 0.2, 0.22), 0.1),
        ellipsoid((1.25, 0, 1.15), (0.15, 0.17, 0.15), 0.8),
    ]
    head += pair(
        [
            frustum((0.92, 0.12, 1.4), (0.95, 0.32, 1.62), 0.06, 0.01, 0.9),
            ellipsoid((0.88, 0.28, 1.28), (0.07, 0.16, 0.08), 0.15),
        ]
    )
    tail = tube([(-0.8, 0, 1.15), (-0.95, 0, 0.8), (-0.95, 0, 0.5)], [0.04, 0.04, 0.07], 0.2)
    return [
        *body,
        *patches,
        *head,
        frustum((0.6, 0, 1.0), (0.95, 0, 1.22), 0.24, 0.16, 0.95),
        *tail,
        ellipsoid((-0.35, 0, 0.62), (0.2, 0.17, 0.12), 0.75),
        *_legs((0.52, -0.55), 0.2, 0.8, 0.12, 0.9),
    ]


def _dog() -> list[Solid]:
    body = [
        ellipsoid((0, 0, 0.75), (0.62, 0.25, 0.26), 0.5),
        ellipsoid((0.38, 0, 0.8), (0.28, 0.27, 0.31), 0.5),
        frustum((0.45, 0, 0.85), (0.75, 0, 1.25), 0.2, 0.17, 0.5),
    ]
    head = [
        ellipsoid((0.8, 0, 1.33), (0.25, 0.22, 0.23), 0.5),
        ellipsoid((1.08, 0, 1.24), (0.2, 0.12, 0.12), 0.7),
        ellipsoid((1.27, 0, 1.29), (0.07, 0.07, 0.06), DARK),
    ]
    ears = pair(ellipsoid((0.74, 0.24, 1.26), (0.12, 0.06, 0.24), 0.15))
    tail = tube([(-0.55, 0, 0.85), (-0.8, 0, 1.1), (-0.85, 0, 1.4)], [0.09, 0.07, 0.04], 0.5)
    return [
        *body,
        *head,
        *ears,
        *tail,
        *_legs((0.42, -0.42), 0.16, 0.7, 0.1, 0.5, hoof=0.8),
        *_eyes(0.97, 0.13, 1.42, 0.05),
    ]


def _elephant() -> list[Solid]:
    body = [
        ellipsoid((-0.15, 0, 1.05), (0.82, 0.5, 0.55), 0.55),
        ellipsoid((0.72, 0, 1.3), (0.36, 0.32, 0.4), 0.55),
    ]
    trunk = tube(
        [(0.98, 0, 1.25), (1.18, 0, 0.85), (1.2, 0, 0.45), (1.38, 0, 0.25)], [0.17, 0.13, 0.1, 0.08], 0.55
    )
    ears = pair(ellipsoid((0.55, 0.46, 1.3), (0.12, 0.32, 0.44), 0.4, turn=rotation(yaw=-25)))
    tusks = pair(frustum((1.0, 0.17, 1.0), (1.38, 0.22, 0.85), 0.06, 0.02, 1.0))
    return [
        *body,
        *trunk,
        *ears,
        *tusks,
        *_legs((0.38, -0.6), 0.27, 0.9, 0.2, 0.5, hoof=0.3),
        *_eyes(1.0, 0.2, 1.42, 0.05),
        *tube([(-0.93, 0, 1.2), (-1.08, 0, 0.7)], [0.04, 0.05], 0.3),
    ]


def _giraffe() -> list[Solid]:
    body = [
        ellipsoid((0, 0, 1.25), (0.55, 0.27, 0.32), 0.85),
        frustum((0.32, 0, 1.35), (0.75, 0, 2.5), 0.22, 0.11, 0.85),
    ]
    head = [
        ellipsoid((0.88, 0, 2.55), (0.27, 0.12, 0.13), 0.85),
        ellipsoid((1.08, 0, 2.48), (0.1, 0.1, 0.09), 0.4),
    ]
    horns = pair(
        [
            frustum((0.75, 0.06, 2.65), (0.73, 0.08, 2.85), 0.03, 0.04, 0.2),
            ellipsoid((0.7, 0.17, 2.6), (0.05, 0.1, 0.06), 0.7),
        ]
    )
    spots = pair(
        [
            ellipsoid((x, 0.2, z), (0.13, 0.09, 0.12), 0.2)
            for x, z in ((0.25, 1.3), (-0.05, 1.38), (-0.05, 1.1), (-0.32, 1.25))
        ]
    )
    spots += [
        ellipsoid((0.32 + 0.43 * t + 0.03, 0, 1.35 + 1.15 * t), (0.15 - 0.06 * t, 0.22 - 0.09 * t, 0.09), 0.2)
        for t in (0.3, 0.55, 0.78)
    ]
    return [
        *body,
        *head,
        *horns,
        *spots,
        *_legs((0.35, -0.38), 0.16, 1.2, 0.09, 0.8),
        *_eyes(0.92, 0.11, 2.61, 0.04),
    ]


def _horse() -> list[Solid]:
    body = [
        ellipsoid((0, 0, 1.1), (0.68, 0.3, 0.33), 0.35),
        ellipsoid((-0.42, 0, 1.15), (0.32, 0.31, 0.34), 0.35),
        frustum((0.45, 0, 1.15), (0.88, 0, 1.75), 0.27, 0.14, 0.35),
    ]
    head = [
        frustum((0.85, 0, 1.8), (1.28, 0, 1.48), 0.17, 0.11, 0.35),
        ellipsoid((0.85, 0, 1.8), [0.17] * 3, 0.35),
        ellipsoid((1.28, 0, 1.48), [0.115] * 3, 0.8),
    ]
    mane = [
        hull(
            [
                (x, y, z)
                for x, z in ((0.3, 1.4), (0.38, 1.52), (0.8, 2.05), (0.68, 1.75), (0.92, 1.98))
                for y in (-0.06, 0.06)
            ],
            DARK,
        )
    ]
    tail = tube([(-0.7, 0, 1.25), (-0.95, 0, 1.0), (-1.0, 0, 0.45)], [0.07, 0.12, 0.05], DARK)
    return [
        *body,
        *head,
        *mane,
        *tail,
        *pair(frustum((0.78, 0.09, 1.92), (0.8, 0.1, 2.1), 0.06, 0.01, 0.3)),
        *_legs((0.45, -0.5), 0.19, 1.0, 0.1, 0.35),
        *_eyes(0.98, 0.13, 1.78, 0.045),
    ]


def _rabbit() -> list[Solid]:
    body = [
        ellipsoid((-0.15, 0, 0.5), (0.55, 0.4, 0.46), 0.85),
        ellipsoid((0.42, 0, 0.98), (0.3, 0.27, 0.28), 0.85),
        ellipsoid((0.66, 0, 0.9), (0.13, 0.15, 0.12), 1.0),
        ellipsoid((0.78, 0, 0.95), (0.05, 0.06, 0.04), 0.2),
    ]
    ears = pair(
        [
            ellipsoid((0.25, 0.15, 1.55), (0.1, 0.11, 0.45), 0.8, turn=rotation(pitch=-12)),
            ellipsoid((0.31, 0.15, 1.55), (0.06, 0.06, 0.34), 0.4, turn=rotation(pitch=-12)),
        ]
    )
    feet = pair(
        [
            ellipsoid((-0.05, 0.36, 0.1), (0.34, 0.13, 0.11), 0.8),
            ellipsoid((0.45, 0.18, 0.25), (0.13, 0.11, 0.3), 0.85),
            ellipsoid((-0.25, 0.33, 0.42), (0.32, 0.14, 0.32), 0.75),
        ]
    )
    return [*body, *ears, *feet, ellipsoid((-0.7, 0, 0.45), [0.17] * 3, 1.0), *_eyes(0.58, 0.21, 1.06, 0.065)]


def _turtle() -> list[Solid]:
    shell = [
        ellipsoid((0, 0, 0.3), (0.8, 0.66, 0.5), 0.3, gloss=0.2, cut=[(0, 0, -1, 0)]),
        frustum((0, 0, 0.24), (0, 0, 0.32), 0.8, None, 0.7),
    ]
    shell[1] = moved(shell[1], rotation() * [1.06, 0.88, 1.0])
    plates = [
        ellipsoid((0.36 * cos(a), 0.3 * sin(a), 0.6), (0.17, 0.15, 0.16), 0.6, turn=rotation(yaw=60 * k))
        for k in range(6)
        for a in (k * pi / 3,)
    ]
    plates.append(ellipsoid((0, 0, 0.7), (0.18, 0.16, 0.13), 0.6))
    head = [
        frustum((0.7, 0, 0.25), (1.05, 0, 0.45), 0.16, 0.14, 0.75),
        ellipsoid((1.14, 0, 0.5), (0.25, 0.19, 0.18), 0.75),
    ]
    feet = pair(
        [
            ellipsoid((x, 0.62, 0.13), (0.26, 0.2, 0.13), 0.7, turn=rotation(yaw=turn))
            for x, turn in ((0.55, 40), (-0.55, -40))
        ]
    )
    return [
        *shell,
        *plates,
        *head,
        *feet,
        *_eyes(1.26, 0.14, 0.57, 0.055),
        frustum((-0.75, 0, 0.22), (-1.05, 0, 0.12), 0.1, 0.02, 0.7),
    ]


ANIMALS = {
    "camel": _camel,
    "cow": _cow,
    "dog": _dog,
    "elephant": _elephant,
    "giraffe": _giraffe,
    "horse": _horse,
    "rabbit": _rabbit,
    "turtle": _turtle,
}
