"""The rendered objects: pixels against latents, determinism, what can be decoded.

After a wanted change of pixels: raise RENDERER_VERSION, then `python -m tests.stimuli.objects.test_objects` writes
tests/golden/objects.npz anew.
"""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cornet.errors import CornetError
from cornet.stimuli.draws import bits, phases, uniform
from cornet.stimuli.objects import (
    CATEGORIES,
    COLUMNS,
    OBJECTS,
    RENDERER_VERSION,
    RenderedObjects,
    draw_latents,
    render,
    rendering,
)
from cornet.stimuli.objects.backgrounds import BACKGROUNDS, pattern
from cornet.stimuli.objects.categories import shape_of
from cornet.stimuli.objects.rendering import CONTRAST_FLOOR, camera, compose
from tests.helpers.paths import GOLDEN
from tests.helpers.stimuli.traced_shapes import centroid, inside, shown

GOLDEN_OBJECTS = GOLDEN / "objects.npz"


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
    with np.load(GOLDEN_OBJECTS) as kept:
        version, expected = int(kept["version"]), kept["means"]
    remedy = "raise RENDERER_VERSION if pixels changed, then run python -m tests.stimuli.objects.test_objects"
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


@pytest.mark.slow  # renders hundreds of images
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
    with pytest.raises(CornetError, match="has no columns yaw"):
        render(draw_latents(2).drop(columns="yaw"))
    with pytest.raises(CornetError, match="object_name='car_tank' is unknown; choose one of"):
        render(draw_latents(2).assign(object_name="car_tank"))
    with pytest.raises(CornetError, match="split='test'"):
        RenderedObjects(cache=False).latents("test")


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


if __name__ == "__main__":
    np.savez(GOLDEN_OBJECTS, version=RENDERER_VERSION, means=_summaries())
    print(f"{GOLDEN_OBJECTS} holds version {RENDERER_VERSION}")
