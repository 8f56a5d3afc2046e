"""The rendered objects: geometry against brute force, pixels against latents, determinism, cache, source.

After a wanted change of pixels: raise RENDERER_VERSION, then `python -m tests.stimuli.test_objects` writes
tests/golden/objects.npz anew.
"""

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from math import cos, pi, radians, sin
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console

from cornet.errors import CornetError
from cornet.stimuli.objects import (
    CATEGORIES,
    COLUMNS,
    OBJECTS,
    RENDERER_VERSION,
    RenderedObjects,
    draw_latents,
    render,
    rendering,
    source,
)
from cornet.stimuli.objects.backgrounds import BACKGROUNDS, pattern
from cornet.stimuli.objects.categories import shape_of
from cornet.stimuli.objects.draws import bits, phases, uniform
from cornet.stimuli.objects.rendering import CONTRAST_FLOOR, camera, compose
from cornet.stimuli.objects.solids import Solid, box, ellipsoid, frustum, hull, moved, pair, rotation, tube
from cornet.stimuli.objects.tracing import Shape, Traced, _meet, trace
from cornet.stimuli.samples import ImageDataset, ImageSource, Key, collate
from cornet.stimuli.sheet import contact_sheet

GOLDEN = Path(__file__).parents[1] / "golden" / "objects.npz"
LIGHT = np.array([0.0, 0.6, 0.8])

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


def inside(solid: Solid, points: np.ndarray) -> np.ndarray:
    """By the definition: (..., 3) -> (...)."""
    ones = np.concatenate([points, np.ones((*points.shape[:-1], 1))], -1)
    result = (ones @ solid.planes.T <= 0).all(-1)
    if solid.quadric is not None:
        result &= np.einsum("...i,ij,...j->...", ones, solid.quadric, ones) <= 0
    return result


def listed(quadric: np.ndarray | None) -> list[list[float]] | None:
    return None if quadric is None else quadric.tolist()


def shown(shape: Shape, **changes: object) -> Traced:
    settings = {
        "turn": np.eye(3),
        "diameter": 0.6,
        "x": 0.0,
        "y": 0.0,
        "light": LIGHT,
        "size": 96,
        "antialias": 3,
    }
    traced = trace(shape, **{**settings, **changes})  # type: ignore[arg-type]
    assert traced is not None
    return traced


def centroid(traced: Traced, size: int) -> np.ndarray:
    """(x, y) of the silhouette in image widths from the centre, y upwards."""
    rows, columns = np.mgrid[traced.rows, traced.columns] + 0.5
    weights = traced.coverage / traced.coverage.sum()
    return np.array([(columns * weights).sum() / size - 0.5, 0.5 - (rows * weights).sum() / size])


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


@pytest.mark.parametrize("name", [name for names in OBJECTS.values() for name in names])
def test_every_object(name: str) -> None:
    shape = shape_of(name)
    assert np.linalg.norm(shape.points, axis=1).max() == pytest.approx(0.5)
    assert np.abs(shape.points.min(0) + shape.points.max(0)).max() < 1e-9
    for solid in shape.solids:
        assert 0 < solid.albedo <= 1
        centre = solid.points.mean(0)
        assert inside(solid, centre)
        assert not inside(solid, centre + 2.0)
    # It can be seen from everywhere the camera goes, and its parts hold together.
    for yaw in (-150, -60, 20, 110):
        row = {"yaw": yaw, "pitch": 25, "roll": 0, "light_azimuth": 0, "light_elevation": 45}
        traced = shown(shape, turn=camera(row)[0], size=48, antialias=1)
        assert traced.coverage.sum() > 0.02 * 48**2


def test_objects_differ() -> None:
    latents = draw_latents(64, variation=0, background="plain")
    images = render(latents, 32, antialias=1)
    assert len({image.tobytes() for image in images}) == 64
    assert sorted(OBJECTS) == sorted(CATEGORIES)
    assert [len(names) for names in OBJECTS.values()] == [8] * 8


def test_position_and_size_move_the_silhouette() -> None:
    for i, row in enumerate(draw_latents(16, variation=1.0, seed=3).to_dict("records")):
        base = row | {"x": 0.0, "y": 0.0, "size": 0.5}
        at_rest, moved_away, larger = (
            compose(base | change, 64)[1] for change in ({}, {"x": 0.1, "y": -0.15}, {"size": 0.8})
        )
        assert at_rest is not None
        assert moved_away is not None
        assert larger is not None
        assert np.allclose(centroid(moved_away, 64) - centroid(at_rest, 64), (0.1, -0.15), atol=0.004), i
        assert larger.coverage.sum() / at_rest.coverage.sum() == pytest.approx((0.8 / 0.5) ** 2, rel=0.08)
        assert np.abs(centroid(at_rest, 64)).max() < 0.12


