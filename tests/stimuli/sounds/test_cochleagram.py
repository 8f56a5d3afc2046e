"""Cochleagrams of two published systems against golden values and closed forms, and the short transform."""

import numpy as np
import pytest
import torch

from cornet.errors import CornetError
from cornet.stimuli.sounds import Cochleagram
from cornet.stimuli.sounds.network_input import min_max, resized
from tests.helpers.paths import GOLDEN
from tests.helpers.stimuli.sounds import formula_sounds, mixture

WIDE = torch.float64


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "sound.npz")


@pytest.fixture(scope="module")
def kell():
    return Cochleagram("kell_2018", WIDE)


@pytest.fixture(scope="module")
def feather():
    return Cochleagram("feather_2023", WIDE)


@pytest.fixture(scope="module")
def cochlea(kell):
    """The cochleagram of the golden mixture by kell_2018."""
    return shown(kell, mixture())


@pytest.fixture(scope="module")
def small():
    """Filters of kell_2018 and of feather_2023 for one second at 8 kHz."""
    return Cochleagram("small", WIDE, short=False), Cochleagram(
        "feather_2023", WIDE, rate=8000, samples=8000, filters=20, high=4000.0, factor=2
    )


def shown(front, sound):
    return front(torch.as_tensor(sound)[None])[0].detach().numpy()


def test_kell_2018_equals_the_public_code_in_float64(golden, kell, cochlea):
    found = cochlea
    assert found.shape == (211, 400)
    rows = [0, 3, 4, 50, 100, 150, 206, 207, 210]
    np.testing.assert_allclose(found[rows, ::4], golden["audio/pyc/rows"], atol=1e-12)
    np.testing.assert_allclose(found.mean(0), golden["audio/pyc/mean_time"], atol=1e-12)
    np.testing.assert_allclose(kell.centres, golden["audio/pyc/center_freqs"], atol=1e-9)


@pytest.mark.slow
def test_feather_2023_equals_the_public_code_and_its_gradient(golden):
    changes = {"rate": 16_000, "samples": 32_000, "low": 50.0, "high": 8_000.0, "pad": 8_000}
    front = Cochleagram("feather_2023", WIDE, slope_limit=100.0, **changes)
    sound = torch.as_tensor(mixture())[None].requires_grad_()
    found = front(sound)
    found.square().sum().backward()
    assert found.shape == (1, 211, 388)
    rows = found[0, [0, 4, 50, 100, 150, 206, 210], ::4].detach().numpy()
    np.testing.assert_allclose(rows, golden["audio/chc/rows_float64"], atol=1e-12)
    expected = golden["audio/chc/gradient_sum_squares_every100"]  # computed in float32
    assert np.abs(sound.grad[0, ::100].numpy() - expected).max() < 1e-5 * np.abs(expected).max()


def test_feather_2023_at_20_khz_equals_the_public_code(golden, feather):
    found = shown(feather, np.concatenate([mixture(), mixture()[:8000]]))
    assert found.shape == (211, 390)
    expected = golden["audio/chc_20k/cochleagram_every_float64"]
    np.testing.assert_allclose(found[::15, ::4], expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "key"), [("kell", "cochleagram_kell16k"), ("feather", "cochleagram_20k")])
def test_five_sounds_equal_the_public_code_within_float32(golden, request, name, key):
    front = request.getfixturevalue(name)
    for sound, samples in formula_sounds(front.settings.rate).items():
        found = shown(front, samples)
        np.testing.assert_allclose(found[::14, ::9], golden[f"{key}/coch_{sound}"], atol=2e-5, err_msg=sound)
        assert found.mean() == pytest.approx(float(golden[f"{key}/mean_{sound}"]), abs=1e-7)


def test_the_networks_input_equals_that_of_the_public_demo(golden, cochlea):
    found = resized(min_max(torch.as_tensor(cochlea)[None], 255), 256, 256)[0].numpy()
    np.testing.assert_allclose(found[::8, ::8], golden["audio/kell_input_every8"], atol=1e-9)
    assert found.mean() == pytest.approx(float(golden["audio/kell_input_mean"]), abs=1e-9)


