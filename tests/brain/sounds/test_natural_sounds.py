"""Files in the public layout, made up here."""

import numpy as np
import pytest

from cornet.brain.sounds import corrected_r2, read_natural_sounds
from cornet.errors import CornetError

VOXEL = [("subj_idx", "i4"), ("n_reps", "i4"), ("hemi", "S2"), ("voxel_id", "i4"), ("x_ras", "f8")]
SOUND = [("filename", "S40"), ("id", "i4"), ("category", "S20")]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((20, 4))
    np.save(tmp_path / "features.npy", signal)
    responses = signal[:, [0, 1, 2, 3, 0]][:, :, None] + 0.1 * rng.standard_normal((20, 5, 3))
    responses[:, 4, 2] = np.nan  # a voxel with two scans
    np.save(tmp_path / "voxel_features_array.npy", responses)
    rows = [(1, 3, b"rh", i, 0.5) for i in range(2)] + [(2, 3, b"lh", i, 0.5) for i in range(2)]
    np.save(tmp_path / "voxel_features_meta.npy", np.array([*rows, (3, 2, b"lh", 0, 0.5)], VOXEL))
    sounds = [(f"stim{i}_a_bell.wav".encode(), i, b"other") for i in range(20)]
    np.save(tmp_path / "neural_stim_meta.npy", np.array(sounds, SOUND))
    return tmp_path


def test_read(folder):
    found = read_natural_sounds(folder)
    assert found.responses.shape == (20, 4, 3)
    assert found.sounds[3] == "stim3_a_bell"
    assert list(found.subjects) == [1, 1, 2, 2]
    assert found.left_out == 1
    assert corrected_r2(np.load(folder / "features.npy"), found.responses, splits=4).value > 0.9


def test_a_missing_file(folder):
    (folder / "voxel_features_meta.npy").unlink()
    with pytest.raises(CornetError, match=r"voxel_features_meta.npy is missing; give the folder with"):
        read_natural_sounds(folder)


def test_pickled_objects_are_never_loaded(folder):
    np.save(folder / "neural_stim_meta.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(CornetError, match="cannot be read as an array"):
        read_natural_sounds(folder)


def test_files_of_different_versions(folder):
    np.save(folder / "voxel_features_array.npy", np.ones((20, 6, 3)))
    with pytest.raises(CornetError, match=r"has the shape \(20, 6, 3\), but 20 sounds and 5 voxels"):
        read_natural_sounds(folder)


def test_a_table_without_the_number_of_scans(folder):
    np.save(folder / "voxel_features_meta.npy", np.ones(5))
    with pytest.raises(CornetError, match="must be a table with n_reps and subj_idx"):
        read_natural_sounds(folder)


def test_no_voxel_with_three_scans(folder):
    rows = np.load(folder / "voxel_features_meta.npy")
    rows["n_reps"] = 2
    np.save(folder / "voxel_features_meta.npy", rows)
    with pytest.raises(CornetError, match="has no voxel with n_reps of 3"):
        read_natural_sounds(folder)
