import json
import os

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.decomposition import PCA
from torch import nn

from cornet.brain.data.bundle import Bundle
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.metrics.predictivity import neural_predictivity
from cornet.brain.metrics.splits import make_splits
from cornet.brain.subjects import LayerSubject, PixelSubject, layer_choice
from cornet.brain.subjects.layer_choice import _Reduced, choose_layers
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from tests.helpers.brain.made_up_stimuli import stimuli

RNG = np.random.default_rng(0)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 5, 4, 2)
        self.two = nn.Conv2d(4, 6, 3, 2, 1)
        self.three = nn.Linear(24, 5)

    def forward(self, x):
        x = torch.relu(self.one(x))
        x = torch.relu(self.two(x))
        return self.three(x.flatten(1))


def made(count=60):
    """A subject, and a bundle whose V4 is linear in the subject's second layer, IT in its third; with noise."""
    subject, shown = LayerSubject(Stack(), size=16, name="stack"), stimuli(count)
    truth = subject.record(shown, [Site("two"), Site("three")], cache=False)
    parts = []
    for site, neuroids in ((Site("two"), 4), (Site("three"), 3)):
        features = truth[site] - truth[site].mean(0)
        signal = features @ RNG.normal(size=(features.shape[1], neuroids))
        parts.append(signal / signal.std(0) + 0.1 * RNG.normal(size=signal.shape))
    order = RNG.permutation(count)  # presentations come in another order than the stimuli
    assembly = xr.DataArray(
        np.concatenate(parts, 1)[order],
        dims=("presentation", "neuroid"),
        coords={
            "stimulus_id": ("presentation", shown.ids[order]),
            "repetition": ("presentation", np.zeros(count, int)),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(7)]),
            "region": ("neuroid", ["V4"] * 4 + ["IT"] * 3),
        },
    )
    return subject, Bundle("made", shown, assembly, f"made-{count}")


def test_the_layer_that_the_responses_were_made_of_is_found_and_recorded():
    subject, bundle = made()
    choice = choose_layers(subject, bundle)
    assert choice.regions == {"V4": Site("two"), "IT": Site("three")}
    assert len(choice.table) == 2 * len(subject.sites())
    assert choice.table[choice.table["chosen"]]["score"].min() > 0.9
    assert subject.with_regions(choice.regions).site("IT") == Site("three")
    assert choice.path.is_file()
    looks = bundle.stimuli.pictures.looks
    again = choose_layers(subject, bundle)
    assert again.regions == choice.regions
    assert again.table.equals(choice.table)
    choice.path.write_text(choice.path.read_text()[:-40])  # damaged: it is chosen again
    assert choose_layers(subject, bundle).regions == choice.regions
    assert bundle.stimuli.pictures.looks == looks  # from the recordings
    assert choose_layers(subject, bundle, ["V4"]).path != choice.path


def test_another_network_is_chosen_for_anew():
    subject, bundle = made()
    first = choose_layers(subject, bundle, ["V4"])
    subject.module.two.weight.data[0] += 1e-3
    assert choose_layers(subject, bundle, ["V4"]).path != first.path


def test_every_score_is_that_of_neural_predictivity():
    subject, bundle = made()
    table = choose_layers(subject, bundle, cache=False).table
    for row in table.itertuples():
        responses = bundle.responses(row.region)
        features = subject.record(bundle.stimuli, [Site(row.layer)], cache=False)[Site(row.layer)]
        features = features[bundle.stimuli.positions(list(responses.stimulus_ids))]
        assert row.score == pytest.approx(neural_predictivity(features, responses.mean).raw, abs=1e-6)
        assert row.features == features.shape[1]


@pytest.mark.parametrize("metric", ["cka", "rdm"])
def test_a_similarity_is_that_of_the_features_themselves(metric):
    subject, bundle = made()
    options = {"metric": metric, "components": 3, "images": stimuli(20, seed=5)}
    table = choose_layers(subject, bundle, cache=False, **options).table
    for row in table.itertuples():
        responses = bundle.responses(row.region)
        features = subject.record(bundle.stimuli, [Site(row.layer)], cache=False)[Site(row.layer)]
        features = features[bundle.stimuli.positions(list(responses.stimulus_ids))]
        expected = neural_metric(metric).score(features, responses.mean, [])
        assert (row.score, row.error) == pytest.approx((expected.raw, expected.error), abs=1e-12)
    chosen = table[table["chosen"]]
    assert list(chosen["score"]) == [
        table[table["region"] == region]["score"].max() for region in chosen["region"]
    ]