def test_resolutions_show_the_same() -> None:
    latents = draw_latents(16, variation=0.7, seed=5)
    small, large = render(latents, 64), render(latents, 128)
    halved = large.reshape(16, 64, 2, 64, 2).mean((2, 4))
    for one, other in zip(small, halved, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9
        assert abs(float(one.mean()) - float(other.mean())) < 6


def test_contrast_floor() -> None:
    for variation in (0.0, 0.5, 1.0):
        for row in draw_latents(96, variation=variation, seed=9).to_dict("records"):
            image, traced = compose(row, 64)
            assert traced is not None
            margin = 4
            rows = slice(max(traced.rows.start - margin, 0), traced.rows.stop + margin)
            columns = slice(max(traced.columns.start - margin, 0), traced.columns.stop + margin)
            cover, light = np.zeros_like(image), np.zeros_like(image)
            cover[traced.rows, traced.columns] = traced.coverage
            light[traced.rows, traced.columns] = np.minimum(traced.luminance * row["albedo"], traced.coverage)
            # Undo the blend: background = (image - object's part) / (1 - coverage).
            free = 1 - cover[rows, columns]
            behind = (image[rows, columns] - light[rows, columns]).sum() / free.sum()
            assert abs(light.sum() / cover.sum() - behind) > CONTRAST_FLOOR, row["stimulus_id"]


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds(kind: str) -> None:
    made = [pattern(kind, seed, 64) for seed in (1, 2, 2)]
    assert made[0].dtype == np.float32
    assert abs(made[0].mean()) < 1e-4
    assert made[0].std() == pytest.approx(1, abs=1e-4)
    assert np.array_equal(made[1], made[2])
    assert abs(np.corrcoef(made[0].ravel(), made[1].ravel())[0, 1]) < 0.95
    assert pattern("plain", 1, 16).max() == 0


def test_noise_falls_as_one_over_f() -> None:
    power = np.mean([np.abs(np.fft.fft2(pattern("noise", seed, 64))) ** 2 for seed in range(20)], 0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64)))
    used = (frequency >= 1) & (frequency < 30)
    slope = np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0]
    assert slope == pytest.approx(-2.2, abs=0.1)


def test_aperture() -> None:
    latents = draw_latents(4, variation=0.5)
    images, whole = render(latents, 64, aperture=True), render(latents, 64)
    rows, columns = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(rows, columns)
    assert (images[:, radius > 33] == 128).all()
    assert np.array_equal(images[:, radius < 31], whole[:, radius < 31])


def test_latents() -> None:
    latents = draw_latents(256, seed=4, variation=1.0)
    assert list(latents.columns) == list(COLUMNS)
    assert latents.stimulus_id.is_unique
    assert (latents.category_name.value_counts() == 32).all()
    assert (latents.object_name.value_counts() == 4).all()
    assert [name.split("_")[0] for name in latents.object_name] == list(latents.category_name)
    assert latents.pitch.min() >= 20
    assert latents.x.abs().max() <= 0.18
    assert latents["size"].between(0.78 / 2**0.5, 0.78 * 2**0.5).all()
    assert latents.yaw.between(-180, 180).all()
    # Each number depends on seed, stream and index alone.
    pd.testing.assert_frame_equal(draw_latents(40, seed=4, variation=1.0), latents[:40])
    later = draw_latents(6, seed=4, variation=1.0, first=250)
    pd.testing.assert_frame_equal(later, latents[250:].reset_index(drop=True))
    for other in (
        draw_latents(256, seed=5, variation=1.0),
        draw_latents(256, seed=4, variation=1.0, stream="val"),
    ):
        assert not set(other.background_seed) & set(latents.background_seed)
        assert abs(np.corrcoef(other.x, latents.x)[0, 1]) < 0.2
    still = draw_latents(64, variation=0.0)
    assert (
        still.groupby("category_name")[["x", "y", "size", "yaw", "pitch", "roll"]].nunique().max().max() == 1
    )
    assert len(draw_latents(0)) == 0
    assert render(draw_latents(0), 32).shape == (0, 32, 32)


def test_draws() -> None:
    numbers = uniform("a", 1, np.arange(20000))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.histogram(numbers, 10, (0, 1))[0].std() < 80
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers, uniform("a", 2, np.arange(20000)))[0, 1]) < 0.03
    assert np.array_equal(phases(3, 100), phases(3, 1000)[:100])
    # The reference sequence of SplitMix64 from state 0: Vigna, splitmix64.c.
    assert int(bits(0)[0]) == 0xE220A8397B1DCDAF


