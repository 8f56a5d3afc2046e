"""Convex solids, defined by a quadric, half-spaces, or both, and closed under affine transforms.

A point p1 = (x, y, z, 1) is inside if p1' Q p1 <= 0 and plane . p1 <= 0 for every plane. Objects face +x; their left
side is +y, up is +z.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, radians, sin

import numpy as np
from scipy.spatial import ConvexHull

__all__ = [
    "Solid",
    "box",
    "ellipsoid",
    "frustum",
    "hull",
    "moved",
    "pair",
    "prism",
    "profile",
    "rotation",
    "tube",
]

Point = Sequence[float] | np.ndarray

_ROUND = 24
_RING = np.array([(cos(2 * pi * k / _ROUND), sin(2 * pi * k / _ROUND)) for k in range(_ROUND)]) / cos(
    pi / _ROUND
)


def _around_sphere() -> np.ndarray:
    """Points (m, 3) whose convex hull tightly contains the unit sphere: rings of circumscribed polygons."""
    levels = [k * pi / 12 for k in range(-6, 7)]
    rings = [np.c_[_RING * cos(level), np.full(_ROUND, sin(level))] for level in levels]
    return np.concatenate(rings) / cos(pi / 24)


_SPHERE = _around_sphere()


@dataclass(frozen=True, eq=False)
class Solid:
    """A convex solid with its surface properties.

    albedo: reflectance, 0 black to 1 white. gloss: strength of the highlight, 0 matt.
    quadric: (4, 4) symmetric, or None. planes: (k, 4). points: (m, 3), whose convex hull tightly contains it.
    """

    albedo: float
    gloss: float
    quadric: np.ndarray | None
    planes: np.ndarray
    points: np.ndarray


def rotation(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(3, 3) rotation in degrees: roll about x, then pitch about y (positive: nose down), then yaw about z."""
    a, b, c = radians(yaw), radians(pitch), radians(roll)
    about_z = np.array([[cos(a), -sin(a), 0], [sin(a), cos(a), 0], [0, 0, 1]])
    about_y = np.array([[cos(b), 0, sin(b)], [0, 1, 0], [-sin(b), 0, cos(b)]])
    about_x = np.array([[1, 0, 0], [0, cos(c), -sin(c)], [0, sin(c), cos(c)]])
    return about_z @ about_y @ about_x


def moved(solid: Solid, matrix: np.ndarray, offset: Point = (0, 0, 0)) -> Solid:
    """Apply p -> matrix p + offset to a solid. matrix: (3, 3), invertible (rotation, mirroring, scaling)."""
    forward = np.eye(4)
    forward[:3, :3], forward[:3, 3] = matrix, offset
    back = np.linalg.inv(forward)
    quadric = None if solid.quadric is None else back.T @ solid.quadric @ back
    points = solid.points @ forward[:3, :3].T + forward[:3, 3]
    return replace(solid, quadric=quadric, planes=solid.planes @ back, points=points)


def pair(solids: "Solid | Iterable[Solid]") -> list[Solid]:
    """The solids and their mirror images (y -> -y), for legs, wheels, ears, wings."""
    group = [solids] if isinstance(solids, Solid) else list(solids)
    return group + [moved(solid, np.diag([1.0, -1.0, 1.0])) for solid in group]


def ellipsoid(
    centre: Point,
    radii: Point,
    albedo: float,
    *,
    gloss: float = 0.0,
    turn: np.ndarray | None = None,
    cut: Sequence[Point] = (),
) -> Solid:
    """An ellipsoid. cut: planes (a, b, c, d), which keep the part with a x + b y + c z <= d.

    Planes are in the frame of the unit sphere, before radii, turn and centre: (0, 0, 1, 0) keeps the lower half,
    (0, 0, -1, 0) the upper half.
    """
    planes = np.array([(a, b, c, -d) for a, b, c, d in cut], float).reshape(-1, 4)
    points = _SPHERE
    for plane in planes:
        over = np.maximum(points @ plane[:3] + plane[3], 0) / (plane[:3] @ plane[:3])
        points = points - over[:, None] * plane[:3]
    unit = Solid(albedo, gloss, np.diag([1.0, 1.0, 1.0, -1.0]), planes, points)
    return moved(unit, (np.eye(3) if turn is None else turn) @ np.diag(np.asarray(radii, float)), centre)


