import time

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, LeaveOneGroupOut

from cornet.brain.subjects import GaborSubject, PixelSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.made_up_stimuli import stimuli

GABOR, PIXELS = Site("gabor"), Site("pixels")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def gratings(size, frequency, angle, phase=0.0, contrast=0.4):
    """(1, 3, y, x) uint8: luminance waves that run along `angle`."""
    y, x = np.mgrid[:size, :size] / size
    wave = np.sin(2 * np.pi * frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    grey = np.round(255 * (0.5 + contrast * wave)).astype(np.uint8)
    return torch.from_numpy(np.repeat(grey[None, None], 3, axis=1))


def energy(bank, images):
    """Mean energy over positions, (frequency, orientation)."""
    count = len(bank.frequencies) * bank.orientations
    found = bank.features(images)[0, : count * bank.grid**2]
    return found.view(len(bank.frequencies), bank.orientations, -1).mean(-1)


@pytest.mark.parametrize("frequency", [0, 1, 2, 3])
@pytest.mark.parametrize("orientation", [0, 1, 3, 6])
def test_a_grating_drives_the_filter_of_its_frequency_and_orientation_most(frequency, orientation):
    bank = GaborSubject()
    images = gratings(64, bank.frequencies[frequency], orientation * np.pi / bank.orientations)
    answers = energy(bank, images)
    assert divmod(int(answers.argmax()), bank.orientations) == (frequency, orientation)


def test_energy_does_not_depend_on_phase_and_grows_with_contrast():
    bank = GaborSubject()
    at = (2, 2)
    answers = [float(energy(bank, gratings(64, 8, np.pi / 4, phase))[at]) for phase in np.arange(0, 6, 0.7)]
    assert np.ptp(answers) / np.mean(answers) < 0.02
    faint = float(energy(bank, gratings(64, 8, np.pi / 4, contrast=0.1))[at])
    assert faint == pytest.approx(np.mean(answers) / 4, rel=0.05)


def test_a_filter_is_the_brute_force_convolution_with_its_kernel():
    bank = GaborSubject(size=32, frequencies=(8,), orientations=3, grid=4)
    kept, filters = bank._bank(torch.device("cpu"))[0]
    assert len(kept) == 32  # the whole spectrum: nothing is left out
    kernel = np.fft.ifft2(filters[1].numpy().astype(np.float64))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    grey = image / 255 @ np.array([0.299, 0.587, 0.114])
    grey -= grey.mean()
    answer = np.zeros((32, 32), complex)
    for y in range(32):
        for x in range(32):
            answer += grey[y, x] * np.roll(kernel, (y, x), (0, 1))
    pooled = np.abs(answer).reshape(4, 8, 4, 8).mean((1, 3))
    found = bank.features(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
    np.testing.assert_allclose(found[16:32].view(4, 4), pooled, rtol=1e-4, atol=1e-6)
    colours = np.stack([image @ np.array([0.299, 0.587, 0.114]), *(_opponent(image))]) / 255
    expected = colours.reshape(3, 4, 8, 4, 8).mean((2, 4))
    np.testing.assert_allclose(found[48:].view(3, 4, 4), expected, rtol=1e-4, atol=1e-5)


def _opponent(image):
    red, green, blue = (image[..., i].astype(float) for i in range(3))
    return red - green, blue - (red + green) / 2


def test_low_frequencies_on_a_coarser_grid_give_the_same():
    fine, coarse = GaborSubject(size=64, frequencies=(2,)), GaborSubject(size=64, frequencies=(2,))
    every = torch.cat([torch.arange(32), torch.arange(32, 64)])
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    assert len(coarse._bank(images.device)[0][0]) < 64
    assert torch.equal(GaborSubject(frequencies=(16,))._bank(images.device)[0][0], every)
    few = coarse.features(images)
    fine._banks["cpu"] = [_whole(fine, 2)]
    whole = fine.features(images)
    assert float((few - whole).abs().max() / whole.abs().max()) < 0.02


def _whole(bank, frequency):
    """The same filters over the whole spectrum: as of a bank whose grid needs it all."""
    wide = GaborSubject(size=64, frequencies=(frequency,), grid=16)
    wide.grid = 32
    return wide._filters(frequency, torch.device("cpu"))


def test_pixels():
    shown = stimuli(4, 32, 32)
    found = PixelSubject().record(shown, [PIXELS])[PIXELS]
    expected = shown.pictures.images.transpose(0, 3, 1, 2).reshape(4, -1) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)
    grey = PixelSubject(color=False).record(shown, [PIXELS])[PIXELS]
    np.testing.assert_allclose(
        grey, (shown.pictures.images / 255 @ [0.299, 0.587, 0.114]).reshape(4, -1), atol=1e-6
    )


def test_they_answer_for_every_region_and_time():
    for one, site in ((GaborSubject(), GABOR), (PixelSubject(), PIXELS)):
        assert one.sites() == [site]
        assert one.site("V4") == one.site("IT", (200, 210)) == one.readout_site() == site
    assert GaborSubject().record(stimuli(2), [GABOR])[GABOR].shape == (2, 2240)


def test_identity_is_of_the_settings():
    known = {GaborSubject().identity, GaborSubject(grid=4).identity, GaborSubject(orientations=4).identity}
    known |= {GaborSubject(degrees=4).identity, PixelSubject().identity, PixelSubject(color=False).identity}
    assert len(known) == 6
    assert GaborSubject(name="x").identity in known


@pytest.mark.parametrize(
    "options", [{"frequencies": (2, 40)}, {"frequencies": ()}, {"grid": 0}, {"orientations": 0}]
)
def test_mistakes(options):
    with pytest.raises(CornetError):
        GaborSubject(**options)


def median_r(features, responses, groups=None, penalty=3000.0):
    """Median over neuroids of r between responses and predictions of left-out stimuli, features standardised."""
    cut = LeaveOneGroupOut() if groups is not None else KFold(5, shuffle=True, random_state=0)
    predicted = np.zeros_like(responses)
    for train, test in cut.split(features, responses, groups):
        center, spread = features[train].mean(0), features[train].std(0) + 1e-9
        fit = Ridge(penalty).fit((features[train] - center) / spread, responses[train])
        predicted[test] = fit.predict((features[test] - center) / spread)
    return np.median([stats.pearsonr(*pair)[0] for pair in zip(predicted.T, responses.T, strict=True)])


@pytest.mark.parametrize(
    ("name", "gabor", "pixels"),
    [
        pytest.param("cowley2023-V4-210325", 0.476, 0.24, marks=pytest.mark.slow),
        pytest.param("cowley2023-V4-190925", 0.650, 0.48, marks=pytest.mark.slow),
        ("cowley2023-V4-210305", 0.629, 0.51),
        pytest.param("henaff2021-V1-ay3_u001", 0.275, None, marks=pytest.mark.slow),
        ("henaff2021-V1-ay4_u001", 0.45, None),
    ],
)
def test_real_neurons(shared_data, name, gabor, pixels):
    """The reference points of the data; .08 is what the penalty and the folds may move them."""
    from cornet import brain

    bundle = brain.load_bundle(shared_data / name)
    responses = bundle.responses()
    groups = responses.table["movie"].to_numpy() if "movie" in responses.table else None
    for one, expected in ((GaborSubject(), gabor), (PixelSubject(), pixels)):
        if expected is None:
            continue
        start = time.perf_counter()
        site = one.sites()[0]
        features = one.record(bundle.stimuli, [site])[site].astype(np.float64)
        rate = len(features) / (time.perf_counter() - start)
        features = features[bundle.stimuli.positions(list(responses.stimulus_ids))]
        found = median_r(features, responses.mean, groups)
        print(f"{name} {one.name}: {found:.3f} (reference {expected}), {rate:.0f} images/s")
        assert abs(found - expected) < 0.08
