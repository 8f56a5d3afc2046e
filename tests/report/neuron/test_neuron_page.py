"""The page of single neurons: trained beside untrained, neuroids of one reliability or none, and hostile names."""

import re
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from cornet.brain import open_subject
from cornet.brain.neuron.layers import choose_sites
from cornet.brain.neuron.profile import Profile, profile
from cornet.brain.neuron.target import Target, open_target
from cornet.brain.subjects.layers import LayerSubject
from cornet.report.neuron.report import findings, neuron_page, print_profile, write_profile
from tests.helpers.brain import neuron_bundle

BAD = "<script>a()</script><img src=x onerror=a()>"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def target(tmp_path) -> Target:
    return open_target(str(neuron_bundle.write(tmp_path / "mine")))


def found(target: Target, trained: str = "trained") -> Profile:
    """Two untrained networks, the first under the name of a trained one, and pixels."""
    nets = [
        open_subject(f"cornet_z?untrained&width=0.1&num_classes=4&seed={seed}", size=32) for seed in (0, 1)
    ]
    nets[0].name = trained
    subjects = [*nets, open_subject("pixels", size=8)]
    twins = {trained: nets[1].name}
    return profile(target, subjects, choose_sites(subjects, ["V1", "IT"]), penalty="gcv", twins=twins)


def test_trained_beside_untrained(target):
    result = found(target.neuroid("driven"))
    page = neuron_page(result)
    assert page.count("<svg") == 2  # the twins share a drawing
    assert "trained, trained and untrained" in page
    assert "trained V1:" in page
    assert "&<wbr>" not in page
    assert any("its untrained twin" in text for text in findings(result))
    assert result.best is not None
    assert result.best.model == "pixels"  # the neuroid is a sum of a few of them
    assert "Best: pixels, " in findings(result)[0]


def test_all_neuroids(target, tmp_path):
    result = found(target)
    page = write_profile(result, tmp_path / "out").read_text()
    assert "Neurons of mine.V4" in page
    assert "neuroid silent is left out: it is silent (0 to all 60 images)" in page
    assert "best for" in page
    assert "other: " in page  # a point of the distribution


def test_averaged_responses_have_no_ceiling(target):
    result = found(replace(target, reliabilities=None).neuroid("driven"))
    page = neuron_page(result)
    assert "the ceiling is unknown" in page
    assert "explainable" not in page
    one = result.sites[0]
    np.testing.assert_allclose(one.explained, one.r * np.abs(one.r))


def test_an_unreliable_neuroid_is_named(target):
    result = found(target.neuroid("noise"))
    assert "the explained variance is little more than noise" in neuron_page(result)


def test_a_constant_layer_has_no_score(target, capsys):
    dead = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Hardtanh(5, 6), nn.Flatten(), nn.Linear(72, 3))
    nn.init.zeros_(dead[0].weight)
    subject = LayerSubject(dead, name="dead", size=8)
    result = profile(target.neuroid("driven"), [subject], [subject.sites()], penalty="gcv")
    assert all(np.isnan(one.value) for one in result.sites)
    assert result.best is None
    assert "No layer has a score" in neuron_page(result)
    print_profile(result)
    assert "nan" not in capsys.readouterr().out


def test_hostile_names(target):
    ids = target.stimuli.table.assign(stimulus_id=[f"{BAD}{k}" for k in range(60)])
    stimuli = replace(target.stimuli, table=ids)
    names = np.array([BAD, *target.neuroids[1:]])
    hostile = replace(target, stimuli=stimuli, neuroids=names, name=BAD, notes=(BAD,))
    page = neuron_page(found(hostile.neuroid(BAD), BAD))
    assert "a()" in page
    assert not re.search(r"<script|<img src=x", page)
