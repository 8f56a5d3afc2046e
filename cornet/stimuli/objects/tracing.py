"""Trace orthographic rays against convex solids in closed form.

Camera coordinates are in image widths: u right, v up, w towards the viewer. A ray has a fixed (u, v) and intersects a
convex solid in one interval of w, whose upper end is visible. Half-spaces bound it linearly, quadrics by a quadratic
equation. Only pixels in a solid's bounding rectangle are computed. Images are traced one at a time, to stay in the
processor's cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cornet.stimuli.objects.solids import Solid, moved

__all__ = ["Shape", "Traced", "trace"]

AMBIENT, KEY, FILL = 0.24, 0.66, 0.24
"""Shares of ambient light, of the lamp (Lambert), and of light from the viewer's direction."""

_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Shape:
    """The solids of an object in stacked arrays, centred on the origin, with a bounding sphere of diameter 1."""

    solids: tuple[Solid, ...]
    quadrics: np.ndarray
    planes: np.ndarray
    plane_starts: tuple[int, ...]
    points: np.ndarray
    point_starts: np.ndarray

    @classmethod
    def of(cls, solids: Sequence[Solid]) -> "Shape":
        """Centre the solids on their bounding box and scale them to a diameter of 1."""
        every = np.concatenate([solid.points for solid in solids])
        middle = (every.min(0) + every.max(0)) / 2
        scale = 0.5 / np.linalg.norm(every - middle, axis=1).max()
        return cls.placed([moved(solid, np.eye(3) * scale, -middle * scale) for solid in solids])

    @classmethod
    def placed(cls, placed: Sequence[Solid]) -> "Shape":
        """Stack solids as they are, without moving them."""
        counts = np.array([len(solid.points) for solid in placed])
        return cls(
            solids=tuple(placed),
            quadrics=np.stack([np.eye(4) if s.quadric is None else s.quadric for s in placed]),
            planes=np.concatenate([s.planes for s in placed]),
            plane_starts=tuple(np.cumsum([0] + [len(s.planes) for s in placed])),
            points=np.concatenate([s.points for s in placed]),
            point_starts=np.cumsum(counts) - counts,
        )


@dataclass(frozen=True, eq=False)
class Traced:
    """The visible part of an object: its pixel rectangle, coverage and premultiplied luminance.

    rows, columns: slices of the image. coverage, luminance: (rows, columns) float32; coverage 0..1,
    luminance for a lamp of strength 1, multiplied by coverage.
    """

    rows: slice
    columns: slice
    coverage: np.ndarray
    luminance: np.ndarray


