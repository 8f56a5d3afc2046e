"""Heads: what each parameter changes in the picture, and heads as a source of images."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.stimuli.objects.heads import (
    HEAD_VIEWS,
    LATENTS,
    PARAMETERS,
    RenderedHeads,
    draw_heads,
    head_identities,
    head_views,
    render_heads,
)
from cornet.stimuli.samples import ImageDataset, ImageSource, Key, collate
from tests.helpers.composed import composed

PLAIN = {"variation": 0.0, "background": "plain", "background_contrast": (0.0, 0.0)}


def _pictures(changes: list[dict[str, float]], size: int = 48) -> np.ndarray:
    """The average head, looking at the viewer, with changes."""
    table = draw_heads(len(changes), **PLAIN)  # type: ignore[arg-type]
    table[list(PARAMETERS)] = 0.0
    table["background_mean"] = 0.9
    for row, change in enumerate(changes):
        for name, value in change.items():
            table.loc[row, name] = value
    return render_heads(table, size).astype(int)


def test_each_parameter_changes_the_picture() -> None:
    low, high = ([{name: value} for name in PARAMETERS] for value in (-1.0, 1.0))
    average = _pictures([{}])[0]
    changes = [np.abs(_pictures(each) - average).max(axis=(1, 2)) for each in (low, high)]
    assert (np.array(changes) > 12).all()


def test_the_silhouette_follows_width_height_and_position() -> None:
    dark = _pictures([{}, {"head_width": 1.0}, {"hair_height": 1.0}, {"x": 0.25}, {"size": 0.42}]) < 190
    widths, tops = dark.any(axis=1).sum(axis=1), dark.any(axis=2).argmax(axis=1)
    assert widths[1] >= widths[0] + 2
    assert tops[2] < tops[0]
    assert np.array_equal(dark[3][:, 12:], dark[0][:, :-12])
    assert abs(widths[4] - widths[0] / 2) <= 1


def test_heads_are_symmetric_and_turn_both_ways() -> None:
    straight, left, right = _pictures(
        [
            {"light_azimuth": 0.0},
            {"yaw": -50.0, "light_azimuth": -30.0},
            {"yaw": 50.0, "light_azimuth": 30.0},
        ]
    )
    assert np.abs(straight - straight[:, ::-1]).max() <= 2
    assert np.abs(left - right[:, ::-1]).max() <= 2
    assert np.abs(left - right).max() > 60


def test_the_lamp_moves() -> None:
    from_left, from_right = _pictures([{"light_azimuth": -80.0}, {"light_azimuth": 80.0}])
    assert from_left[:, :24].sum() > from_left[:, 24:].sum()
    assert np.abs(from_left - from_right[:, ::-1]).max() <= 2


def test_latents() -> None:
    table = draw_heads(300, identities=50, seed=3)
    assert table["identity"].tolist() == [k % 50 for k in range(300)]
    known = head_identities(50, seed=3)
    for name in PARAMETERS:
        assert np.array_equal(table[name][:50], known[name])
        assert np.array_equal(table[name][:50], table[name][250:])
    assert head_identities(2, seed=3, first=48).equals(known.iloc[48:])
    other = draw_heads(300, seed=3)
    assert other["jaw_width"].nunique() == 300
    assert draw_heads(20, seed=3, first=100).equals(other.iloc[100:120].reset_index(drop=True))
    assert np.abs(other[list(PARAMETERS)]).to_numpy().max() <= 1
    ranges = {"yaw": 85.94, "pitch": 42.97, "light_azimuth": 80.0, "light_elevation": 80.0}
    for name, limit in ranges.items():
        assert 0.97 * limit < other[name].abs().max() <= limit
    r = np.corrcoef(other[list(LATENTS)].to_numpy().T)
    assert np.abs(r - np.eye(len(r))).max() < 0.25


def test_identities_differ_visibly() -> None:
    """In the same pose, light and background; the nearest two of 50, at 64 pixels."""
    table = draw_heads(50, identities=50, **PLAIN)  # type: ignore[arg-type]
    pixels = render_heads(table, 64).reshape(50, -1).astype(float)
    distances = np.sqrt(((pixels[:, None] - pixels) ** 2).mean(axis=2))
    assert distances[~np.eye(50, dtype=bool)].min() > 8


def test_source_of_identities() -> None:
    heads = RenderedHeads(identities=5, train_images=20, val_images=10, size=24, targets="all", cache=False)
    train, val = heads.train(), heads.val()
    assert isinstance(heads, ImageSource)
    assert isinstance(train, ImageDataset)
    assert isinstance(val, ImageDataset)
    assert heads.classes == ["id0", "id1", "id2", "id3", "id4"]
    keys = [Key(k, 2) for k in (0, 7, 19)]
    batch = collate(train.__getitems__(keys))
    assert batch.images.shape == (3, 3, 24, 24)
    assert batch.labels.tolist() == [0, 2, 4]
    assert collate(val.__getitems__(keys[:2])).images.shape == (2, 1, 3, 24, 24)
    assert set(batch.targets) == {"label", *LATENTS}
    assert not {i.tobytes() for i in heads.images("train")} & {i.tobytes() for i in heads.images("val")}


def test_targets_move_with_the_image() -> None:
    heads = RenderedHeads(
        identities=None, train_images=6, val_images=2, size=24, targets="all", flip=True, cache=False
    )
    assert heads.classes == ["head"]
    train, latents = heads.train(), heads.latents("train")
    unmoved, mirrored = heads.images("train"), set()
    for epoch in range(6):
        for sample in train.__getitems__([Key(k, epoch) for k in range(6)]):
            row, sign = (
                latents.loc[sample.index],
                np.sign(sample.targets["yaw"] / latents["yaw"][sample.index]),
            )
            mirrored.add(float(sign))
            assert sample.targets["light_azimuth"] == pytest.approx(sign * row["light_azimuth"])
            assert sample.targets["nose_length"] == row["nose_length"]
            right = round((sample.targets["x"] - sign * row["x"]) * 24)
            down = round((row["y"] - sample.targets["y"]) * 24)
            assert max(abs(right), abs(down)) <= 2
            want = unmoved[sample.index][:, :: int(sign)]
            got = np.roll(sample.image[0].numpy(), (-down, -right), (0, 1))
            assert np.array_equal(got[2:-2, 2:-2], want[2:-2, 2:-2])
    assert mirrored == {-1.0, 1.0}


def test_cache(tmp_path) -> None:
    sizes = {"train_images": 4, "val_images": 4, "size": 16, "cache": tmp_path}
    first = RenderedHeads(identities=2, **sizes).images("train")  # type: ignore[arg-type]
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    assert np.array_equal(RenderedHeads(identities=2, **sizes).images("train"), first)  # type: ignore[arg-type]
    paths = {RenderedHeads(identities=n, **sizes).path("train") for n in (2, 3, None)}  # type: ignore[arg-type]
    assert len(paths) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"identities": 1}, r"identities=1 must be a whole number of at least 2, or null .* example 50\."),
        ({"identities": 60, "val_images": 50}, r"val_images=50 must show each of 60 identities .* fewer"),
        ({"targets": ["moustache"]}, r"target='moustache' is unknown; choose one of head_width, head_height"),
        ({"variation": 2}, r"variation=2 must be a number from 0 .* give for example 0\.5\."),
        ({"shift": 0.7}, r"shift=0\.7 must be a share"),
        ({"background_contrast": [0.1]}, r"background_contrast=\[0\.1\] must be two numbers"),
    ],
)
def test_bad_arguments(given: dict, message: str) -> None:
    with pytest.raises(CornetError, match=message):
        RenderedHeads(cache=False, **given)


def test_bad_latents() -> None:
    table = draw_heads(3)
    with pytest.raises(CornetError, match=r"no columns nose_length; make it with draw_heads\(\)\."):
        render_heads(table.drop(columns="nose_length"))
    table.loc[1, "chin"] = 1.5
    with pytest.raises(CornetError, match=r"chin=1\.5 of row 1 must be from -1 to 1; change it\."):
        render_heads(table)


def test_configuration() -> None:
    from hydra.utils import instantiate

    heads = instantiate(composed("data=heads").data, cache=False)
    assert (len(heads.classes), heads.size, heads.classes[7]) == (50, 64, "id07")
    assert torch.tensor(heads.mean).shape == (3,)


def test_views() -> None:
    table = head_views(25, seed=1)
    assert len(table) == 175
    assert table["view"].tolist()[::25] == list(HEAD_VIEWS)
    for name, (yaw, pitch) in HEAD_VIEWS.items():
        rows = table[table["view"] == name]
        assert rows["identity"].tolist() == list(range(1_000_000, 1_000_025))
        assert np.deg2rad(rows["yaw"]).mean() == pytest.approx(yaw, abs=0.05)
        assert np.deg2rad(rows["pitch"]).mean() == pytest.approx(pitch, abs=0.05)
        assert np.deg2rad(rows["pitch"]).std() == pytest.approx(0.05, abs=0.03)
    assert np.deg2rad(table["yaw"]).abs().max() <= 1.5
    images = render_heads(table[::7], 32)
    assert (images[:, 0, 0] == 250).all()  # the background stays, whatever the head's tone
    known = head_identities(25, seed=1, first=1_000_000)
    assert np.array_equal(table["chin"], np.tile(known["chin"], 7))
    alone = head_views(25, seed=1, first=7)
    assert np.array_equal(alone["yaw"], table["yaw"])
    assert not np.array_equal(alone["chin"], table["chin"])
    with pytest.raises(CornetError, match="identities=0 must be a whole number"):
        head_views(0)
