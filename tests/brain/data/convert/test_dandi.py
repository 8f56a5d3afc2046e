"""NWB files: spike counts by presentation, regions by electrodes, images in the file, several files."""

import h5py
import numpy as np
import pytest

from cornet.errors import CornetError
from tests.helpers.brain import published_files


def counts(path, edges, names):
    """Rates counted one by one: (stimulus, repetition, unit, bin)."""
    with h5py.File(path) as file:
        ends = file["units/spike_times_index"][:].astype(int)
        spikes = np.split(file["units/spike_times"][:], ends[:-1])
        if "intervals" in file:
            onsets = file["intervals/image_presentations/start_time"][:]
            shown = [name.decode() for name in file["intervals/image_presentations/image_name"][:]]
        else:
            onsets = file["stimulus/presentation/shown/timestamps"][:]
            shown = [str(number) for number in file["stimulus/presentation/shown/data"][:]]
    rates = []
    for name in names:
        for onset in (onset for onset, own in zip(onsets, shown, strict=True) if own == name):
            rates.append(
                [
                    [
                        ((times >= onset + low / 1000) & (times < onset + high / 1000)).sum()
                        / (high - low)
                        * 1000
                        for low, high in edges
                    ]
                    for times in spikes
                ]
            )
    return np.array(rates)


@pytest.mark.parametrize("form", ["table", "index"])
@pytest.mark.parametrize(("window", "width"), [(None, None), ((0, 100), 25)])
def test_values_ids_and_quality(form, window, width, tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path, form=form)
    bundle, values, _ = converted("dandi", path, window=window, bin_ms=width)
    low = 70 if window is None else 0
    edges = [(low + k * (width or 100), low + (k + 1) * (width or 100)) for k in range(4 if width else 1)]
    assert values.shape == (15, 4, len(edges))
    np.testing.assert_allclose(values, counts(path, edges, bundle.stimuli.ids), rtol=1e-5)
    assert values.max() > 0
    assembly = bundle.assembly
    assert list(assembly["time_bin_start"].values) == [edge[0] for edge in edges]
    assert list(assembly["region"].values) == ["V4", "V4", "V4", "IT"]
    assert list(assembly["neuroid_id"].values) == ["100", "101", "102", "103"]
    assert "snr" in assembly.coords
    assert "waveform_mean" not in assembly.coords
    expected = np.random.default_rng(99).integers(0, 256, (5, 12, 10, 3), np.uint8)
    np.testing.assert_array_equal(bundle.stimuli.pictures[3], expected[3])


def test_several_sessions(tmp_path, converted):
    """Of another subject, and with fewer repetitions, whose responses are missing."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    published_files.nwb(folder / "one.nwb", "A", seed=1)
    published_files.nwb(folder / "two.nwb", "A", seed=2, repetitions=2)
    published_files.nwb(folder / "three.nwb", "B", seed=3)
    bundle, values, _ = converted("dandi", folder)
    assert values.shape == (15, 12, 1)
    assembly = bundle.assembly
    assert set(assembly["neuroid_id"].values) >= {"one.100", "two.103", "100"}
    two = values[:, [str(name).startswith("two") for name in assembly["neuroid_id"].values]]
    assert np.isnan(two[2::3]).all()
    assert np.isfinite(two[0::3]).all()
    three = values[:, assembly["subject"].values == "B", 0]
    np.testing.assert_allclose(
        three, counts(folder / "three.nwb", [(70, 170)], bundle.stimuli.ids)[:, :, 0], rtol=1e-5
    )


def test_images_from_a_folder(tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path)
    with h5py.File(path, "r+") as file:
        del file["stimulus"]
    with pytest.raises(
        CornetError, match=r"has no images for its 5 stimuli, such as 'picture_0.png'.* --images"
    ):
        converted("dandi", path)
    published_files.jpeg_images(tmp_path / "images", [f"picture_{number}.png" for number in range(5)])
    bundle, *_ = converted("dandi", path, images=tmp_path / "images")
    assert bundle.stimuli.pictures[2].shape == (8, 8, 3)


def test_regions_by_peak_channel(tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path)
    with h5py.File(path, "r+") as file:
        file["units/peak_channel_id"] = [15, 14, 10, 11]
    bundle, *_ = converted("dandi", path)
    assert list(bundle.assembly["region"].values) == ["IT", "IT", "V4", "V4"]


def test_presentations_without_an_image_are_counted(tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path, form="index")
    with h5py.File(path, "r+") as file:
        file["stimulus/presentation/shown/data"][4] = -1
    _, values, result = converted("dandi", path)
    assert result.notes == ("skipped 1 presentations without an image",)
    assert np.isfinite(values).all()


def test_unsorted_spikes_and_small_memory_give_the_same(tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path)
    _, values, _ = converted("dandi", path)
    (tmp_path / "bundles/dandi").rename(tmp_path / "bundles/other")
    with h5py.File(path, "r+") as file:
        file["units/spike_times"][:400] = file["units/spike_times"][:400][::-1]
    _, again, _ = converted("dandi", path, memory=2**24)
    np.testing.assert_array_equal(values, again)


# What is wrong is said in one sentence.


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda file: file.pop("units"), {}, "has no dataset units/spike_times_index"),
        (lambda file: file.pop("units/electrodes"), {}, "gives the region of its units .*--region-column"),
        (lambda file: file.pop("intervals"), {}, "no table with a column that names images"),
        (
            lambda file: file.copy("intervals/image_presentations", "intervals/more"),
            {},
            "several tables .* --table",
        ),
        (lambda file: None, {"column": "picture"}, "no table with a column .*image_name.*--column"),
        (lambda file: None, {"table": "movies"}, "has no table 'movies'; choose one of image_presentations"),
        (lambda file: None, {"region_column": "layer"}, "has no column layer"),
        (lambda file: None, {"window": (0, 100), "bin_ms": 30}, "cannot be divided into bins of 30 ms"),
        (lambda file: external(file), {}, "units/spike_times as a link to another file"),
    ],
)
def test_what_is_missing_is_said(change, options, message, tmp_path, converted):
    path = tmp_path / "session.nwb"
    published_files.nwb(path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(CornetError, match=message):
        converted("dandi", path, **options)


def external(file):
    del file["units/spike_times"]
    file["units/spike_times"] = h5py.ExternalLink("other.nwb", "/units/spike_times")


def test_other_images_in_another_file_are_refused(tmp_path, converted):
    for name in ("one", "two"):
        published_files.nwb(tmp_path / f"{name}.nwb", form="index")
    with h5py.File(tmp_path / "two.nwb", "r+") as file:
        file["stimulus/templates/images/data"][0] = 0
    with pytest.raises(CornetError, match=r"has another image '0' than"):
        converted("dandi", tmp_path)
