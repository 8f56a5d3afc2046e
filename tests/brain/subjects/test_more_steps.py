"""A trained network run for more steps, or fewer, than it was trained for."""

import numpy as np
import pytest
import torch

from cornet import CornetError, create_model
from cornet.brain import open_subject
from cornet.brain.subjects import NetworkSubject
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.made_up_stimuli import stimuli as shown_stimuli


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


def made(**arguments):
    torch.manual_seed(0)
    net = create_model("cornet_s", width=0.1, num_classes=5)
    return NetworkSubject(net, size=32, degrees=8, **arguments)


def test_later_steps_are_recorded_and_the_first_are_the_same():
    few, more = made(), made(times={"V4": 8, "IT": 1})
    assert [site.step for site in more.sites() if site.layer == "V4"] == list(range(8))
    assert more.intervals["V4"][7] == (440, 490)
    assert more.site("V4", (435, 535)).step == 7
    assert more.identity != few.identity
    stimuli = shown_stimuli(4)
    for step in range(4):
        site = Site("V4", step)
        assert np.array_equal(few.record(stimuli, [site])[site], more.record(stimuli, [site])[site])
    late = Site("V4", 7)
    assert np.isfinite(more.record(stimuli, [late])[late]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cornet_s?untrained&steps=two", "has steps='two', which must be a number"),
        ("cornet_s?untrained&steps.V9=2", "times names V9, but the areas are"),
        (
            "cornet_s?untrained&steps=2&steps.V4=3",
            "gives steps for all areas and for V4; give one or the other",
        ),
        ("cornet_s?untrained&steps.V4=0", "must be a whole number, at least 1"),
        ("pixels?steps=2", "takes no option 'steps'"),
        ("torchvision:resnet18?untrained&steps=2", "takes no option 'steps'"),
    ],
)
def test_what_cannot_be_run(text, said):
    with pytest.raises(CornetError, match=said):
        open_subject(text)


def test_by_its_text():
    subject = open_subject("cornet_s?untrained&width=0.1&steps.V4=6&size=32")
    assert subject.steps == {"V1": 1, "V2": 2, "V4": 6, "IT": 2}
    assert open_subject("cornet_rt?untrained&width=0.1&steps=9&size=32").steps["IT"] == 9
