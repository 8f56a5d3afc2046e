"""NSD: sessions of int16 volumes, shared images seen three times by all, z-scored by session."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from cornet.brain.data.convert.sources.nifti import read_volume
from cornet.errors import CornetError
from tests.helpers.brain import published_files


@pytest.fixture(params=[None, (1, 5, 6, 7), (750, 1, 6, 7), True])
def nsd(tmp_path, request):
    """Stored contiguously, in chunks of a trial, of a plane of all trials, and as h5py chooses."""
    design = published_files.nsd(tmp_path / "nsd", chunks=request.param)
    return tmp_path / "nsd", design


def volume(root, place):
    return read_volume(root / place)


def test_values_ids_and_quality(nsd, tmp_path, converted):
    root, design = nsd
    bundle, values, _ = converted("nsd", root)
    assembly = bundle.assembly
    common = np.sort(design["sharedix"][0]) - 1
    assert list(bundle.stimuli.ids) == [f"nsd_{number:05d}" for number in common]
    assert values.shape[0] == 3 * len(common)
    assert assembly.dtype == np.float32
    order, start = np.arange(len(common)), 0
    np.random.RandomState(42).shuffle(order)
    train = np.sort(order[: int(0.8 * len(common))])
    np.testing.assert_array_equal(np.flatnonzero(bundle.stimuli.table["split"] == "train"), train)
    for subject in (1, 2):
        name = f"subj{subject:02d}"
        roi = f"nsddata/ppdata/{name}/func1pt8mm/roi"
        betas = f"nsddata_betas/ppdata/{name}/func1pt8mm/betas_fithrf_GLMdenoise_RR"
        visual = volume(root, f"{roi}/prf-visualrois.nii.gz").T
        streams = [volume(root, f"{roi}/{side}.streams.nii.gz").T for side in ("lh", "rh")]
        snr = volume(root, f"{betas}/ncsnr.nii.gz").T
        masks = {"V1": np.isin(visual, [1, 2]), "V2": np.isin(visual, [3, 4]), "V4": visual == 7}
        masks["IT"] = (streams[0] == 5) | (streams[1] == 5)
        scored = []
        for session in (1, 2):
            with h5py.File(root / betas / f"betas_session{session:02d}.hdf5") as file:
                numbers = file["betas"][:] / 300
            scored.append((numbers - numbers.mean(axis=0)) / numbers.std(axis=0))
        scored = np.concatenate(scored)
        shown = design["subjectim"][subject - 1][design["masterordering"][0][:1500] - 1] - 1
        for region, mask in masks.items():
            own = assembly.isel(neuroid=slice(start, start + int(mask.sum())))
            start += int(mask.sum())
            assert set(own["region"].values) == {region}
            assert set(own["subject"].values) == {name}
            assert own["neuroid_id"].values[1] == f"{name}_{region}_v0001"
            square = snr[mask].astype(float) ** 2
            np.testing.assert_allclose(own["nc_testset"], np.nan_to_num(100 * square / (square + 1 / 3)))
            place = own["voxel_z"].values, own["voxel_y"].values, own["voxel_x"].values
            np.testing.assert_array_equal(np.stack(place), np.nonzero(mask))
            for presentation in (0, 1, 2, 31, values.shape[0] - 1):
                image, repetition = divmod(presentation, 3)
                trial = np.flatnonzero(shown == common[image])[repetition]
                np.testing.assert_allclose(own.values[presentation, :, 0], scored[trial][mask], atol=1e-5)
                assert own["repetition"][presentation] == repetition
    assert start == values.shape[1]
    rule = json.loads((tmp_path / "bundles/nsd/bundle.json").read_text())
    assert rule == {"fixed_by": "split", "subject_by": "subject", "keep_above": {"nc_testset": 30}}


def test_images_are_the_published_pixels(tmp_path, converted):
    design = published_files.nsd(tmp_path / "nsd", subjects=[1])
    bundle, *_ = converted("nsd", tmp_path / "nsd")
    number = int(np.sort(design["sharedix"][0])[4]) - 1
    expected = np.random.default_rng(number).integers(0, 256, (425, 425, 3), np.uint8)
    np.testing.assert_array_equal(bundle.stimuli.pictures[4], expected)
    with zipfile.ZipFile(tmp_path / "bundles/nsd/stimuli.zip") as archive:
        image = Image.open(io.BytesIO(archive.read(f"nsd_{number:05d}.png")))
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_only_images_seen_three_times_by_all(tmp_path, converted):
    """Subject 2 lacks the last session."""
    design = published_files.nsd(tmp_path / "nsd", sessions=3, shared=60)
    last = "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session03.hdf5"
    (tmp_path / "nsd" / last).unlink()
    bundle, _, result = converted("nsd", tmp_path / "nsd")
    shown = design["subjectim"][1][design["masterordering"][0][:1500] - 1]
    expected = [number - 1 for number in design["sharedix"][0] if (shown == number).sum() == 3]
    assert 0 < len(expected) < 60
    assert list(bundle.stimuli.table["nsd_id"]) == sorted(expected)
    assert result.notes == ("subject 1 has 3 of 40 sessions", "subject 2 has 2 of 40 sessions")


@pytest.mark.slow
def test_the_published_shape(tmp_path, converted):
    """One session of 83 x 104 x 81 voxels, of which only some trials were written."""
    design = published_files.nsd(tmp_path / "nsd", subjects=[1], sessions=1, shape=(3, 3, 3), shared=12)
    root = tmp_path / "nsd"
    rng, shape = np.random.default_rng(5), (81, 104, 83)
    roi = root / "nsddata/ppdata/subj01/func1pt8mm/roi"
    labels = np.zeros(shape, np.int16)
    labels[30:34, 50:60, 20:25] = rng.integers(1, 8, (4, 10, 5))
    for name in ("prf-visualrois", "lh.streams", "rh.streams"):
        published_files.nifti(roi / f"{name}.nii.gz", labels)
    betas = root / "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    published_files.nifti(betas / "ncsnr.nii.gz", rng.random(shape).astype(np.float32))
    with h5py.File(betas / "betas_session01.hdf5", "w") as file:
        data = file.create_dataset("betas", (750, 83, 104, 81), "i2", chunks=(1, 83, 104, 81))
        shown = design["subjectim"][0][design["masterordering"][0][:750] - 1]
        for trial in np.flatnonzero(np.isin(shown, design["sharedix"][0])):
            data[trial] = rng.integers(-999, 999, (83, 104, 81))
    _, values, _ = converted("nsd", root, memory=2**27)
    assert values.shape == (36, int(np.isin(labels, [1, 2, 3, 4, 5, 7]).sum()), 1)
    assert np.isfinite(values).all()


# What is wrong is said in one sentence.


def betas_of(tmp_path, session=1):
    folder = "nsd/nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    return tmp_path / folder / f"betas_session{session:02d}.hdf5"


@pytest.fixture
def small(tmp_path):
    published_files.nsd(tmp_path / "nsd", subjects=[1])
    return tmp_path / "nsd"


def test_betas_of_another_space_are_refused(small, tmp_path, converted):
    with h5py.File(betas_of(tmp_path), "w") as file:
        file["betas"] = np.zeros((750, 5, 6, 8), np.int16)
    with pytest.raises(
        CornetError, match=r"volumes of \(8, 6, 5\) voxels, but .* \(7, 6, 5\); use .*func1pt8mm"
    ):
        converted("nsd", small)


def test_surface_betas_are_refused(small, tmp_path, converted):
    with h5py.File(betas_of(tmp_path), "w") as file:
        file["betas"] = np.zeros((750, 1000), np.int16)
    with pytest.raises(CornetError, match=r"betas of int16 750 x 1000, not 750 x any x any x any"):
        converted("nsd", small)


def test_a_gap_in_the_sessions_is_refused(small, tmp_path, converted):
    betas_of(tmp_path, 2).rename(betas_of(tmp_path, 3))
    with pytest.raises(
        CornetError, match=r"betas_session02.hdf5 is missing, although later sessions are there"
    ):
        converted("nsd", small)


@pytest.mark.parametrize("place", ["prf-visualrois", "lh.streams"])
def test_damaged_regions_are_refused(place, small, converted):
    path = small / f"nsddata/ppdata/subj01/func1pt8mm/roi/{place}.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CornetError, match=r"is truncated|is not a NIfTI-1 file"):
        converted("nsd", small)
    path.write_bytes(b"no volume at all")
    with pytest.raises(CornetError, match=r"is not a NIfTI-1 file; expected a volume of NSD"):
        converted("nsd", small)


def test_a_damaged_design_is_refused(small, converted):
    path = small / "nsddata/experiments/nsd/nsd_expdesign.mat"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(CornetError, match=r"expected nsd_expdesign.mat of NSD"):
        converted("nsd", small)


def test_missing_images_say_where_to_get_them(small, converted):
    (small / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5").unlink()
    with pytest.raises(
        CornetError, match=r"give nsd_stimuli.hdf5 as --images .*naturalscenesdataset.org, 37 GB"
    ):
        converted("nsd", small)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("packed", [True, False])
def test_volumes(dtype, packed, tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (4, 3, 2)).astype(dtype)
    published_files.nifti(tmp_path / "volume.nii", values, packed)
    np.testing.assert_array_equal(read_volume(tmp_path / "volume.nii"), values)