@pytest.mark.slow
def test_the_range_of_a_sweeps_input_equals_that_of_the_public_demo(golden, kell):
    sweep = torch.as_tensor(shown(kell, formula_sounds(16_000)["sweep"]))[None]
    found = resized(min_max(sweep, 255), 256, 256)
    stats = [found.min().item(), found.max().item(), found.mean().item()]
    np.testing.assert_allclose(stats, golden["cochleagram_kell16k/sweep_input256_stats"], atol=0.01)


@pytest.mark.parametrize("settings", ["kell_2018", "feather_2023", "small"])
def test_squared_responses_sum_to_1_at_every_frequency(settings):
    front = Cochleagram(settings, WIDE, short=False)
    own = front.settings
    assert len(front.centres) == own.factor * (own.filters + 1) - 1 + 2 * own.factor
    np.testing.assert_allclose(front.responses.square().sum(0).numpy(), 1, atol=1e-12)


def test_the_envelope_of_a_tone_is_its_amplitude_times_the_response(small):
    for front, factor in zip(small, (1.0, 0.5), strict=True):
        own, channel = front.settings, 20
        tone = np.cos(2 * np.pi * front.centres[channel] * np.arange(own.samples) / own.rate)
        middle = front.envelopes(torch.as_tensor(tone)[None])[0, :, own.samples // 2]
        assert middle[channel].item() == pytest.approx(factor / np.sqrt(2), abs=1e-3)
        assert middle.square().sum().sqrt().item() == pytest.approx(factor, abs=1e-3)


def test_a_gain_raises_the_cochleagram_by_its_power_and_leaves_the_input_unchanged(small):
    sound = formula_sounds(4_000)["sweep"]
    soft, loud = shown(small[0], sound), shown(small[0], 2 * sound)
    np.testing.assert_allclose(loud, 2**0.3 * soft, atol=1e-12)
    np.testing.assert_allclose(*(min_max(torch.as_tensor(x)[None]).numpy() for x in (soft, loud)), atol=1e-12)


def test_silence_is_constant(small):
    assert not shown(small[0], np.zeros(8000)).any()
    np.testing.assert_allclose(shown(small[1], np.zeros(8000)), 2e-8**0.3, rtol=2e-3)
    assert not min_max(torch.ones(1, 3, 4)).any()


def test_a_click_peaks_at_the_same_frame_in_all_channels_of_the_zero_phase_filters(small):
    click = np.zeros(8000)
    click[4000] = 1
    assert (shown(small[0], click).argmax(1) == 50).all()


def test_the_short_transform_gives_the_envelopes_of_the_long_one():
    short, long = Cochleagram("small", WIDE), Cochleagram("small", WIDE, short=False)
    sound = torch.as_tensor(formula_sounds(8_000)["lcg"][:8000])[None]
    ratio = short.padded // short.length
    assert ratio == 4
    found = short.envelopes(sound)
    np.testing.assert_allclose(found, long.envelopes(sound)[..., ::ratio], atol=1e-15)
    assert (short(sound) - long(sound)).abs().max() < 0.004 * long(sound).max()
    assert short(sound).shape == (1, 45, 100)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cochleagram("mel"), "cochleagram 'mel' is unknown"),
        (lambda: Cochleagram("small", mels=3), "is unknown; choose from rate"),
        (lambda: Cochleagram("small", high=5_000.0), "at most half the rate"),
        (lambda: Cochleagram("small", envelope_rate=300), "must be a multiple"),
        (lambda: Cochleagram("small")(torch.zeros(1, 7999)), r"must be \(batch, 8000\): 1 s at 8000 Hz"),
    ],
)
def test_wrong_settings_are_named(make, words):
    with pytest.raises(CornetError, match=words):
        make()