def test_an_image_depends_on_its_row_alone() -> None:
    latents = draw_latents(48, variation=1.0, seed=2)
    images = render(latents, 48)
    assert np.array_equal(render(latents[::-1], 48), images[::-1])
    assert np.array_equal(render(latents.iloc[[7, 30]], 48), images[[7, 30]])
    assert np.array_equal(render(draw_latents(1, first=33, variation=1.0, seed=2), 48)[0], images[33])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda k: render(latents[k::4], 48), range(4)))
    assert all(np.array_equal(part, images[k::4]) for k, part in enumerate(parts))
    # A table that went to disk and came back draws the same.
    kept = pd.read_csv(io.StringIO(latents.to_csv(index=False)), engine="python")
    assert np.array_equal(render(kept, 48), images)


def _summaries() -> np.ndarray:
    """Means over 8 x 8 pixels of one image of each object, (64, 8, 8) float32."""
    images = render(draw_latents(64, seed=1, variation=0.5), 64)
    return images.reshape(64, 8, 8, 8, 8).mean((2, 4), dtype=np.float32)


def test_pixels_are_those_of_the_renderer_version() -> None:
    with np.load(GOLDEN) as kept:
        version, expected = int(kept["version"]), kept["means"]
    remedy = "raise RENDERER_VERSION if pixels changed, then run python -m tests.stimuli.test_objects"
    assert version == RENDERER_VERSION, remedy
    assert np.abs(_summaries() - expected).max() < 2, remedy


def _decoding(variation: float) -> float:
    """Share of 240 images whose category the nearest class mean of 400 others tells, from 16 x 16 pixels."""

    def pixels(n: int, stream: str) -> np.ndarray:
        images = render(draw_latents(n, variation=variation, stream=stream), 32, antialias=1)
        return images.reshape(n, 16, 2, 16, 2).mean((2, 4)).reshape(n, -1)

    train, test = pixels(400, "train"), pixels(240, "val")
    means = np.stack([train[k::8].mean(0) for k in range(8)])
    nearest = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    return float((nearest == np.arange(240) % 8).mean())


def test_pixels_tell_categories_the_less_the_more_they_vary() -> None:
    easy, hard = _decoding(0.0), _decoding(1.0)
    assert easy > 0.35
    assert 0.1 < hard < easy - 0.1


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"size": 15}, "size=15"),
        ({"size": 64.0}, "size=64.0"),
        ({"train_images": 0}, "train_images=0"),
        ({"val_images": -3}, "val_images=-3"),
        ({"variation": 1.5}, "variation=1.5"),
        ({"variation": float("nan")}, "variation=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "seed="),
        ({"shift": 0.6}, "shift=0.6"),
        ({"antialias": 5}, "antialias=5"),
        ({"background": "sea"}, "background='sea'"),
        ({"background_contrast": (0.3, 0.1)}, "background_contrast="),
        ({"background_contrast": (0.1,)}, "background_contrast="),
    ],
)
def test_bad_input(arguments: dict, value: str) -> None:
    with pytest.raises(CornetError) as caught:
        RenderedObjects(cache=False, **arguments)
    sentence = str(caught.value)
    assert sentence.startswith(value)
    assert "\n" not in sentence


def test_bad_tables() -> None:
    with pytest.raises(CornetError, match="lacks the columns yaw"):
        render(draw_latents(2).drop(columns="yaw"))
    with pytest.raises(CornetError, match="no object of that name"):
        render(draw_latents(2).assign(object_name="car_tank"))
    with pytest.raises(CornetError, match="split='test'"):
        RenderedObjects(cache=False).latents("test")


def _small(folder: Path | bool | None, **changes: object) -> RenderedObjects:
    arguments = {"train_images": 16, "val_images": 8, "size": 16, "antialias": 1}
    return RenderedObjects(cache=folder, **{**arguments, **changes})  # type: ignore[arg-type]


