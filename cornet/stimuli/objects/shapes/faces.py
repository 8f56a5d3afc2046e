"""Faces: one head with different features, hair and ornaments. Lengths are relative, see `Shape.of`."""

from collections.abc import Callable
from functools import partial
from math import cos, pi, sin

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, moved, pair, rotation

__all__ = ["FACES"]


def _face(
    skin: float,
    hair: float,
    style: str,
    *,
    width: float = 0.72,
    jaw: float = 0.5,
    nose: float = 1.0,
    smile: float = 0.0,
    beard: float | None = None,
    glasses: bool = False,
    brow: float = 0.0,
) -> list[Solid]:
    """A head that looks along +x. style: of the hair: bald, short, cap, long, bun, curly, fringe."""
    depth = 0.82
    parts = [
        ellipsoid((0, 0, 0.15), (depth, width, 0.9), skin),
        ellipsoid((0.12, 0, -0.45), (0.66, jaw + 0.06, 0.68), skin),
    ]
    parts += pair(ellipsoid((0, width, -0.02), (0.14, 0.09, 0.24), skin * 0.85))
    parts.append(frustum((-0.12, 0, -1.35), (-0.05, 0, -0.5), 0.4, 0.36, skin * 0.9))
    eye = [
        ellipsoid((0.67, 0.3, 0.1), (0.12, 0.17, 0.11), 1.0),
        ellipsoid((0.76, 0.29, 0.1), (0.07, 0.085, 0.09), 0.03, gloss=0.6),
    ]
    eye.append(box((0.73, 0.31, 0.33), (0.16, 0.36, 0.08), hair * 0.7, turn=rotation(yaw=-18, roll=-brow)))
    parts += pair(eye)
    ridge = [(0.72, y, 0.15) for y in (-0.06, 0.06)] + [(0.72, y, -0.28) for y in (-0.17, 0.17)]
    parts.append(
        hull([*ridge, (0.8, 0, 0.12), (0.8 + 0.28 * nose, 0, -0.22), (0.76, 0, -0.32)], min(skin * 1.1, 1.0))
    )
    parts.append(ellipsoid((0.72, 0, -0.56), (0.1, 0.25, 0.055), 0.12 if skin > 0.3 else 0.03))
    parts += pair(ellipsoid((0.69, 0.22, -0.56 + smile), (0.08, 0.07, 0.05), 0.12 if skin > 0.3 else 0.03))
    if beard is not None:
        parts.append(
            ellipsoid((0.12, 0, -0.56), (0.72, jaw + 0.13, 0.68), beard, cut=[(0.25, 0, 0.97, 0.16)])
        )
        parts.append(box((0.79, 0, -0.42), (0.14, 0.46, 0.1), beard))
    if glasses:
        rims = [
            frustum((0.84, 0.3, 0.1), (0.87, 0.3, 0.1), 0.24, None, 0.05),
            frustum((0.85, 0.3, 0.1), (0.885, 0.3, 0.1), 0.18, None, 0.75),
        ]
        rims += [
            frustum((0.88, 0.29, 0.1), (0.895, 0.29, 0.1), 0.085, None, 0.03),
            box((0.45, 0.68, 0.14), (0.8, 0.05, 0.07), 0.05),
        ]
        parts += [*pair(rims), box((0.85, 0, 0.13), (0.04, 0.2, 0.06), 0.05)]
    parts += _hair(style, hair, width)
    return [moved(part, rotation(pitch=-20)) for part in parts]  # towards a camera that looks down


def _hair(style: str, albedo: float, width: float) -> list[Solid]:
    back = (0.55, 0, -0.83, -0.02)
    skull = ellipsoid((-0.06, 0, 0.22), (0.86, width + 0.08, 0.93), albedo, cut=[back])
    if style == "bald":
        return []
    if style == "short":
        return [skull]
    if style == "long":
        locks = pair(ellipsoid((-0.15, width - 0.05, -0.45), (0.42, 0.22, 0.95), albedo))
        return [skull, *locks, ellipsoid((-0.5, 0, -0.4), (0.38, width, 1.0), albedo)]
    if style == "bun":
        return [skull, ellipsoid((-0.3, 0, 1.22), [0.34] * 3, albedo)]
    if style == "curly":
        balls = [
            ellipsoid(
                (-0.1 + 0.62 * cos(a) * cos(e), (width + 0.1) * sin(a) * cos(e), 0.5 + 0.68 * sin(e)),
                [0.34] * 3,
                albedo,
            )
            for e in (0.15, 0.75)
            for k in range(8)
            for a in (pi * k / 4,)
            if e > 0.5 or cos(a) < 0.5
        ]
        return [skull, *balls, ellipsoid((-0.1, 0, 1.1), [0.4] * 3, albedo)]
    if style == "cap":
        crown = ellipsoid((-0.04, 0, 0.42), (0.88, width + 0.1, 0.75), albedo, cut=[(0, 0, -1, 0)])
        return [
            crown,
            moved(
                frustum((0, 0, 0.42), (0, 0, 0.5), 0.5, None, albedo * 0.6),
                rotation() * [1.15, 1.25, 1.0],
                (0.72, 0, 0),
            ),
        ]
    fringe = ellipsoid((0.0, 0, 0.2), (0.9, width + 0.1, 0.95), albedo, cut=[(0, 0, -1, -0.3)])
    return [fringe, ellipsoid((-0.3, 0, -0.05), (0.62, width + 0.12, 0.85), albedo, cut=[(1, 0, 0, 0.3)])]


FACES: dict[str, Callable[[], list[Solid]]] = {
    "bearded": partial(_face, 0.65, 0.06, "short", jaw=0.56, beard=0.06, brow=8),
    "curly": partial(_face, 0.42, 0.04, "curly", jaw=0.5, nose=0.8, smile=0.05),
    "elder": partial(_face, 0.75, 0.95, "bald", jaw=0.5, nose=1.2, beard=0.95),
    "girl": partial(_face, 0.6, 0.05, "bun", width=0.75, jaw=0.46, nose=0.6, smile=0.08),
    "man": partial(_face, 0.8, 0.15, "short", jaw=0.56),
    "sailor": partial(_face, 0.7, 0.95, "cap", jaw=0.58, nose=1.1, smile=0.03),
    "scholar": partial(_face, 0.85, 0.5, "fringe", jaw=0.46, glasses=True),
    "woman": partial(_face, 0.9, 0.3, "long", jaw=0.42, nose=0.7, smile=0.06),
}
