"""Embedded words and genres: seeds, labels, levels, and what a mean spectrum tells."""

import numpy as np
import pytest
import torch
from scipy.signal import find_peaks
from sklearn.linear_model import LogisticRegression

from cornet.errors import CornetError
from cornet.stimuli.samples import IGNORED, Key
from cornet.stimuli.sounds import Cochleagram, Sounds
from cornet.stimuli.sounds.genres import GENRES, play
from cornet.stimuli.sounds.mixing import background_noise, mix, rms
from cornet.stimuli.sounds.network_input import min_max
from cornet.stimuli.sounds.words import VOWELS, WORDS, resonance, speak


@pytest.fixture(scope="module")
def source():
    return Sounds(train_clips=10, val_clips=8, cache=False)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("word", list(WORDS))
def test_words_are_a_second_with_rms_1(word):
    sound = speak(word, rng())
    assert sound.shape == (8000,)
    assert rms(sound) == pytest.approx(1)
    assert np.isfinite(sound).all()
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    assert 0.2 < (loud[-1] - loud[0]) / 8000 < 0.9


def test_words_are_pairs_of_the_same_syllables():
    by_syllables = {}
    for word, syllables in WORDS.items():
        by_syllables.setdefault(frozenset(syllables), []).append(word)
    assert len(WORDS) == 10
    assert all(len(pair) == 2 for pair in by_syllables.values())


@pytest.mark.parametrize("vowel", list(VOWELS))
def test_resonances_are_at_the_formants(vowel):
    hertz = np.arange(100.0, 3900.0)
    gain = np.ones(len(hertz))
    for centre, bandwidth in zip(VOWELS[vowel], (80.0, 110.0, 160.0), strict=True):
        gain = gain * resonance(hertz, np.float64(centre), bandwidth, 8000)
    peaks = hertz[find_peaks(gain)[0]]
    for centre in VOWELS[vowel]:
        assert np.abs(peaks - centre).min() < 60


@pytest.mark.parametrize("genre", list(GENRES))
def test_genres_fill_a_second_with_rms_1(genre):
    for seed in range(3):
        sound = play(genre, rng(seed))
        assert sound.shape == (8000,)
        assert rms(sound) == pytest.approx(1)
        assert np.isfinite(sound).all()


def test_a_mixture_has_the_level_and_the_ratio():
    front, back = speak("badi", rng(1)), background_noise("pink", rng(2), 8000, 8000)
    mixed = mix(front, back, 6.0)
    assert rms(mixed) == pytest.approx(0.1)
    basis = np.stack([front - front.mean(), back - back.mean()], 1)
    parts = np.linalg.lstsq(basis, mixed, rcond=None)[0] * [rms(basis[:, 0]), rms(basis[:, 1])]
    assert 20 * np.log10(parts[0] / parts[1]) == pytest.approx(6)


def test_silence_on_one_side_and_on_both():
    sound, silence = speak("badi", rng()), np.zeros(8000)
    np.testing.assert_allclose(mix(sound, silence, 3), mix(silence, sound, -3))
    assert not mix(silence, silence, 0).any()
    with pytest.raises(CornetError, match="cannot be mixed"):
        mix(sound, sound[:-1], 0)


def test_modulated_noise_and_pink_noise():
    pink = np.abs(np.fft.rfft(background_noise("pink", rng(), 8000, 8000))) ** 2
    ratio = pink[100:200].mean() / pink[1000:2000].mean()
    assert ratio == pytest.approx(10, rel=0.5)
    white = np.abs(np.fft.rfft(background_noise("white", rng(), 8000, 8000))) ** 2
    assert white[100:200].mean() / white[1000:2000].mean() == pytest.approx(1, rel=0.5)


def test_the_source(source):
    assert source.shape == (1, 45, 50)
    assert len(source.classes) == 18
    train, val = source.train(), source.val()
    assert (len(train), len(val)) == (20, 16)
    first, music = train[Key(3, 0)], train[Key(12, 0)]
    assert first.image.shape == (1, 45, 50)
    assert val[Key(0, 0)].image.shape == (1, 1, 45, 50)
    assert (first.label, first.targets["word"], first.targets["genre"]) == (3, 3, IGNORED)
    assert (music.label, music.targets["word"], music.targets["genre"]) == (12, IGNORED, 2)
    assert train.images.dtype == np.uint8
    assert (train.images.reshape(20, -1).max(1) == 255).all()
    assert abs(float(first.image.mean())) < 2


def test_clips_depend_on_seed_split_and_index_only(source):
    again = Sounds(train_clips=12, val_clips=8, cache=False)
    np.testing.assert_array_equal(source.sound("train", 3), again.sound("train", 3))
    assert np.abs(source.sound("train", 3) - source.sound("val", 3)).max() > 0.01
    other = Sounds(train_clips=10, val_clips=8, seed=1, cache=False)
    assert np.abs(source.sound("train", 3) - other.sound("train", 3)).max() > 0.01


def test_shifts_depend_on_the_epoch_and_are_circular(source):
    train = source.train()
    shown = [train[Key(3, epoch)].image[0].numpy() for epoch in range(12)]
    plain = train.images[3].astype(np.float32) / 255
    moves = []
    for one in shown:
        values = one * 0.2 + 0.35
        fits = [m for m in range(-4, 5) if np.allclose(values, np.roll(plain, m, axis=1), atol=1e-5)]
        assert len(fits) == 1
        moves += fits
    assert len(set(moves)) > 2
    np.testing.assert_array_equal(shown[5], train[Key(3, 5)].image[0].numpy())


def test_the_cache_gives_the_same_cochleagrams(tmp_path):
    first = Sounds(train_clips=2, val_clips=1, cache=tmp_path).cochleagrams("train")
    assert len(list((tmp_path / "sounds").glob("*.npz"))) == 1
    again = Sounds(train_clips=2, val_clips=1, cache=tmp_path)
    again.sound = None  # not synthesised again
    np.testing.assert_array_equal(first, again.cochleagrams("train"))


@pytest.mark.slow
def test_no_genre_is_told_by_its_mean_spectrum():
    front = Cochleagram("small")

    def spectra(clips, seed):
        draw = rng(seed)
        sounds = []
        for k in range(clips):
            noise = background_noise(str(draw.choice(["white", "pink", "modulated"])), draw, 8000, 8000)
            sounds.append(mix(play(list(GENRES)[k % 8], draw), noise, draw.uniform(-3, 9)))
        parts = torch.tensor(np.array(sounds), dtype=torch.float32).split(64)
        found = torch.cat([min_max(front(part)) for part in parts])
        return found.mean(-1).numpy(), np.arange(clips) % 8

    (x, y), (tested, truth) = spectra(640, 1), spectra(240, 2)
    guess = LogisticRegression(C=10, max_iter=3000).fit(x, y).predict(tested)
    recall = [(guess[truth == k] == k).mean() for k in range(8)]
    assert max(recall) < 0.9
    assert np.mean(recall) < 0.7
    assert np.mean(recall) > 0.25  # above chance, .125


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"train_clips": 0}, "train_clips"),
        ({"snr_db": [3]}, "snr_db="),
        ({"snr_db": [9, -3]}, "must be the lowest and the highest ratio"),
        ({"shift": -1}, "shift"),
        ({"seed": -1}, "data.seed=-1 must be 0 or more"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(CornetError, match=words):
        Sounds(**arguments)