def test_the_error_of_a_similarity_is_by_groups_and_so_is_the_cached_choice():
    subject, bundle = made()
    bundle.stimuli.table["movie"] = np.arange(60) // 20
    single = choose_layers(subject, bundle, ["V4"], metric="cka")
    grouped = choose_layers(subject, bundle, ["V4"], metric="cka", groups="movie")
    assert grouped.path != single.path
    assert (grouped.table["score"] == single.table["score"]).all()
    assert (grouped.table["error"] != single.table["error"]).all()


@pytest.mark.parametrize("gain", [0, 1e6])
@pytest.mark.parametrize("width", [30, 200])
def test_components_of_the_training_stimuli_are_scikit_learns(width, gain):
    features = RNG.normal(size=(50, width)) * np.geomspace(1, 0.05, width)
    responses = features[:, :8] @ RNG.normal(size=(8, 3)) + RNG.normal(size=(50, 3))
    features = features + gain * RNG.normal(size=(50, 1))
    pairs = make_splits(50, splits=3)
    found = _Reduced(features, None, 12, CPU).score(responses, np.arange(50), pairs, "pls")
    expected = []
    for train, test in pairs:
        scores = PCA(12, svd_solver="full").fit(features[train]).transform(features)
        expected.append(neural_predictivity(scores, responses, splits=[(train, test)]).values)
    np.testing.assert_allclose(found.values, np.concatenate(expected), atol=1e-8)


def test_components_of_other_images_are_scikit_learns():
    others, features = RNG.normal(size=(40, 90)), RNG.normal(size=(50, 90))
    responses = features[:, :8] @ RNG.normal(size=(8, 3))
    where, pairs = RNG.permutation(50), make_splits(50, splits=3)
    for components in (12, 1000):
        found = _Reduced(features, others, components, CPU).score(responses, where, pairs, "ridge")
        pca = PCA(min(components, 39), svd_solver="full").fit(others)
        expected = neural_predictivity(pca.transform(features)[where], responses, "ridge", splits=pairs)
        np.testing.assert_allclose(found.values, expected.values, atol=1e-8)


def test_as_many_components_as_training_stimuli_change_nothing():
    features = RNG.normal(size=(40, 300))
    responses = features[:, :8] @ RNG.normal(size=(8, 3)) + RNG.normal(size=(40, 3))
    pairs = make_splits(40, splits=4)
    for metric in ("pls", "ridge", "neuron_to_neuron"):
        found = _Reduced(features, None, 36, CPU).score(responses, np.arange(40), pairs, metric)
        if metric != "neuron_to_neuron":
            np.testing.assert_allclose(
                found.values, neural_predictivity(features, responses, metric, splits=pairs).values, atol=1e-7
            )
        assert np.isfinite(found.raw)


def test_with_images_of_their_own(tmp_path):
    subject, bundle = made()
    choice = choose_layers(subject, bundle, ["V4"], images=stimuli(80, seed=5), components=30)
    assert choice.regions == {"V4": Site("two")}
    assert choose_layers(subject, bundle, ["V4"], components=30).path != choice.path


def test_groups_are_a_column_of_the_stimuli():
    subject, bundle = made()
    bundle.stimuli.table["movie"] = np.arange(60) // 6
    assert choose_layers(subject, bundle, ["V4"], groups="movie").regions == {"V4": Site("two")}
    with pytest.raises(CornetError, match="no column 'film'"):
        choose_layers(subject, bundle, ["V4"], groups="film")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"regions": ["V5"]}, "no region 'V5'; choose one of IT, V4"),
        ({"regions": []}, "give regions"),
        ({"sites": []}, "has no candidate sites"),
        ({"sites": [Site("four")]}, "no layer 'four'"),
        ({"components": 0}, "components=0"),
        ({"metric": "pca"}, "metric='pca'"),
    ],
)
def test_mistakes(options, match):
    subject, bundle = made()
    with pytest.raises(CornetError, match=match):
        choose_layers(subject, bundle, **options)


def test_responses_that_never_vary_choose_nothing():
    _, bundle = made()
    silent = Bundle("silent", bundle.stimuli, xr.zeros_like(bundle.assembly), "")
    with pytest.raises(CornetError, match="has a score for V4"):
        choose_layers(PixelSubject(size=8), silent, ["V4"])


def test_a_damaged_choice_of_layers_is_made_again(tmp_path):
    path = tmp_path / "choice.json"
    for content in ("", "[" * 5000, "[]", "null", '{"regions": 3}', '{"regions": {"V1": ["a", 1e999]}}'):
        path.write_text(content)
        assert layer_choice._read(path, "bundle", 1) is None
    path.write_text(json.dumps({"regions": {"V1": ["a", 0]}, "candidates": {"layer": ["a"]}}))
    assert layer_choice._read(path, "bundle", 1) is not None
    path.unlink()
    os.mkfifo(path)
    assert layer_choice._read(path, "bundle", 1) is None
