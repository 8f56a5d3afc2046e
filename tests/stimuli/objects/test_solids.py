"""The geometry of the rendered objects, against brute force and closed formulas."""

from math import cos, pi, radians, sin

import numpy as np
import pytest

from cornet.stimuli.objects import (
    draw_latents,
)
from cornet.stimuli.objects.rendering import camera, compose
from cornet.stimuli.objects.solids import box, ellipsoid, frustum, hull, moved, pair, rotation, tube
from cornet.stimuli.objects.tracing import Shape, _meet, trace
from tests.helpers.stimuli.traced_shapes import LIGHT, centroid, inside, shown

SOLIDS = {
    "ellipsoid": ellipsoid((0.05, -0.1, 0.1), (0.4, 0.2, 0.3), 0.5, turn=rotation(yaw=30, roll=20)),
    "dome": ellipsoid((0, 0, 0), (0.4, 0.3, 0.4), 0.5, cut=[(0.3, 0, -1, 0.1)]),
    "box": box((0.1, 0, 0), (0.5, 0.3, 0.2), 0.5, turn=rotation(pitch=25)),
    "cylinder": frustum((-0.2, 0.1, -0.2), (0.25, -0.1, 0.2), 0.2, None, 0.5),
    "cone": frustum((0, 0, -0.3), (0, 0.1, 0.3), 0.35, 0.0, 0.5),
    "flat cone": frustum((0, 0, 0.1), (0, 0, -0.1), 0.1, 0.45, 0.5),
    "frustum": frustum((0.3, 0, 0), (-0.3, 0.1, 0), 0.1, 0.3, 0.5),
    "tetrahedron": hull([(0.4, 0, -0.3), (-0.3, 0.3, -0.2), (-0.2, -0.4, -0.2), (0, 0, 0.4)], 0.5),
}
VIEWS = [
    rotation(yaw=0),
    rotation(yaw=130, pitch=35),
    rotation(yaw=-60, pitch=-50, roll=40),
    rotation(pitch=88),
]


def listed(quadric: np.ndarray | None) -> list[list[float]] | None:
    return None if quadric is None else quadric.tolist()


@pytest.mark.slow  # marches along many rays
@pytest.mark.parametrize("view", range(len(VIEWS)))
@pytest.mark.parametrize("name", SOLIDS)
def test_ray_solid_intersection_against_marching(name: str, view: int) -> None:
    solid = moved(SOLIDS[name], VIEWS[view])
    axis = np.linspace(-0.75, 0.75, 31).astype(np.float32) + np.float32(0.003)
    u, v = axis[None, :], axis[::-1][:, None]
    planes = solid.planes / np.linalg.norm(solid.planes[:, :3], axis=1, keepdims=True)
    middle = (solid.points[:, 2].min() + solid.points[:, 2].max()) / 2
    near, hit, shade = _meet(u, v, listed(solid.quadric), planes.tolist(), middle, LIGHT.tolist(), 0.0)
    depths = np.linspace(-0.8, 0.8, 801)
    grid = np.stack(np.broadcast_arrays(u[..., None], v[..., None], depths), -1).astype(float)
    within = inside(solid, grid)
    expected, first = within.any(-1), depths[800 - within[..., ::-1].argmax(-1)]
    # Marching misses what is thinner than its step, and nothing else.
    assert not (expected & ~hit).any()
    assert (hit & ~expected).mean() < 0.01
    both = expected & hit
    assert both.sum() > 15
    assert np.abs(near - first)[both].max() < 0.0021
    assert shade is not None
    assert shade[both].min() > 0


def test_normals_against_finite_differences() -> None:
    # Lambert's term of a sphere is known everywhere; the lamp sits at the viewer, so normal . lamp = w / r.
    axis = np.linspace(-0.28, 0.28, 15).astype(np.float32)
    sphere = ellipsoid((0, 0, 0), (0.3, 0.3, 0.3), 1.0)
    near, hit, shade = _meet(axis[None], axis[:, None], listed(sphere.quadric), [], 0.0, [0.0, 0.0, 1.0], 0.0)
    assert shade is not None
    assert np.allclose(shade[hit], 0.24 + (0.66 + 0.24) * near[hit] / 0.3, atol=2e-3)


