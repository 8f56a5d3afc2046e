"""Layers of a network against simulated neurons whose truth is known, and against noise."""

import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain import internal_consistency, open_subject
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.metrics.splits import make_folds
from cornet.brain.neuron.estimators import METHODS, predict
from cornet.brain.neuron.layers import Layer, choose_sites, random_projection, read_layers
from cornet.brain.neuron.profile import profile
from cornet.brain.neuron.target import HALVES, Target, open_target
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain import neuron_bundle
from tests.helpers.brain.made_up_stimuli import stimuli

IMAGES = 240


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def network() -> LayerSubject:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 12, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(48, 20)
    )
    return LayerSubject(layers, name="small", size=16)


def target(repetitions: np.ndarray, shown) -> Target:
    """repetitions: (repetition, stimulus, neuroid)."""
    halves = internal_consistency(repetitions, splits=HALVES).values
    names = np.array([f"n{k}" for k in range(repetitions.shape[2])])
    return Target("made", shown, names, repetitions.mean(axis=0), make_folds(len(shown)), halves)


def test_a_read_out_of_a_layer_peaks_there_and_reaches_the_ceiling():
    subject, shown = network(), stimuli(IMAGES, 16, 16)
    features = subject.record(shown, [Site("3")])[Site("3")]
    rng = np.random.default_rng(0)
    signal = (features - features.mean(axis=0)) @ rng.standard_normal(features.shape[1])
    signal /= signal.std()
    noisy = signal[None, :, None] + 0.7 * rng.standard_normal((6, IMAGES, 1))
    made = target(noisy, shown)
    expected = 1 / (1 + 0.7**2 / 6)
    assert made.reliability[0] == pytest.approx(expected, abs=0.03)
    found = profile(made, [subject], [subject.sites()])
    best = found.best
    assert best is not None
    assert best.site == Site("3")
    assert 0.9 <= best.value <= 1.0
    assert best.interval.low < best.value < best.interval.high
    assert all(abs(one.shuffled.mean()) < 0.03 for one in found.sites)
    assert len(best.shuffled) == 20
    assert found.of("small")[0] not in found.ties


@pytest.mark.slow
def test_noise_explains_nothing():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((605, 4096))
    layer = Layer(Site("noise"), 4096, features @ features.T)
    responses, folds = rng.standard_normal((605, 3)), make_folds(605)
    for penalty in ("gcv", "folds"):
        found = predict(layer, responses, folds, penalty=penalty).values
        r = np.array([np.corrcoef(found[:, k], responses[:, k])[0, 1] for k in range(3)])
        assert (np.abs(r) * r <= 0.02).all()
        assert (r * np.abs(r) >= -0.03).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("width", [40, 1200])
def test_every_method_predicts(method, width):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((80, width)) * np.geomspace(1, 1e-4, width)
    responses = features[:, :3] @ rng.standard_normal((3, 1))
    layer = Layer(Site("a"), width, features @ features.T, features if width <= 1000 else None)
    found = predict(layer, responses, make_folds(80, 5), method).values
    assert np.corrcoef(found[:, 0], responses[:, 0])[0, 1] > 0.8


def test_missing_responses_and_groups():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 12))
    responses = features @ rng.standard_normal((12, 2))
    responses[:7, 1] = np.nan
    layer = Layer(Site("a"), 12, features @ features.T, features)
    groups = np.arange(60) // 3
    folds = make_folds(60, 10, groups)
    assert all(len(set(folds[groups == one])) == 1 for one in range(20))
    assert np.bincount(folds).tolist() == [6] * 10
    found = predict(layer, responses, folds, groups=groups)
    assert np.isnan(found.values[:, 1]).sum() == 7
    alone = predict(layer, responses[:, 1:], folds, groups=groups)
    np.testing.assert_allclose(found.values[:, 1], alone.values[:, 0])
    assert found.dimensions[0] > 11


def test_a_projection_keeps_inner_products():
    features = np.random.default_rng(0).standard_normal((20, 5000))
    projected = random_projection(features, 1000)
    assert projected.shape == (20, 1000)
    ratio = np.einsum("ij,ij->i", projected, projected) / 5000
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    gram, expected = projected @ projected.T, features @ features.T
    assert np.abs(gram - expected).max() < 0.3 * 5000


def test_constant_neuroids_are_undefined_with_the_reason(tmp_path):
    made = open_target(str(neuron_bundle.write(tmp_path / "mine")))
    assert made.reasons == {
        "silent": "it is silent (0 to all 60 images)",
        "constant": "its response is constant (3 to all 60 images)",
    }
    assert made.reliable.tolist() == [True, True, False, False, False]  # noise is not reliable
    subject = open_subject("pixels", size=8)
    found = profile(made, [subject], [subject.sites()])
    assert np.isfinite(found.sites[0].explained).tolist() == [True, True, True, False, False]
    assert found.sites[0].value == pytest.approx(np.median(found.sites[0].explained[:2]))
    assert found.sites[0].value > 0.5
    assert "1 of 5 neuroids have a reliability below 0.3" in " ".join(found.left_out)
    assert "neuroid silent is left out: it is silent" in " ".join(found.left_out)
    rows = found.table()
    assert rows["neuroid"].tolist() == ["driven", "other", "noise", "silent", "constant", "median"]
    assert np.isnan(rows["nEV"][3])