def trace(
    shape: Shape,
    *,
    turn: np.ndarray,
    diameter: float,
    x: float,
    y: float,
    light: np.ndarray,
    size: int,
    antialias: int,
) -> Traced | None:
    """Trace a shape; None if it is outside the frame.

    turn: (3, 3) rotation from object to camera coordinates. diameter: of the bounding sphere, in image
    widths. x, y: its centre, in image widths from the image's centre, y upwards. light: (3,) unit vector
    towards the lamp, in camera coordinates. size: pixels per side. antialias: rays per pixel in each direction.
    """
    points = shape.points @ (turn.T * diameter)
    low = np.minimum.reduceat(points, shape.point_starts)
    high = np.maximum.reduceat(points, shape.point_starts)
    # Bounds in rays, with a margin of one ray; the object's rectangle consists of whole pixels.
    rays = size * antialias
    left = np.floor((low[:, 0] + x + 0.5) * rays).astype(int) - 1
    right = np.ceil((high[:, 0] + x + 0.5) * rays).astype(int) + 1
    top = np.floor((0.5 - high[:, 1] - y) * rays).astype(int) - 1
    bottom = np.ceil((0.5 - low[:, 1] - y) * rays).astype(int) + 1
    column0, column1 = max(int(left.min()) // antialias, 0), min(-(-int(right.max()) // antialias), size)
    row0, row1 = max(int(top.min()) // antialias, 0), min(-(-int(bottom.max()) // antialias), size)
    if column0 >= column1 or row0 >= row1:
        return None
    columns, rows = (column1 - column0) * antialias, (row1 - row0) * antialias
    left, right = left - column0 * antialias, right - column0 * antialias
    top, bottom = top - row0 * antialias, bottom - row0 * antialias
    us = ((np.arange(columns) + column0 * antialias + 0.5) / rays - 0.5 - x).astype(np.float32)
    vs = (0.5 - (np.arange(rows) + row0 * antialias + 0.5) / rays - y).astype(np.float32)

    into = np.zeros((4, 4))
    into[:3, :3], into[3, 3] = turn.T / diameter, 1
    quadrics = into.T @ shape.quadrics @ into
    planes = shape.planes @ into
    planes /= np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
    curved, flat, lamp = quadrics.tolist(), planes.tolist(), light.tolist()
    frames = np.stack([left.clip(0), right.clip(max=columns), top.clip(0), bottom.clip(max=rows)], 1).tolist()
    middles = ((low[:, 2] + high[:, 2]) / 2).tolist()
    depth = np.full((rows, columns), -np.inf, np.float32)
    seen = np.zeros((rows, columns), np.float32)
    for k, solid in enumerate(shape.solids):
        j0, j1, i0, i1 = frames[k]
        if j0 >= j1 or i0 >= i1:
            continue
        near, inside, shade = _meet(
            us[None, j0:j1],
            vs[i0:i1, None],
            None if solid.quadric is None else curved[k],
            flat[shape.plane_starts[k] : shape.plane_starts[k + 1]],
            middles[k],
            lamp,
            solid.gloss,
        )
        if shade is None:
            continue
        window = (slice(i0, i1), slice(j0, j1))
        inside &= near > depth[window]
        np.copyto(depth[window], near, where=inside)
        np.copyto(seen[window], shade * solid.albedo, where=inside)
    return Traced(
        rows=slice(row0, row1),
        columns=slice(column0, column1),
        coverage=_pool((depth > -np.inf).astype(np.float32), antialias),
        luminance=_pool(seen, antialias),
    )


def _meet(
    u: np.ndarray,
    v: np.ndarray,
    quadric: list[list[float]] | None,
    planes: list[list[float]],
    middle: float,
    light: list[float],
    gloss: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Nearest w, whether the ray intersects the solid, and the shade there, for rays u (1, x) and v (y, 1).

    middle: w of the solid's centre, which distinguishes the two halves of a cone. Shade is None if nothing is visible.
    Coefficients are Python numbers, which keep arrays in single precision and are faster than numpy scalars.
    """
    near: np.ndarray | None = None
    far: np.ndarray | None = None
    inside: np.ndarray | None = None
    shade: np.ndarray | None = None
    if quadric is not None:
        near, far, inside = _roots(u, v, quadric, middle)
        if near is not None:
            shade = _shade_quadric(u, v, near, quadric, light, gloss)
    for a, b, c, d in planes:
        steep = c if abs(c) > _FLAT else _FLAT
        bound = (-a / steep * u - d / steep) + -b / steep * v
        if steep > 0:
            facing = AMBIENT + KEY * max(a * light[0] + b * light[1] + c * light[2], 0.0) + FILL * max(c, 0.0)
            if near is None:
                near, shade = bound, np.full(bound.shape, facing, np.float32)
            else:
                assert shade is not None
                np.copyto(shade, facing, where=bound < near)
                near = np.minimum(near, bound)
        else:
            far = bound if far is None else np.maximum(far, bound)
    if near is None or far is None:
        return u, u > np.inf, None
    within = near > far
    return near, within if inside is None else within & inside, shade


def _roots(
    u: np.ndarray, v: np.ndarray, q: list[list[float]], middle: float
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """Interval of w inside a quadric: near end, far end (None: unbounded), and a mask of rays that intersect it.

    p1' Q p1 = A w^2 + 2 B w + C with p1 = (u, v, w, 1): A a number, B linear, B^2 - A C quadratic in u, v.
    """
    (quu, quv, quw, qu1), (_, qvv, qvw, qv1), (_, _, a, qw1), (*_, q11) = q
    least = _FLAT * max(abs(quu), abs(qvv), abs(a))
    if abs(a) < least:
        a = least
    b = (quw * u + qw1) + qvw * v
    square = (2 * (quw * qvw - a * quv) * v + 2 * (quw * qw1 - a * qu1)) * u
    square += ((qvw**2 - a * qvv) * v + 2 * (qvw * qw1 - a * qv1)) * v + (qw1**2 - a * q11)
    square += (quw**2 - a * quu) * (u * u)
    inside = square > 0
    root = np.sqrt(np.maximum(square, 0, out=square), out=square)
    if a > 0:
        return (root - b) * (1 / a), (root + b) * (-1 / a), inside
    # The ray is steeper than the cone's side: inside from one root to infinity, in the half that belongs to the solid.
    apex = np.linalg.solve(np.array(q)[:3, :3], -np.array(q)[:3, 3])[2]
    inside = np.ones_like(inside)
    if middle > apex:
        return None, (-root - b) * (1 / a), inside
    return (root - b) * (1 / a), None, inside


def _shade_quadric(
    u: np.ndarray, v: np.ndarray, w: np.ndarray, q: list[list[float]], light: list[float], gloss: float
) -> np.ndarray:
    """Shade on a quadric's surface; the normal is the gradient, which is linear in (u, v, w)."""
    x, y, z = ((row[0] * u + row[3]) + row[1] * v + row[2] * w for row in q[:3])
    length = 1 / np.sqrt(x * x + y * y + z * z + 1e-30)
    lamp = (x * light[0] + y * light[1] + z * light[2]) * length
    shade = np.maximum(lamp, 0) * KEY + np.maximum(z * length, 0) * FILL + AMBIENT
    if gloss > 0:
        # Blinn highlight with exponent 16; the half vector is between the lamp and the viewer, at +w.
        middle = (2 + 2 * light[2]) ** 0.5
        a, b, c = light[0] / middle, light[1] / middle, (light[2] + 1) / middle
        shine = np.maximum((x * a + y * b + z * c) * length, 0)
        for _ in range(4):
            shine *= shine
        shade += shine * gloss
    return shade


def _pool(rays: np.ndarray, antialias: int) -> np.ndarray:
    """Mean over the rays of each pixel, in a fixed order."""
    if antialias == 1:
        return rays
    total = np.zeros((rays.shape[0] // antialias, rays.shape[1] // antialias), np.float32)
    for i in range(antialias):
        for j in range(antialias):
            total += rays[i::antialias, j::antialias]
    return total / antialias**2
