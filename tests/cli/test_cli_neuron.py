"""`cornet neuron`: the page, the table, and what is wrong on the command line."""

import csv
import json
import re

import pytest

from tests.helpers.brain import neuron_bundle

NETWORK = "cornet_z?untrained&width=0.1&num_classes=4"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def bundle(tmp_path):
    return str(neuron_bundle.write(tmp_path / "mine", family=[f"f{k // 3}" for k in range(60)]))


def rows_of(folder):
    with (folder / "neuron.csv").open() as file:
        return list(csv.DictReader(file))


def test_one_neuroid(cornet, bundle, tmp_path):
    out = tmp_path / "out"
    code, text, err = cornet(
        *("neuron", bundle, "--neuroid", "driven", "--models", "pixels", NETWORK, "--size", "32"),
        *("--groups", "family", "--out", str(out)),
    )
    assert code == 0, err
    assert max(map(len, text.splitlines()[:-1])) <= 80
    assert "10 folds, no family divided" in " ".join(text.split())
    rows = rows_of(out)
    assert [row["layer"] for row in rows] == ["pixels", "V1", "V2", "V4", "IT", "decoder.avgpool", "logits"]
    assert float(rows[0]["low"]) < float(rows[0]["nEV"]) < float(rows[0]["high"])
    assert float(rows[0]["nEV"]) > 0.5
    page = (out / "neuron.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("<img") == 12
    assert "s07: measured" in page  # on hover
    assert "shuffled" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "amp;amp" not in page


def test_all_neuroids_trained_and_untrained(cornet, bundle, tmp_path):
    weights = NETWORK.replace("untrained&", "")
    code, text, err = cornet(
        *("neuron", bundle, "--neuroid", "all", "--models", NETWORK, "pixels", "--layers", "V4", "IT"),
        *("--size", "32", "--out", str(tmp_path), "--untrained", "--json", "--penalty", "gcv"),
    )
    assert code == 0, err
    rows = json.loads(text)
    assert {row["neuroid"] for row in rows} == {"driven", "other", "noise", "silent", "constant", "median"}
    assert {row["layer"] for row in rows} == {"V4", "IT", "pixels"}
    assert [row["nEV"] for row in rows if row["neuroid"] == "silent"] == [None] * 3
    page = (tmp_path / "neuron.html").read_text()
    assert "All neuroids" in page
    assert weights not in page  # has no untrained twin, as it is untrained


WRONG = {
    "bundle": (["nowhere", "--neuroid", "0"], "neither a benchmark nor a folder"),
    "neuroid": (["BUNDLE", "--neuroid", "drivn"], "has no neuroid 'drivn'; did you mean driven?"),
    "silent": (
        ["BUNDLE", "--neuroid", "silent"],
        "cannot be predicted, since it is silent (0 to all 60 images)",
    ),
    "position": (["BUNDLE", "--neuroid", "4"], "its response is constant (3 to all 60 images)"),
    "no neuroid": (["BUNDLE"], "--neuroid is missing"),
    "method": (["BUNDLE", "--neuroid", "0", "--method", "svm"], "--method='svm' is unknown"),
    "penalty": (["BUNDLE", "--neuroid", "0", "--penalty", "big"], "choose one of folds, gcv"),
    "groups": (["BUNDLE", "--neuroid", "0", "--groups", "famly"], "no column 'famly'"),
    "folds": (["BUNDLE", "--neuroid", "0", "--folds", "31"], "60 stimuli are too few for 31 folds"),
    "few folds": (["BUNDLE", "--neuroid", "0", "--folds", "1"], "folds=1 must be at least 2"),
    "layer": (
        ["BUNDLE", "--neuroid", "0", "--models", NETWORK, "--layers", "logit"],
        "has no layer 'logit'; did you mean logits",
    ),
    "model": (
        ["BUNDLE", "--neuroid", "0", "--models", "cornet_y"],
        "'cornet_y' does not exist; did you mean",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words(cornet, bundle, name, tmp_path):
    words, message = WRONG[name]
    words = [bundle if word == "BUNDLE" else word for word in words]
    models = [] if "--models" in words else ["--models", "pixels"]
    code, text, err = cornet("neuron", *words, *models, "--out", str(tmp_path / "out"))
    assert (code, text) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_stimulus_and_missing_models(cornet, bundle, tmp_path):
    alone = str(neuron_bundle.write(tmp_path / "alone", stimuli=1))
    code, _, err = cornet("neuron", alone, "--neuroid", "0", "--models", "pixels")
    assert code == 2
    assert "1 stimulus is too few for 10 folds" in err
    assert err.count("\n") == 1
    code, _, err = cornet("neuron", bundle, "--neuroid", "0")
    assert code == 2
    assert "--models is missing" in err