def frustum(
    start: Point,
    end: Point,
    radius: float,
    end_radius: float | None = None,
    albedo: float = 0.5,
    *,
    gloss: float = 0.0,
) -> Solid:
    """A capped cylinder from start to end; with an `end_radius`, a frustum (0: a cone)."""
    low, high = np.asarray(start, float), np.asarray(end, float)
    last = radius if end_radius is None else end_radius
    slope = last - radius
    quadric = np.diag([1.0, 1.0, -(slope**2), -(radius**2)])
    quadric[2, 3] = quadric[3, 2] = -slope * radius
    rings = [np.c_[_RING * r, np.full(_ROUND, z)] for r, z in ((radius, 0.0), (last, 1.0))]
    unit = Solid(albedo, gloss, quadric, np.array([[0, 0, 1.0, -1], [0, 0, -1, 0]]), np.concatenate(rings))
    axis = high - low
    aside = np.cross(axis, (0, 0, 1.0) if abs(axis[2]) < 0.9 * np.linalg.norm(axis) else (1.0, 0, 0))
    aside /= np.linalg.norm(aside)
    other = np.cross(axis, aside)
    return moved(unit, np.stack([aside, other / np.linalg.norm(other), axis], 1), low)


def hull(points: Sequence[Point] | np.ndarray, albedo: float) -> Solid:
    """The convex hull of points, (m, 3), not all in one plane."""
    around = ConvexHull(np.asarray(points, float))
    faces = np.unique(around.equations.round(9), axis=0)
    return Solid(albedo, 0.0, None, faces, around.points[around.vertices])


def box(centre: Point, size: Point, albedo: float, *, turn: np.ndarray | None = None) -> Solid:
    """A box with sides of length `size`."""
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    planes = np.concatenate([np.c_[np.eye(3), np.full(3, -0.5)], np.c_[-np.eye(3), np.full(3, -0.5)]])
    unit = Solid(albedo, 0.0, None, planes, corners)
    return moved(unit, (np.eye(3) if turn is None else turn) @ np.diag(np.asarray(size, float)), centre)


def profile(side: Sequence[tuple[float, float]], width: float, albedo: float, *, top: float = 1.0) -> Solid:
    """Extrude a convex side view, points (x, z), to a width that narrows to width * top at the highest points."""
    low, high = min(z for _, z in side), max(z for _, z in side)
    points = [
        (x, sign * width / 2 * (1 + (top - 1) * (z - low) / (high - low)), z)
        for x, z in side
        for sign in (-1, 1)
    ]
    return hull(points, albedo)


def prism(outline: Sequence[tuple[float, float]], bottom: float, top: float, albedo: float) -> Solid:
    """Extrude a convex outline, points (x, y), from height `bottom` to height `top`."""
    return hull([(x, y, z) for x, y in outline for z in (bottom, top)], albedo)


def tube(
    path: Sequence[Point], radii: Sequence[float], albedo: float, *, gloss: float = 0.0, rounded: bool = False
) -> list[Solid]:
    """Balls along a path, joined smoothly by cones. rounded: include the first ball."""
    parts = [ellipsoid(path[k], [radii[k]] * 3, albedo, gloss=gloss) for k in range(not rounded, len(path))]
    for k in range(len(path) - 1):
        start, end = np.asarray(path[k], float), np.asarray(path[k + 1], float)
        length = float(np.linalg.norm(end - start))
        lean = (radii[k] - radii[k + 1]) / length
        if abs(lean) < 1:
            ahead, across = (end - start) / length * lean, (1 - lean**2) ** 0.5
            a, b = radii[k], radii[k + 1]
            parts.append(
                frustum(start + a * ahead, end + b * ahead, a * across, b * across, albedo, gloss=gloss)
            )
    return parts
