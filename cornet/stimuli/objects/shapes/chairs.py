"""Chairs: a seat, a back, and legs of many kinds. Lengths are relative, see `Shape.of`."""

from math import cos, pi, sin

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, pair, rotation

__all__ = ["CHAIRS"]

METAL = 0.6
DARK = 0.08


def _posts(
    x: float, back: float, y: float, top: float, thick: float, albedo: float, *, splay: float = 0.0
) -> list[Solid]:
    """Four legs from z = 0 up to `top`; splay: outward offset of the feet."""
    return pair(
        [
            frustum((a + (splay if a > 0 else -splay), y + splay, 0), (a, y, top), thick * 0.8, thick, albedo)
            for a in (x, -back)
        ]
    )


def _seat(albedo: float, *, z: float = 0.8, half: float = 0.5) -> Solid:
    return box((0, 0, z), (2 * half, 2 * half, 0.14), albedo)


def _kitchen() -> list[Solid]:
    parts = [
        _seat(0.85),
        box((-0.47, 0, 1.62), (0.1, 1.0, 0.3), 0.85),
        box((-0.45, 0, 1.2), (0.08, 0.9, 0.16), 0.85),
    ]
    return [
        *parts,
        *_posts(0.42, 0.45, 0.42, 0.8, 0.07, 0.6),
        *pair(frustum((-0.45, 0.45, 0.8), (-0.48, 0.45, 1.75), 0.07, None, 0.6)),
    ]


def _ladderback() -> list[Solid]:
    parts = [
        _seat(0.9, half=0.46),
        *_posts(0.42, 0.42, 0.42, 0.8, 0.06, 0.25),
        *pair(frustum((-0.43, 0.42, 0.8), (-0.5, 0.42, 2.15), 0.065, None, 0.25)),
    ]
    parts += [box((-0.44 - 0.05 * k, 0, 1.12 + 0.3 * k), (0.06, 0.84, 0.16), 0.35) for k in range(4)]
    return [
        *parts,
        frustum((0.42, -0.42, 0.35), (0.42, 0.42, 0.35), 0.045, None, 0.25),
        *pair(frustum((0.42, 0.42, 0.45), (-0.42, 0.42, 0.45), 0.045, None, 0.25)),
    ]


def _armchair() -> list[Solid]:
    parts = [
        box((0.05, 0, 0.45), (1.1, 1.0, 0.5), 0.65),
        box((0.12, 0, 0.75), (0.95, 0.86, 0.22), 0.85),
        box((-0.52, 0, 0.95), (0.32, 1.2, 1.2), 0.65, turn=rotation(pitch=-8)),
    ]
    arms = [
        box((0.05, 0.58, 0.62), (1.15, 0.26, 0.7), 0.55),
        frustum((0.63, 0.58, 0.98), (-0.5, 0.58, 0.98), 0.16, None, 0.6),
    ]
    return [
        *parts,
        *pair(arms),
        frustum((-0.61, -0.6, 1.55), (-0.61, 0.6, 1.55), 0.17, None, 0.65),
        *pair([frustum((x, 0.5, 0.0), (x, 0.5, 0.25), 0.07, None, DARK) for x in (0.5, -0.5)]),
    ]


def _office() -> list[Solid]:
    parts = [
        box((0, 0, 0.85), (0.95, 0.95, 0.18), 0.3),
        box((-0.5, 0, 1.6), (0.16, 0.9, 0.95), 0.3, turn=rotation(pitch=-8)),
        box((-0.5, 0, 1.05), (0.1, 0.16, 0.5), DARK),
    ]
    parts += [
        frustum((0, 0, 0.2), (0, 0, 0.8), 0.07, None, METAL),
        *pair(
            [
                box((0.0, 0.55, 1.2), (0.6, 0.13, 0.09), DARK),
                frustum((0.0, 0.55, 0.85), (0.0, 0.55, 1.2), 0.045, None, METAL),
            ]
        ),
    ]
    for k in range(5):
        a = 2 * pi * k / 5
        foot = (0.62 * cos(a), 0.62 * sin(a))
        parts += [
            frustum((0, 0, 0.24), (*foot, 0.15), 0.07, 0.05, METAL),
            ellipsoid((*foot, 0.08), [0.09] * 3, DARK),
        ]
    return parts


