"""A network of another family as a subject: recorded, timed and scored through its table of areas alone."""

import numpy as np
import pytest
import torch

import cornet
from cornet import CornetError, create_model
from cornet.brain import open_subject
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.any_network import subject_of
from cornet.brain.subjects.subject import NoLayer, Site
from cornet.runs.checkpoints import network_of_file
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.models.two_areas import NAME, TwoAreas, registration


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    with registration():
        yield


@pytest.fixture
def net():
    torch.manual_seed(0)
    return create_model(NAME, num_classes=4)


@pytest.fixture
def subject(net):
    return NetworkSubject(net, "two", size=32)


def test_every_site_is_recorded(subject, net):
    assert [str(site) for site in subject.sites()] == [
        *("A[0]", "A[1]", "A[2]", "B[1]", "B[2]"),
        *("decoder.avgpool[1]", "decoder.avgpool[2]", "logits[0]"),
    ]
    assert [str(site) for site in subject.region_sites()] == ["A[0]", "A[1]", "A[2]", "B[1]", "B[2]"]
    shown = stimuli(4, height=32, width=32)
    recording = subject.record(shown, subject.sites())
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (subject.mean, subject.std))
    pixels = torch.stack([torch.as_tensor(image).permute(2, 0, 1) for image in shown.pictures.images])
    with torch.no_grad():
        logits, states = net.eval()((pixels - mean) / std, return_states=True)
    for site in subject.sites():
        if site.layer == "logits":
            expected = logits
        elif site.layer == "decoder.avgpool":
            expected = states["B"][site.step].mean((2, 3))
        else:
            expected = states[site.layer][site.step].flatten(1)
        np.testing.assert_allclose(recording[site], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_time_bins_select_steps_of_its_own_times(subject):
    assert subject.intervals == {
        "A": ((50, 110), (110, 170), (170, 230)),
        "B": (None, (70, 120), (120, 170)),
    }
    assert [subject.site("A", (start, 300)) for start in (0, 70, 90, 200)] == [
        Site("A", step) for step in (0, 0, 1, 2)
    ]
    assert subject.site("IT") == subject.site("B") == Site("B", 1)
    assert subject.site("IT", (110, 120)) == Site("B", 2)
    assert subject.first_interval("IT") == (70, 120)
    assert subject.readout_site() == Site("decoder.avgpool", 2)
    with pytest.raises(NoLayer, match="two has no region 'V1'; choose one of A, IT, B"):
        subject.site("V1")
    assert subject.with_regions({"V1": "A", "IT": "A"}).site("IT") == Site("A", 0)


def test_times_and_onsets_are_options(net):
    longer = NetworkSubject(net, size=32, times=5, onset={"A": 0}, step_length=20)
    assert longer.steps == {"A": 5, "B": 5}
    assert longer.intervals["A"][4] == (80, 100)
    assert longer.identity != NetworkSubject(net, size=32).identity
    timed = subject_of(net, size=32, step_ms=10, onset_ms=60)
    assert isinstance(timed, NetworkSubject)
    assert timed.intervals["B"] == (None, (70, 80), (80, 90))
    with pytest.raises(CornetError, match="onset has the unknown area 'V1'; choose from A, B"):
        NetworkSubject(net, size=32, onset={"V1": 50})


@pytest.fixture
def bundle(tmp_path):
    """60 stimuli, four neuroids of a region A and four of IT."""
    return str(write(tmp_path / "mine", assembly(("A",) * 4 + ("IT",) * 4)))


def test_it_is_scored_without_layers(net, bundle):
    table = cornet.score(net, on=[bundle], size=32, metric="ridge", progress=False)
    assert table[["benchmark", "region", "sites"]].to_numpy().tolist() == [
        ["mine.A", "A", "A[0]"],
        ["mine.IT", "IT", "B[1]"],
    ]
    assert np.isfinite(table["raw"]).all()


def test_a_later_time_bin_is_compared_with_later_steps(net, tmp_path):
    data = assembly(("A",) * 4 + ("IT",) * 4)
    data = data.assign_coords(time_bin_start=("time_bin", [110]), time_bin_end=("time_bin", [210]))
    folder = str(write(tmp_path / "late", data))
    table = cornet.score(net, on=[folder], size=32, metric="ridge", time_bin=(110, 210), progress=False)
    assert table["sites"].tolist() == ["A[1]", "B[2]"]


def test_it_is_opened_by_its_name(bundle):
    text = f"{NAME}?untrained&size=32&num_classes=3&times=4"
    one = open_subject(text)
    assert isinstance(one, NetworkSubject)
    assert isinstance(one.net, TwoAreas)
    assert one.steps == {"A": 4, "B": 4}
    assert open_subject(f"{text}&layers.IT=A").site("IT") == Site("A", 0)
    assert open_subject(f"{text}&steps.B=6").steps == {"A": 4, "B": 6}
    with pytest.raises(CornetError, match=r"two_areas has no published weights.*or use two_areas\?untrained"):
        open_subject(NAME)


def checkpoint(net, path, **more):
    facts = {"model.name": NAME, "model.num_classes": 4, **more}
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "cornet": facts}, path)
    return path


def test_a_checkpoint_of_a_training_names_it(net, tmp_path):
    path = checkpoint(net, tmp_path / "last.ckpt")
    loaded = network_of_file(path, size=32).net
    assert isinstance(loaded, TwoAreas)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(images), net.eval()(images))
    untrained = network_of_file(path, untrained=True, seed=1, size=32).net
    assert not torch.equal(untrained.eval()(images), net(images))
    other = checkpoint(net, tmp_path / "other.ckpt", **{"model.channels": 7})
    with pytest.raises(CornetError, match=r"other\.ckpt does not hold this network's weights: 0 are missing"):
        network_of_file(other, size=32)
