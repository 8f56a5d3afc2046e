"""Clips in folders: reading, resampling, windows, the division, and bad clips, one sentence each."""

import logging

import numpy as np
import pytest
from scipy.io import wavfile

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, Key
from cornet.stimuli.sounds import SoundFolders
from cornet.stimuli.sounds.clips import read_clip, resample, window


def tone(hertz, seconds, rate):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path, sound, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (32767 * sound).astype(np.int16))


@pytest.fixture
def folders(tmp_path):
    for k, name in enumerate(("one", "two")):
        for take in range(3):
            write(tmp_path / "words" / name / f"{take}.wav", tone(300 + 200 * k + take, 1.2, 8000))
    for k, name in enumerate(("jazz", "rock")):
        for take in range(4):
            write(tmp_path / "genres" / name / f"{take}.wav", tone(900 + 300 * k + take, 3, 8000))
    return {"words": tmp_path / "words", "genres": tmp_path / "genres"}


def opened(folders, **changes):
    return SoundFolders(**{"front": "small", "cache": False, **folders, **changes})


def test_labels_and_windows(folders):
    source = opened(folders, windows=2)
    assert source.classes == ["word one", "word two", "genre jazz", "genre rock"]
    train, val = source.train(), source.val()
    assert len(train) == 2 * 2 + 2 * 3 * 2
    assert len(val) == 2 + 2 * 2
    paths = {split: {one.path for one in source.files[split]} for split in ("train", "val")}
    assert not paths["train"] & paths["val"]
    words = [val[Key(k, 0)].targets["word"] for k in range(len(val))]
    assert sorted(words) == [IGNORED] * 4 + [0, 1]
    assert train[Key(0, 0)].image.shape == (1, 45, 50)
    assert train[Key(0, 0)].image.max() == 255  # of scale: bytes


def test_the_division_depends_on_the_seed_and_on_names_only(folders):
    def held(seed):
        return {str(one.path) for one in opened(folders, seed=seed).files["val"]}

    assert held(0) == held(0)
    assert len({frozenset(held(seed)) for seed in range(6)}) > 1


@pytest.mark.slow
def test_the_published_front_end(folders, tmp_path):
    for name in ("jazz", "rock"):
        for take in range(2):
            write(tmp_path / "long" / name / f"{take}.wav", tone(500 + take, 2, 16000), 16000)
    source = SoundFolders(genres=tmp_path / "long", cache=False)
    assert source.shape == (1, 256, 256)
    assert source.target_classes["word"] == []
    image = source.val()[Key(0, 0)].image
    assert image.shape == (1, 1, 256, 256)
    assert image.max() > 240


def test_another_rate_is_resampled_and_logged(folders, caplog):
    write(folders["words"] / "one" / "0.wav", tone(440, 1.2, 22050), 22050)
    with caplog.at_level(logging.INFO, "cornet"):
        source = opened(folders)
    assert "1 clips of 22050 Hz are resampled to 8000 Hz" in caplog.text
    assert source.train().images.shape[1:] == (45, 50)


def test_resampling_keeps_a_tone():
    found = resample(tone(440, 1, 22050), 22050, 8000)
    expected = tone(440, 1, 8000)
    assert len(found) == 8000
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=0.002)


def test_windows_are_spread_evenly():
    sound = np.arange(10)
    np.testing.assert_array_equal(window(sound, 4), [3, 4, 5, 6])
    np.testing.assert_array_equal(window(sound, 4, 0, 3), [0, 1, 2, 3])
    np.testing.assert_array_equal(window(sound, 4, 2, 3), [6, 7, 8, 9])


@pytest.mark.parametrize(
    ("kind", "scale"), [(np.uint8, 128), (np.int16, 2**15), (np.int32, 2**31), (np.float32, 1)]
)
def test_formats_of_samples(tmp_path, kind, scale):
    sound = np.stack([tone(100, 0.1, 8000), 0 * tone(100, 0.1, 8000)], 1)
    offset = 128 if kind == np.uint8 else 0
    stored = (sound * (scale - 1) + offset if kind != np.float32 else sound).astype(kind)
    wavfile.write(tmp_path / "a.wav", 8000, stored)
    found, rate = read_clip(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(found, sound.mean(1), atol=1 / 100 if kind == np.uint8 else 1e-4)


def test_short_clips(folders, caplog):
    write(folders["words"] / "one" / "0.wav", tone(440, 0.6, 8000))
    with pytest.raises(
        CornetError, match=r"1 of 14 clips are shorter than the window of 1 s, such as .* 0.60 s; set"
    ):
        opened(folders)
    padded, skipped = opened(folders, short="pad"), opened(folders, short="skip")
    assert len(padded.files["train"]) == len(skipped.files["train"]) + 1
    short = next(
        one for split in padded.files.values() for one in split if one.path.parts[-2:] == ("one", "0.wav")
    )
    assert padded.clip(short).shape == (8000,)
    assert not padded.clip(short)[:1000].any()


def test_silent_damaged_and_missing_clips(folders):
    path = folders["genres"] / "jazz" / "1.wav"
    write(path, np.zeros(24_000))
    with pytest.raises(CornetError, match=r"1.wav is silent; leave it out"):
        opened(folders)
    path.write_bytes(b"RIFF....WAVEnothing")
    with pytest.raises(CornetError, match=r"cannot be read as a WAV file"):
        opened(folders)
    path.write_bytes(b"")
    with pytest.raises(CornetError, match=r"cannot be read as a WAV file"):
        opened(folders)
    with pytest.raises(CornetError, match="does not exist"):
        read_clip(path.with_name("other.wav"))


def test_a_class_that_one_split_would_lack(folders):
    for take in (1, 2):
        (folders["words"] / "two" / f"{take}.wav").unlink()
    with pytest.raises(CornetError, match="the word 'two' has 1 clips that can be used"):
        opened(folders)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words": None, "genres": None}, "words and genres are both missing"),
        ({"words": "nowhere"}, "nowhere is not a folder"),
        ({"held_out": 1.0}, "held_out=1.0 must be a share"),
        ({"short": "cut"}, "short='cut' is unknown"),
        ({"front": "mel"}, "front='mel' is unknown"),
    ],
)
def test_wrong_arguments(folders, changes, words):
    with pytest.raises(CornetError, match=words):
        opened(folders, **changes)


def test_a_folder_without_classes(folders, tmp_path):
    with pytest.raises(CornetError, match="has 0 class folders, but 2 are needed"):
        opened({"words": folders["words"] / "one", "genres": None})
