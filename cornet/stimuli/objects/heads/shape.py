"""A head from convex solids, with continuous parameters of its shape. Lengths are relative to half a head."""

from collections.abc import Mapping
from math import sqrt

import numpy as np

from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, moved, pair, rotation
from cornet.stimuli.objects.tracing import Shape

__all__ = ["PARAMETERS", "head_shape", "head_solids"]

PARAMETERS = {
    "head_width": "width of the skull",
    "head_height": "height of the skull",
    "jaw_width": "width of the jaw, as a share of the skull's",
    "chin": "length of the lower face",
    "nose_length": "how far the nose stands out",
    "nose_width": "width of the nose",
    "eye_distance": "distance of the eyes",
    "eye_size": "size of the eyes",
    "brow_angle": "slope of the brows; positive: the outer ends are higher",
    "brow_weight": "thickness of the brows",
    "mouth_width": "width of the mouth",
    "lips": "thickness of the lips",
    "ears": "size of the ears",
    "hair_height": "volume of the hair",
    "hair_length": "how far the hair falls at the sides and the back",
    "hairline": "positive: the hair starts further back",
    "hair_tone": "reflectance of the hair, from black to white",
    "skin": "reflectance of the skin, from dark to light",
}
"""Shape parameters, -1 to 1 each, where 0 is the average head, and their meaning."""

# The scale at which the average head with short hair has a bounding sphere of diameter 1.
_SCALE, _CENTRE = 0.38, np.array([0.0, 0.0, -0.08])


def head_shape(parameters: Mapping[str, float]) -> Shape:
    """The shape of a head that looks along +x. parameters: value of each of PARAMETERS.

    All heads have the same scale and the same point at the origin, so that the parameters also change the head's size.
    """
    return Shape.placed(
        [moved(solid, np.eye(3) * _SCALE, -_CENTRE * _SCALE) for solid in head_solids(parameters)]
    )


def head_solids(parameters: Mapping[str, float]) -> list[Solid]:
    """The solids of a head. parameters: as in `head_shape`."""
    p = {name: float(parameters[name]) for name in PARAMETERS}
    skin, hair = 0.62 + 0.3 * p["skin"], 0.04 + 0.86 * (0.5 + 0.5 * p["hair_tone"]) ** 1.6
    width, height = 0.7 * (1 + 0.15 * p["head_width"]), 0.9 * (1 + 0.13 * p["head_height"])
    skull = np.array([0.0, 0.0, 0.15]), np.array([0.82, width, height])
    drop = 0.12 * p["chin"]
    face = np.array([0.12, 0.0, -0.44 - drop]), np.array([0.66, width * (0.78 + 0.2 * p["jaw_width"]), 0.66])
    front = [skull, face]
    lip = -0.58 - drop
    return [
        ellipsoid(*skull, skin),
        ellipsoid(*face, skin),
        frustum((-0.12, 0, -1.35), (-0.05, 0, -0.5), 0.4, 0.36, skin * 0.9),
        *_ears(1 + 0.45 * p["ears"], width, skin),
        *_eyes(front, p, hair),
        _nose(front, p, skin),
        ellipsoid(
            (_surface(front, 0, lip) - 0.08, 0, lip),
            (0.12, 0.25 * (1 + 0.35 * p["mouth_width"]), 0.062 * (1 + 0.55 * p["lips"])),
            0.22 * skin,
        ),
        *_hair(p, hair, width, height),
    ]


def _surface(solids: list[tuple[np.ndarray, np.ndarray]], y: float, z: float) -> float:
    """The largest x of ellipsoids (centre, radii) at (y, z), so that features lie on the face."""
    found = [
        centre[0]
        + radii[0] * sqrt(max(1 - ((y - centre[1]) / radii[1]) ** 2 - ((z - centre[2]) / radii[2]) ** 2, 0))
        for centre, radii in solids
    ]
    return float(max(found))


def _ears(size: float, width: float, skin: float) -> list[Solid]:
    lobe = ellipsoid(
        (-0.02, width * 0.98 + 0.03, 0.0),
        (0.15 * size, 0.09, 0.25 * size),
        skin * 0.85,
        turn=rotation(yaw=25),
    )
    return pair(lobe)


def _eyes(front: list[tuple[np.ndarray, np.ndarray]], p: Mapping[str, float], hair: float) -> list[Solid]:
    size, aside, level = 1 + 0.3 * p["eye_size"], 0.29 + 0.08 * p["eye_distance"], 0.08
    x = _surface(front, aside, level)
    above = level + 0.13 * size + 0.11
    turn = rotation(yaw=20, roll=12 * p["brow_angle"])
    brow = box(
        (_surface(front, aside, above) - 0.01, aside + 0.02, above),
        (0.14, 0.36, 0.085 * (1 + 0.6 * p["brow_weight"])),
        hair * 0.7,
        turn=turn,
    )
    return pair(
        [
            ellipsoid((x - 0.04, aside, level), (0.1, 0.16 * size, 0.11 * size), 1.0),
            ellipsoid((x + 0.03, aside - 0.01, level), (0.06, 0.075 * size, 0.085 * size), 0.03, gloss=0.6),
            brow,
        ]
    )


def _nose(front: list[tuple[np.ndarray, np.ndarray]], p: Mapping[str, float], skin: float) -> Solid:
    half, tip = 0.17 * (1 + 0.45 * p["nose_width"]), 0.33 * (1 + 0.45 * p["nose_length"])
    top, bottom = _surface(front, 0, 0.12), _surface(front, 0, -0.3)
    points = [(top - 0.08, y, 0.15) for y in (-0.06, 0.06)] + [
        (bottom - 0.08, y, -0.3) for y in (-half, half)
    ]
    points += [(top + 0.01, 0, 0.14), (bottom + tip, 0, -0.24), (bottom + 0.6 * tip, 0, -0.33)]
    points += [(bottom + 0.3 * tip, y, -0.31) for y in (-0.75 * half, 0.75 * half)]
    return hull(points, min(skin * 1.1, 1.0))


def _hair(p: Mapping[str, float], tone: float, width: float, height: float) -> list[Solid]:
    volume, length = 0.07 + 0.06 * p["hair_height"], 0.5 + 0.5 * p["hair_length"]
    # The part of an ellipsoid around the skull that lies above and behind a plane.
    cap = ellipsoid(
        (-0.05, 0, 0.17 + volume),
        (0.85, width + volume, height + 0.6 * volume),
        tone,
        cut=[(0.58, 0, -0.81, -0.06 - 0.14 * p["hairline"])],
    )
    low = 0.2 - 0.5 * length
    locks = pair(
        ellipsoid(
            (-0.2, width - 0.1 + volume, low), (0.36, 0.17, 0.3 + 0.6 * length), tone, turn=rotation(roll=-4)
        )
    )
    back = ellipsoid((-0.42, 0, low), (0.45, width * 0.9 + volume, 0.4 + 0.6 * length), tone)
    return [cap, *locks, back]