@pytest.mark.parametrize("antialias", [1, 2, 4])
def test_area_and_centre_of_a_sphere(antialias: int) -> None:
    shape = Shape.of([ellipsoid((3, 2, 1), (2, 2, 2), 0.5)])
    radius = 0.6 * (-shape.quadrics[0][3, 3] / shape.quadrics[0][0, 0]) ** 0.5
    assert 0.98 * 0.3 < radius <= 0.3
    traced = shown(shape, x=0.07, y=-0.11, antialias=antialias, size=128)
    assert traced.coverage.sum() / 128**2 == pytest.approx(pi * radius**2, rel=0.01)
    assert np.allclose(centroid(traced, 128), (0.07, -0.11), atol=1e-3)


def test_a_nearer_solid_hides_a_farther_one() -> None:
    plates = [box((0, 0, z), (1, 1, 0.1), albedo) for z, albedo in ((0.0, 0.2), (0.5, 0.9))]
    for order in (plates, plates[::-1]):
        traced = shown(Shape.of(order), light=np.array([0, 0, 1.0]))
        assert traced.luminance.max() == pytest.approx(0.9 * (0.24 + 0.66 + 0.24), abs=1e-3)
        assert traced.luminance[traced.coverage == 1].min() > 0.9


def test_out_of_the_frame() -> None:
    shape = Shape.of([ellipsoid((0, 0, 0), (1, 1, 1), 0.5)])
    assert trace(shape, turn=np.eye(3), diameter=0.2, x=0.7, y=0, light=LIGHT, size=32, antialias=1) is None
    half = shown(shape, x=0.5)
    assert half.columns.stop == 96
    assert half.coverage.sum() == pytest.approx(shown(shape).coverage.sum() / 2, rel=0.01)
    row = draw_latents(1).iloc[0].to_dict() | {"x": 2.0}
    assert compose(row, 32)[1] is None


def test_camera() -> None:
    row = {"yaw": 0, "pitch": 0, "roll": 0, "light_azimuth": 0, "light_elevation": 0}
    ahead, left, up = np.eye(3)
    assert np.allclose(camera(row)[0] @ ahead, (0, 0, 1))
    assert np.allclose(camera(row)[0] @ left, (1, 0, 0))
    assert np.allclose(camera(row)[0] @ up, (0, 1, 0))
    assert np.allclose(camera({**row, "yaw": 90})[0] @ ahead, (1, 0, 0))
    assert np.allclose(camera({**row, "pitch": 90})[0] @ up, (0, 0, 1))
    tipped = camera({**row, "roll": 30})[0] @ up
    assert np.allclose(tipped, (-sin(radians(30)), cos(radians(30)), 0))
    turn, light = camera({"yaw": 33, "pitch": 21, "roll": -40, "light_azimuth": 50, "light_elevation": 10})
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.linalg.norm(light) == pytest.approx(1)
    assert light[0] > 0
    assert light[1] > 0


def test_building_blocks() -> None:
    wheel = frustum((1, 0.5, 0), (1, 0.7, 0), 0.3)
    both = pair(wheel)
    assert len(both) == 2
    assert inside(both[1], np.array([1, -0.6, 0.0]))
    assert not inside(wheel, np.array([1, -0.6, 0.0]))
    # The cones of a tube touch its balls: no point just outside the balls' hull is inside, none within is out.
    parts = tube([(0, 0, 0), (0, 0, 1)], [0.5, 0.2], 0.5, rounded=True)
    heights = np.linspace(-0.45, 1.15, 60)
    shares = np.linspace(0, 1, 4001)
    for z in heights:
        radius = np.sqrt(np.maximum((0.5 - 0.3 * shares) ** 2 - (z - shares) ** 2, 0)).max()
        for factor, expected in ((0.99, True), (1.01, False)):
            point = np.array([factor * radius, 0, z])
            assert any(inside(part, point) for part in parts) == expected, z
