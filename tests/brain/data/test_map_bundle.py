"""Maps of activity are read from presentations in any order, and incomplete ones are refused."""

import numpy as np
import pytest

from cornet import brain
from cornet.brain.data.map_bundle import load_maps
from cornet.errors import CornetError
from tests.helpers.brain import map_bundles

BY = ("down", "right")


def opened(tmp_path, data):
    return brain.load_bundle(map_bundles.write(tmp_path / "maps", data))


def test_presentations_become_maps(tmp_path):
    maps = map_bundles.true_maps()
    found = load_maps(opened(tmp_path, map_bundles.presentations(maps)), "IT", BY)
    np.testing.assert_array_equal(found.mean, maps)
    assert found.repetitions is None
    assert found.y.tolist() == found.x.tolist() == [-15, -5, 5, 15]
    assert found.time_bin == (90, 130)
    assert found.notes == ()


def test_trials_are_kept(tmp_path):
    maps = map_bundles.true_maps()
    data = map_bundles.presentations(maps, trials=3, noise=1.0)
    found = load_maps(opened(tmp_path, data), "IT", BY)
    assert found.repetitions.shape == (3, *maps.shape)
    np.testing.assert_allclose(found.repetitions.mean(axis=0), found.mean)
    one = data.isel(time_bin=0)
    place = (one["down"] == 5) & (one["right"] == -15) & (one["stimulus_id"] == one["stimulus_id"][0])
    image = found.stimulus_ids.tolist().index(str(one["stimulus_id"][0].item()))
    own = one[place.values]
    np.testing.assert_array_equal(
        found.repetitions[:, image, 2, 0], own[np.argsort(own["repetition"].values)]
    )


def test_neuroids_that_have_no_map_are_counted(tmp_path):
    maps = map_bundles.true_maps()
    maps[2, 1, 1, 0] = np.nan
    maps[..., 3] = np.arange(map_bundles.IMAGES)[:, None, None]
    found = load_maps(opened(tmp_path, map_bundles.presentations(maps)), "IT", BY)
    np.testing.assert_array_equal(found.mean, maps[..., [1, 2, 4]])
    assert found.neuroid_ids.tolist() == ["n1", "n2", "n4"]
    assert any("1 of 5 neuroids without responses at some positions" in note for note in found.notes)
    assert any("1 of 5 neuroids whose maps are all constant" in note for note in found.notes)


def test_a_missing_position_is_named(tmp_path):
    data = map_bundles.presentations(map_bundles.true_maps())
    name = data["stimulus_id"].values[0]
    gone = (data["stimulus_id"] == name) & (data["down"] == 5) & (data["right"] == -5)
    bundle = opened(tmp_path, data[~gone.values])
    with pytest.raises(
        CornetError, match=f"lacks 1 of 96 positions, such as down=5, right=-5 of the image '{name}'"
    ):
        load_maps(bundle, "IT", BY)


def test_other_bundles_are_refused(tmp_path):
    maps = map_bundles.true_maps()
    two = map_bundles.presentations(maps[:2])
    with pytest.raises(CornetError, match="maps of 2 images, and leaving one out needs 3"):
        load_maps(opened(tmp_path / "a", two), "IT", BY)
    whole = map_bundles.presentations(maps)
    with pytest.raises(CornetError, match="no presentation coordinate 'up', which map_by"):
        load_maps(opened(tmp_path / "b", whole), "IT", ("up", "right"))
    with pytest.raises(CornetError, match="one value of down"):
        load_maps(opened(tmp_path / "c", map_bundles.presentations(maps[:, :1])), "IT", BY)
    with pytest.raises(CornetError, match="none of the 5 neuroids"):
        load_maps(opened(tmp_path / "d", map_bundles.presentations(0 * maps)), "IT", BY)
    texts = whole.assign_coords(down=("presentation", np.full(len(whole), "top")))
    with pytest.raises(CornetError, match="values of down that are not numbers"):
        load_maps(opened(tmp_path / "e", texts), "IT", BY)


def test_scattered_positions_need_no_memory(tmp_path):
    """300 x 300 different positions of 6 images would be 540,000 places."""
    maps = np.random.default_rng(0).random((6, 50, 1, 2))
    data = map_bundles.presentations(maps)
    scattered = np.arange(300.0)
    data = data.assign_coords(down=("presentation", scattered), right=("presentation", scattered))
    with pytest.raises(CornetError, match=r"lacks 539,700 of 540,000 positions, such as down=0, right="):
        load_maps(opened(tmp_path, data), "IT", BY)