def test_a_binary_channel_is_copied(tmp_path):
    subject = open_subject("pixels", size=8)
    grams = []
    for mode in ("1", "RGB"):
        made = open_target(str(neuron_bundle.write(tmp_path / mode, mode=mode)), "driven")
        (layer,) = read_layers(subject, made.stimuli, subject.sites(), made.degrees)
        assert layer.width == 3 * 64
        features = layer.features
        assert features is not None
        red, green, blue = features.reshape(60, 3, 64).swapaxes(0, 1)
        assert (red == green).all()
        assert (red == blue).all()
        grams.append(layer.gram)
    np.testing.assert_array_equal(*grams)


def test_layers_are_cached_and_read_in_passes(monkeypatch, tmp_path):
    subject, shown = network(), stimuli(20, 16, 16)
    monkeypatch.setattr("cornet.brain.neuron.layers.DEFAULT_MEMORY", 1)
    monkeypatch.setattr("cornet.brain.neuron.layers.DISK", 20 * 4 * 200)
    recorded = []
    record = subject.record

    def counting(shown, sites, *arguments, **options):
        recorded.append(len(sites))
        return record(shown, sites, *arguments, **options)

    monkeypatch.setattr(subject, "record", counting)
    sites = subject.sites()
    first = read_layers(subject, shown, sites)
    assert len(recorded) > 1
    assert sum(recorded) == len(sites)
    assert not (tmp_path / "cache" / "recordings").exists()
    again = read_layers(subject, shown, sites)
    assert sum(recorded) == len(sites)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.gram, other.gram)
    features = record(shown, sites[:1])[sites[0]].astype(float)
    features -= features.mean(axis=0)
    np.testing.assert_allclose(first[0].gram, features @ features.T, atol=1e-9)


def test_square_roots_of_each_repetition(tmp_path):
    """The mean of the roots, and their reliability; negative responses are refused."""
    bundle = str(neuron_bundle.write(tmp_path / "mine", base=6.0))
    plain, rooted = open_target(bundle, "driven"), open_target(bundle, "driven", square_roots=True)
    responses = open_benchmarks([bundle])[0].responses
    roots = np.sqrt(responses.repetitions[..., list(responses.neuroid_ids).index("driven")].astype(float))
    np.testing.assert_allclose(rooted.responses[:, 0], roots.mean(axis=0), rtol=1e-12)
    assert not np.allclose(rooted.responses**2, plain.responses)
    expected = internal_consistency(roots[..., None], splits=HALVES).values
    np.testing.assert_allclose(rooted.reliabilities, expected, rtol=1e-6)
    with pytest.raises(CornetError, match=r"the neuroid driven has a response of -\d.*leave --sqrt out"):
        open_target(str(neuron_bundle.write(tmp_path / "other")), square_roots=True)


def test_sites_are_chosen_by_layer_and_step():
    net, pixels = open_subject("cornet_rt?untrained&width=0.1", size=32), open_subject("pixels")
    (sites, single) = choose_sites([net, pixels], ["V4", "IT[4]"])
    assert sites == [Site("V4", 2), Site("V4", 3), Site("V4", 4), Site("IT", 4)]
    assert single == [Site("pixels")]
    with pytest.raises(CornetError, match=r"has no layer 'decoder'; did you mean decoder.avgpool\?"):
        choose_sites([net], ["decoder"])
    inside = choose_sites([network()], ["4"])  # is not among its sites
    assert inside == [[Site("4")]]
    assert choose_sites([net], ["areas.V4.conv1"]) == [[Site("areas.V4.conv1", step) for step in range(5)]]
    steps = [Site("areas.V4.conv1", step) for step in (0, 4)]
    recording = net.record(stimuli(4), steps)
    assert np.ptp(recording[steps[0]], axis=0).max() == 0 < np.ptp(recording[steps[1]], axis=0).max()


@pytest.mark.slow
def test_real_neurons_in_V4(shared_data):
    made = open_target(str(shared_data / "cowley2023-V4-210325"))
    subjects = [open_subject("pixels"), open_subject("gabor")]
    found = profile(made, subjects, [subject.sites() for subject in subjects])
    pixels, gabor = (float(np.median(one.r)) for one in found.sites)
    assert 0.2 < pixels < 0.32
    assert 0.44 < gabor < 0.52
    assert abs(found.sites[0].shuffled.mean()) < 0.03
