"""Made-up files with the names, shapes, dtypes and orders of axes of published recordings, and random values."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image
from scipy.io import savemat

__all__ = [
    "IT_COLUMNS",
    "jpeg_images",
    "nifti",
    "nsd",
    "nsd_stimuli",
    "nwb",
    "things_fmri",
    "triple_n",
    "tvsd",
]

REGIONS_OF_VOXELS = [
    "V1",
    "V2",
    "V3",
    "hV4",
    "VO1",
    "VO2",
    "LO1 (prf)",
    "LO2 (prf)",
    "TO1",
    "TO2",
    "V3b",
    "V3a",
]
IT_COLUMNS = ["TE1p", "TE2p", "FFC", "VVC", "VMV2", "VMV3", "PHA1", "PHA2", "PHA3"]


def jpeg_images(folder: Path, names: Sequence[str]) -> None:
    """Small images of one colour each."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(path)


def tvsd(
    folder: Path, train: int = 24, test: int = 5, repetitions: int = 4, seed: int = 0, filled: bool = True
) -> list[str]:
    """TVSD: MATLAB 7.3, compressed chunks. filled=False: few rows are written. Returns the images' paths."""
    rng = np.random.default_rng(seed)
    names = [
        f"thing{number // 12}\\thing{number // 12}_{number % 12:02d}s.jpg" for number in range(train + test)
    ]
    for monkey in ("monkeyF", "monkeyN"):
        (folder / monkey / "_logs").mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / monkey / "THINGS_normMUA.mat", "w", userblock_size=512) as file:
            options = {"compression": "gzip", "compression_opts": 3, "dtype": "f8"}
            chunks = (min(train, 256), 64)
            file.create_dataset("train_MUA", (train, 1024), chunks=chunks, **options)
            file.create_dataset("test_MUA_reps", (repetitions, test, 1024), chunks=(1, test, 256), **options)
            rows = range(train) if filled else (0, 1, train // 2, train - 1)
            for row in rows:
                file["train_MUA"][row] = rng.standard_normal(1024)
            file["test_MUA_reps"][...] = rng.standard_normal((repetitions, test, 1024))
            file["test_MUA"] = file["test_MUA_reps"][...].mean(axis=0)
            file["SNR"] = rng.random((4, 1024))
            file["SNR_max"] = rng.random((1, 1024))
            file["lats"] = rng.random((1, 1024))
            file["oracle"] = rng.random((1, 1024))
            file["reliab"] = rng.random((6, 1024))
            file["tb"] = np.arange(-100.0, 200)[:, None]
        with open(folder / monkey / "THINGS_normMUA.mat", "r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\0\2IM")
        with h5py.File(folder / monkey / "_logs" / "things_imgs.mat", "w") as file:
            for split, part in (("train", names[:train]), ("test", names[train:])):
                group = file.create_group(f"{split}_imgs")
                for field, texts in (
                    ("class", [name.split("\\")[0] for name in part]),
                    ("things_path", part),
                    ("local_path", part),
                ):
                    cells = group.create_dataset(field, (len(part), 1), h5py.ref_dtype)
                    for row, text in enumerate(texts):
                        codes = np.array([list(map(ord, text))], np.uint16).T
                        cell = file.create_dataset(f"#refs#/{split}{field}{row}", data=codes)
                        cells[row, 0] = cell.ref
    return [name.replace("\\", "/") for name in names]


def things_fmri(
    folder: Path, concepts: int = 4, test: int = 3, voxels: int = 30, dtype: str = "f8", seed: int = 0
) -> list[str]:
    """THINGS-fMRI in the table form, as pandas writes it (fixed format). Returns the images' paths."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    train = [f"thing_{concept}_{number:02d}s.jpg" for concept in range(concepts) for number in range(1, 13)]
    tests = [f"thing_{concept}_{13 + concept}s.jpg" for concept in range(test)]
    shown = np.array(train + tests * 12)
    kinds = np.array(["train"] * len(train) + ["test"] * 12 * test)
    for subject in ("01", "02", "03"):
        order, count = rng.permutation(len(shown)), voxels + int(subject)
        pd.DataFrame(
            {
                "trial_type": kinds[order],
                "session": 1,
                "run": 1,
                "subject_id": int(subject),
                "trial_id": np.arange(len(shown)),
                "stimulus": shown[order],
                "concept": [name.rsplit("_", 1)[0] for name in shown[order]],
            }
        ).to_csv(folder / f"sub-{subject}_StimulusMetadata.csv", index=False)
        table = pd.DataFrame({"voxel_id": np.arange(count), "subject_id": int(subject)})
        for name in ("voxel_x", "voxel_y", "voxel_z"):
            table[name] = rng.integers(0, 60, count)
        for name in ("nc_singletrial", "nc_testset"):
            table[name] = rng.random(count) * 100
        for name in ("splithalf_uncorrected", "splithalf_corrected", "prf-eccentricity", "prf-polarangle"):
            table[name] = rng.random(count)
        for name in ("prf-rsquared", "prf-size"):
            table[name] = rng.random(count)
        for name in (*REGIONS_OF_VOXELS, *(f"glasser-{area}" for area in [*IT_COLUMNS, "V6"])):
            table[name] = rng.integers(0, 2, count) * rng.integers(0, 2, count)
        table.to_csv(folder / f"sub-{subject}_VoxelMetadata.csv", index=False)
        with h5py.File(folder / f"sub-{subject}_ResponseData.h5", "w") as file:
            group = file.create_group("ResponseData")
            group.attrs["pandas_type"] = "frame"
            group["block0_values"] = rng.standard_normal((count, len(shown))).astype(dtype)
            group["block1_values"] = np.arange(count)[:, None]
            group["axis1"] = np.arange(count)
            pickled = group.create_dataset(
                "axis0", (1,), h5py.vlen_dtype(np.uint8)
            )  # as PyTables stores objects
            pickled[0] = np.frombuffer(b"not a pickle", np.uint8)
            file.copy(group["axis0"], group, "block0_items")
    return [f"{name.rsplit('_', 1)[0]}/{name}" for name in train + tests]


def nifti(path: Path, volume: np.ndarray, packed: bool = True) -> None:
    """A NIfTI-1 file with the axes (x, y, z)."""
    codes = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64}
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *volume.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, codes[str(volume.dtype)], 8 * volume.dtype.itemsize)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[344:348] = b"n+1\0"
    data = bytes(header) + volume.tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if packed else data)


def nsd_stimuli(path: Path, pictures: int = 73_000, written: Sequence[int] = (), size: int = 425) -> None:
    """imgBrick: of all pictures only some are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        brick = file.create_dataset("imgBrick", (pictures, size, size, 3), "u1", chunks=(1, size, size, 3))
        for number in written:
            brick[number] = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)


