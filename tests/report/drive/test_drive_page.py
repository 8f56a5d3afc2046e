"""The pages of driven neurons: hostile names, colour, maps of positions, and responses that came back."""

from dataclasses import replace

import numpy as np
import pytest

from cornet.brain import open_subject
from cornet.brain.neuron.target import open_target
from cornet.report.drive.report import drive_page, findings, print_study, study_rows
from cornet.report.drive.returned import returned_page, returned_rows
from cornet.synthesis.driven import factorised_fit
from cornet.synthesis.driven.choice import site_of
from cornet.synthesis.driven.control import Settings
from cornet.synthesis.driven.outcome import Outcome
from cornet.synthesis.driven.returned import Trials, evaluate
from cornet.synthesis.driven.study import read_out, run_study
from tests.helpers.brain import neuron_bundle

BAD = "<script>a()</script><img src=x onerror=a()>"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(factorised_fit, "STEPS", 5)
    target = open_target(str(neuron_bundle.write(tmp_path / "mine")))
    subject = open_subject("cornet_z?untrained&width=0.1&num_classes=4", size=32)
    columns = np.arange(2)
    own = read_out(subject, site_of(subject, target, ["V1"]), target, columns, "factorised")
    return run_study(own, target, columns, Settings(starts=1, steps=2), 32, 8.0, True, "no truth is known: x")


def test_hostile_names_and_maps_of_positions(study, capsys):
    names = study.target.neuroids.astype(object)
    names[0] = BAD
    hostile = replace(study, target=replace(study.target, neuroids=names.astype(str)), notes=(BAD,))
    page = drive_page(hostile)
    assert "<script" not in page
    assert "onerror=a()>" not in page.replace("&gt;", "")
    assert page.count("<img") == 6  # natural, synthesised, positions
    assert "receptive field" in page
    print_study(hostile)
    assert "No truth is known" in capsys.readouterr().out


def test_the_prediction_is_never_the_result(study):
    texts = findings(study)
    assert texts[-1].startswith("Predictions overshoot")
    own = Outcome("synthesised images", np.array([3.0, 1.0]), np.array([2.0, 2.0]))
    known = replace(study, truth=_Truth(2), outcomes=(own,))
    texts = findings(known)
    assert texts[0].startswith(
        "True response over the best of 2 natural images: median 1.00; beyond it for 50%"
    )
    rows = study_rows(known)
    assert [row["beyond"] for row in rows] == [True, False]
    assert "beyond best of 2" in drive_page(known)


class _Truth:
    """As much of a truth as the page reads."""

    def __init__(self, count):
        self.shown, self.more = np.zeros((count, 2)), np.zeros((0, 2))


def test_responses_that_came_back():
    values = np.ones((4, 4, 1)) * np.array([3.0, 4.0, 2.0, -1.0])[None, :, None]
    trials = Trials(
        np.array(list("abcd")), np.array([BAD]), values, [np.arange(2)], [np.arange(2, 4)], notes=(BAD,)
    )
    found = evaluate(trials, halves=2)
    page = returned_page(found)
    assert "<script" not in page
    assert page.count("<svg") == 1
    assert "100.00" in page  # 4 over 2
    none = evaluate(replace(trials, natural=[np.array([3])]), halves=2)
    assert returned_rows(none)[0]["stretch_percent"] is None
    assert "median - %" in returned_page(none)