def test_source(tmp_path: Path) -> None:
    objects = RenderedObjects(train_images=128, val_images=64, size=32, antialias=1, cache=tmp_path)
    train, val = objects.train(), objects.val()
    assert isinstance(objects, ImageSource)
    assert isinstance(train, ImageDataset)
    assert isinstance(val, ImageDataset)
    assert (objects.name, objects.views, objects.in_memory) == ("objects", ("center",), True)
    assert objects.classes == list(CATEGORIES)
    assert (len(train), len(val)) == (128, 64)
    batch = collate(train.__getitems__([Key(i, 3) for i in range(128)]))
    assert batch.images.shape == (128, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert torch.equal(batch.images[:, 0], batch.images[:, 2])
    assert torch.bincount(batch.labels).tolist() == [16] * 8
    names = objects.latents("train").category_name
    assert [objects.classes[k] for k in batch.labels] == list(names)
    assert not {i.tobytes() for i in objects.images("train")} & {i.tobytes() for i in objects.images("val")}
    sample = val[Key(10, 0)]
    assert sample.image.shape == (1, 3, 32, 32)
    assert (sample.label, sample.index) == (2, 10)
    assert np.array_equal(
        sample.image[0, 1].numpy(), render(objects.latents("val")[10:11], 32, antialias=1)[0]
    )
    scaled = objects.images("train") / 255
    assert scaled.mean() == pytest.approx(objects.mean[0], abs=0.03)
    assert scaled.std() == pytest.approx(objects.std[0], abs=0.03)


def test_augmentation_is_a_function_of_seed_epoch_and_index() -> None:
    train = _small(False, size=32).train()
    keys = [Key(i, epoch) for epoch in (0, 1) for i in range(16)]
    batch = collate(train.__getitems__(keys)).images
    for place in (0, 9, 20, 31):
        assert torch.equal(train[keys[place]].image, batch[place])
    assert torch.equal(collate(train.__getitems__(keys[::-1])).images.flip(0), batch)
    assert not torch.equal(batch[:16], batch[16:])
    again = source.TrainObjects(train.images, shift=train.shift, flip=True, seed=1)
    assert not torch.equal(collate(again.__getitems__(keys)).images, batch)
    plain = source.TrainObjects(train.images, shift=0, flip=False, seed=0)
    assert np.array_equal(plain[Key(5, 8)].image[0].numpy(), train.images[5])


def test_augmentation_shifts_and_mirrors() -> None:
    # One bright pixel tells where an image went.
    images = np.zeros((1, 33, 33), np.uint8)
    images[0, 16, 20] = 255
    train = source.TrainObjects(images, shift=3, flip=True, seed=0)
    shown_at = {
        tuple(int(k) for k in np.argwhere(sample.image[0].numpy())[0])
        for sample in train.__getitems__([Key(0, epoch) for epoch in range(2000)])
    }
    expected = {(row, x) for row in range(13, 20) for column in range(17, 24) for x in (column, 32 - column)}
    assert shown_at == expected
    assert images[0, 16, 20] == 255


def test_reflection_at_the_edges() -> None:
    images = np.arange(20 * 20, dtype=np.uint16).astype(np.uint8).reshape(1, 20, 20)
    train = source.TrainObjects(images, shift=2, flip=False, seed=0)
    padded = np.pad(images[0], 2, mode="reflect")
    windows = [padded[i : i + 20, j : j + 20] for i in range(5) for j in range(5)]
    for epoch in range(20):
        got = train[Key(0, epoch)].image[0].numpy()
        assert any(np.array_equal(got, window) for window in windows)


def _forbid(*_: object, **__: object) -> np.ndarray:
    raise AssertionError("rendered although it was kept")


def test_cache_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _small(tmp_path).images("train")
    assert [p.parent.name for p in tmp_path.rglob("*.npz")] == ["objects"]
    constructed = _small(tmp_path)
    monkeypatch.setattr(source, "render", _forbid)
    assert np.array_equal(constructed.images("train"), first)
    with pytest.raises(AssertionError, match="rendered"):
        constructed.images("val")


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "other"])
def test_cache_survives_damage(tmp_path: Path, damage: str) -> None:
    first = _small(tmp_path).images("train")
    (path,) = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 4
    if damage == "other":
        # A whole file of another set of images under this name.
        _small(tmp_path, seed=1).images("train")
        (other,) = set(tmp_path.rglob("*.npz")) - {path}
        changed = bytearray(other.read_bytes())
    contents = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not an archive"}
    path.write_bytes(contents.get(damage, bytes(changed)))
    assert np.array_equal(_small(tmp_path).images("train"), first)
    assert path.read_bytes() == whole
    assert not list(tmp_path.rglob("*.tmp"))