def design(path: Path, images: int, shared: int, seed: int = 0) -> dict[str, np.ndarray]:
    """nsd_expdesign.mat, whose first `shared` images of each subject are shared."""
    rng = np.random.default_rng(seed)
    common = np.sort(rng.choice(73_000, shared, replace=False)) + 1
    own = np.setdiff1d(np.arange(1, 73_001), common)
    content = {
        "masterordering": rng.permutation(np.repeat(np.arange(1, images + 1), 3))[None],
        "subjectim": np.stack(
            [np.r_[common, rng.choice(own, images - shared, replace=False)] for _ in range(8)]
        ),
        "sharedix": common[None],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content)
    return content


def nsd(
    folder: Path,
    subjects: Sequence[int] = (1, 2),
    sessions: int = 2,
    shape: tuple[int, int, int] = (7, 6, 5),
    shared: int = 20,
    chunks: bool | tuple[int, ...] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """NSD as published, with small volumes of `shape` (x, y, z). Returns the design."""
    rng = np.random.default_rng(seed)
    content = design(folder / "nsddata/experiments/nsd/nsd_expdesign.mat", 250 * sessions, shared)
    for subject in subjects:
        name = f"subj{subject:02d}"
        roi = folder / f"nsddata/ppdata/{name}/func1pt8mm/roi"
        nifti(roi / "prf-visualrois.nii.gz", rng.integers(-1, 8, shape).astype(np.int16))
        nifti(roi / "lh.streams.nii.gz", rng.integers(0, 8, shape).astype(np.float64))
        nifti(roi / "rh.streams.nii.gz", rng.integers(0, 8, shape).astype(np.float64))
        betas = folder / f"nsddata_betas/ppdata/{name}/func1pt8mm/betas_fithrf_GLMdenoise_RR"
        snr = rng.random(shape).astype(np.float32)
        snr[0, 0, 0] = np.nan
        nifti(betas / "ncsnr.nii.gz", snr)
        for session in range(1, sessions + 1):
            values = rng.integers(-3000, 3000, (750, *shape[::-1])).astype(np.int16)
            with h5py.File(betas / f"betas_session{session:02d}.hdf5", "w") as file:
                file.create_dataset("betas", data=values, chunks=chunks)
    nsd_stimuli(
        folder / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", written=(content["sharedix"][0] - 1).tolist()
    )
    return content


def triple_n(folder: Path, units: Sequence[int] = (3, 4), trials: int = 2172, seed: int = 0) -> None:
    """Triple-N in the form H5: session 1 in IT, session 2 in early visual cortex; nsd_expdesign.mat and images."""
    rng = np.random.default_rng(seed)
    for session, count in enumerate(units, start=1):
        stem = f"ses{session:02d}_24062{session}_M{session}_2"
        (folder / "Raw" / "H5FILES").mkdir(parents=True, exist_ok=True)
        (folder / "Processed").mkdir(exist_ok=True)
        images = np.r_[np.arange(1001, 1073), np.tile(np.arange(1, 1001), 4)][:trials]
        images = rng.permutation(np.r_[images, rng.integers(1, 1073, max(0, trials - len(images)))])
        with h5py.File(folder / "Raw" / "H5FILES" / f"{stem}.h5", "w") as file:
            response = rng.gamma(2, 5, (450, 1072, count)).astype(np.float32)
            drive = rng.random((1073, count)) * 0.2
            raster = (rng.random((450, len(images), count), np.float32) < drive[images]).astype(np.uint8)
            file["response_matrix_img"], file["raster_matrix_img"] = response, raster
            file["LFP_Data"] = np.zeros((2, 3))
        info = {
            "img_idx": images[None].astype(float),
            "global_params": {"pre_onset": 50.0, "post_onset": 400.0},
        }
        savemat(folder / "Raw" / "H5FILES" / f"{stem}_info.mat", info)
        names = ("reliability_best", "reliability_basic", "F_SI", "B_SI", "O_SI", "snr", "snr_max")
        measures = {name: rng.random((1, count)) for name in names}
        measures |= {"pos": np.linspace(100, 900, count)[None], "UnitType": np.ones((1, count))}
        measures |= {"best_r_time1": np.full((1, count), 80.0), "best_r_time2": np.full((1, count), 110.0)}
        measures["response_best"] = rng.random((count, 1072))
        savemat(folder / "Processed" / f"Processed_{stem}.mat", measures)
    (folder / "exclude_area.csv").write_text(
        "SesIdx,y1,y2,AREALABEL,Area,ROIIndex\n1,0,500,MB1,IT,1\n2,0,300,V1,EVC,2\n2,300,800,V4d,EVC,3\n"
    )
    content = design(folder / "nsd_expdesign.mat", 1000, 1000)
    nsd_stimuli(folder / "nsd_stimuli.hdf5", size=24, written=(content["sharedix"][0][:3] - 1).tolist())


def nwb(
    path: Path,
    subject: str = "A",
    units: int = 4,
    images: int = 5,
    repetitions: int = 3,
    form: str = "table",
    seed: int = 0,
) -> None:
    """An NWB file. form: "table" with image names and single images; "index" with an IndexSeries and an ImageSeries."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.repeat(np.arange(images), repetitions))
    onsets = 1.0 + 0.3 * np.arange(len(order))
    spikes = [np.sort(rng.uniform(0, onsets[-1] + 1, 400)) for _ in range(units)]
    pictures = np.random.default_rng(99).integers(0, 256, (images, 12, 10, 3), np.uint8)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        file["general/subject/subject_id"] = subject
        electrodes = file.create_group("general/extracellular_ephys/electrodes")
        electrodes["id"] = np.arange(10, 16)
        electrodes.create_dataset("location", data=["V4", "V4", "V4", "IT", "IT", "IT"], dtype=text)
        table = file.create_group("units")
        table["id"] = np.arange(units) + 100
        table["spike_times"] = np.concatenate(spikes)
        table["spike_times_index"] = np.cumsum([len(times) for times in spikes]).astype(np.uint64)
        table["electrodes"] = np.repeat(np.arange(units), 2)
        table["electrodes_index"] = 2 * np.arange(1, units + 1)
        table["snr"] = rng.random(units)
        table["waveform_mean"] = rng.random((units, 3))
        if form == "table":
            trials = file.create_group("intervals/image_presentations")
            trials["id"] = np.arange(len(order))
            trials["start_time"], trials["stop_time"] = onsets, onsets + 0.2
            trials.create_dataset(
                "image_name", data=[f"picture_{number}.png" for number in order], dtype=text
            )
            for number in range(images):
                file[f"stimulus/templates/images/picture_{number}"] = pictures[number]
        else:
            file["stimulus/templates/images/data"] = pictures
            series = file.create_group("stimulus/presentation/shown")
            series["data"], series["timestamps"] = order.astype(np.int32), onsets
            series["indexed_timeseries"] = h5py.SoftLink("/stimulus/templates/images")