def _rocker() -> list[Solid]:
    parts = [
        _seat(0.7, z=0.75),
        *_posts(0.42, 0.42, 0.42, 0.75, 0.06, 0.6),
        *pair(frustum((-0.44, 0.44, 0.75), (-0.62, 0.44, 1.95), 0.06, None, 0.6)),
    ]
    parts += [frustum((-0.45, y, 0.8), (-0.6, y, 1.85), 0.045, None, 0.7) for y in (-0.22, 0.0, 0.22)]
    parts += [box((-0.61, 0, 1.9), (0.1, 1.0, 0.22), 0.7)]
    runner = [
        frustum((0.95, 0.42, 0.16), (0.3, 0.42, 0.0), 0.06, None, 0.4),
        frustum((0.3, 0.42, 0.0), (-0.4, 0.42, 0.0), 0.06, None, 0.4),
        frustum((-0.4, 0.42, 0.0), (-1.05, 0.42, 0.18), 0.06, None, 0.4),
    ]
    arm = [
        box((-0.05, 0.5, 1.2), (1.0, 0.12, 0.07), 0.6),
        frustum((0.4, 0.5, 0.75), (0.4, 0.5, 1.2), 0.05, None, 0.6),
    ]
    return parts + pair(runner + arm)


def _shell() -> list[Solid]:
    """A moulded shell on four splayed wooden legs."""
    shell = [
        ellipsoid((0, 0, 0.92), (0.6, 0.58, 0.2), 0.95, cut=[(0, 0, 1, 0.2)]),
        hull(
            [(-0.4, y, 0.85) for y in (-0.42, 0.42)]
            + [(-0.5, y, 0.85) for y in (-0.42, 0.42)]
            + [(-0.62, y, 1.5) for y in (-0.5, 0.5)]
            + [(-0.7, y, 1.5) for y in (-0.5, 0.5)]
            + [(-0.66, y, 1.78) for y in (-0.3, 0.3)]
            + [(-0.72, y, 1.78) for y in (-0.3, 0.3)],
            0.95,
        ),
    ]
    return [*shell, *_posts(0.28, 0.28, 0.28, 0.85, 0.06, 0.3, splay=0.25)]


def _throne() -> list[Solid]:
    parts = [
        box((0, 0, 0.42), (1.0, 1.05, 0.75), 0.45),
        box((0.02, 0, 0.86), (0.95, 0.8, 0.14), 0.9),
        box((-0.46, 0, 1.45), (0.16, 1.1, 1.9), 0.45),
        box((-0.4, 0, 1.5), (0.1, 0.75, 1.1), 0.9),
    ]
    parts += pair(
        [
            box((0.02, 0.52, 1.15), (0.95, 0.16, 0.1), 0.4),
            box((0.42, 0.52, 0.75), (0.12, 0.14, 0.8), 0.45),
            ellipsoid((-0.46, 0.5, 2.48), [0.13] * 3, 0.9),
        ]
    )
    return [
        *parts,
        hull(
            [(-0.54, y, 2.38) for y in (-0.4, 0.4)]
            + [(-0.38, y, 2.38) for y in (-0.4, 0.4)]
            + [(-0.54, 0, 2.7), (-0.38, 0, 2.7)],
            0.5,
        ),
    ]


def _director() -> list[Solid]:
    """A folding chair: crossed legs, a cloth seat and a cloth back."""
    parts = [box((0, 0, 0.85), (0.85, 0.95, 0.07), 0.9), box((-0.42, 0, 1.6), (0.06, 1.0, 0.42), 0.9)]
    for x in (0.38, -0.38):
        parts += [
            frustum((x, -0.5, 0), (x, 0.5, 0.85), 0.055, None, 0.3),
            frustum((x, 0.5, 0), (x, -0.5, 0.85), 0.055, None, 0.3),
        ]
    posts = [
        frustum((-0.42, 0.5, 0.8), (-0.42, 0.5, 1.82), 0.055, None, 0.3),
        frustum((0.4, 0.5, 0.8), (0.4, 0.5, 1.22), 0.055, None, 0.3),
        box((0, 0.5, 1.24), (0.95, 0.13, 0.07), 0.35),
    ]
    return parts + pair(posts) + pair(frustum((0.38, 0.5, 0.03), (-0.38, 0.5, 0.03), 0.05, None, 0.3))


CHAIRS = {
    "armchair": _armchair,
    "director": _director,
    "kitchen": _kitchen,
    "ladderback": _ladderback,
    "office": _office,
    "rocker": _rocker,
    "shell": _shell,
    "throne": _throne,
}