def test_cache_key_has_every_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[dict] = [
        {},
        {"train_images": 24},
        {"size": 17},
        {"variation": 0.25},
        {"seed": 1},
        {"antialias": 2},
        {"aperture": True},
        {"background": "noise"},
        {"background_contrast": (0.0, 0.1)},
    ]
    paths = {_small(tmp_path, **change).path("train") for change in changes}
    paths.add(_small(tmp_path).path("val"))
    monkeypatch.setattr(source, "RENDERER_VERSION", RENDERER_VERSION + 1)
    paths.add(_small(tmp_path).path("train"))
    assert len(paths) == len(changes) + 2
    # What is done after rendering is no part of it; a list from a configuration is a tuple from Python.
    monkeypatch.undo()
    same = [{"shift": 0.1}, {"flip": False}, {"val_images": 99}, {"background_contrast": [0.04, 0.12]}]
    assert {_small(tmp_path, **change).path("train") for change in same} == {_small(tmp_path).path("train")}


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "here"))
    _small(None).images("val")
    assert len(list((tmp_path / "here" / "objects").iterdir())) == 1
    _small(False, seed=7).images("val")
    assert len(list((tmp_path / "here" / "objects").iterdir())) == 1
    monkeypatch.delenv("CORNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert _small(None).path("val").is_relative_to(tmp_path / "there" / "cornet" / "objects")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _small(None).path("val").is_relative_to(tmp_path / ".cache" / "cornet" / "objects")


def test_unwritable_cache_costs_one_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    objects = _small(blocked)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(objects.images("train")) == 16
        assert len(objects.images("val")) == 8
    (warning,) = caught
    assert "CORNET_CACHE" in str(warning.message)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from cornet.stimuli.objects import RenderedObjects;"
        "RenderedObjects(train_images=256, size=32, cache=sys.argv[1]).train()"
    )
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path)]) for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    (path,) = (tmp_path / "objects").iterdir()
    objects = RenderedObjects(train_images=256, size=32, cache=tmp_path)
    assert path == objects.path("train")
    assert np.array_equal(objects.images("train"), render(objects.latents("train"), 32))


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        rendering, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100, _environ={})
    )
    clock = iter(range(10**6))
    monkeypatch.setattr(rendering, "monotonic", lambda: float(next(clock)))
    latents = draw_latents(64)
    assert np.array_equal(render(latents, 16, antialias=1, progress=True), render(latents, 16, antialias=1))
    assert "rendering objects" in screen.getvalue()
    assert "images/s" in screen.getvalue()
    monkeypatch.setattr(
        rendering, "Console", lambda **_: Console(file=screen, force_terminal=False, _environ={})
    )
    written = len(screen.getvalue())
    render(latents[:32], 16, antialias=1, progress=True)
    assert len(screen.getvalue()) == written


def test_contact_sheet() -> None:
    images = np.arange(5 * 8 * 8, dtype=np.uint16).astype(np.uint8).reshape(5, 8, 8)
    sheet = contact_sheet(images, 3)
    assert (sheet.mode, sheet.size) == ("L", (3 * 8 + 2 * 2, 2 * 8 + 2))
    laid = np.asarray(sheet)
    assert np.array_equal(laid[:8, 10:18], images[1])
    assert np.array_equal(laid[10:, :8], images[3])
    doubled = np.asarray(contact_sheet(images, 3, scale=2, gap=0))
    assert np.array_equal(doubled[:16:2, :16:2], images[0])
    captioned = contact_sheet(images, 3, list("abcde"), rows=["one", "two"])
    assert captioned.mode == "RGB"
    assert captioned.width > sheet.width
    assert captioned.height > sheet.height
    # Colour in any layout, other sizes, tensors and PIL images side by side.
    colour = np.zeros((6, 4, 3), np.uint8)
    colour[..., 0] = 200
    mixed = [images[0], colour, torch.from_numpy(colour).permute(2, 0, 1), Image.fromarray(colour)]
    laid = np.asarray(contact_sheet(mixed, 4, gap=0))
    for k in (1, 2, 3):
        assert (laid[1:7, 8 * k + 2 : 8 * k + 6] == (200, 0, 0)).all()
    many = contact_sheet([images[0]] * 2, 2, ["a very long caption indeed", "b"], scale=4)
    assert many.width == 2 * 32 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 2), "images is empty"),
        (([np.zeros((4, 4), np.uint8)], 0), "columns=0"),
        (([np.zeros((4, 4))], 1), "Image 0 is float64"),
        (([np.zeros((4, 4), np.uint8)], 1, ["a", "b"]), "labels has 2 captions"),
    ],
)
def test_contact_sheet_bad_input(arguments: tuple, message: str) -> None:
    with pytest.raises(CornetError, match=message):
        contact_sheet(*arguments)


if __name__ == "__main__":
    np.savez(GOLDEN, version=RENDERER_VERSION, means=_summaries())
    print(f"{GOLDEN} holds version {RENDERER_VERSION}")
