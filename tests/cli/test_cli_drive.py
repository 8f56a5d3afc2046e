"""`cornet drive`: the folder, the page, a stopped command, responses that come back, and what is wrong."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cornet.brain import simulated
from tests.helpers.brain import neuron_bundle
from tests.helpers.brain.small_brain import small_brain

NETWORK = "cornet_z?untrained&width=0.1&num_classes=4"
FEW = ["--size", "32", "--iterations", "3", "--starts", "2"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def brain(monkeypatch):
    monkeypatch.setattr(simulated, "brain", small_brain)
    return small_brain()


@pytest.fixture
def bundle(tmp_path):
    return str(neuron_bundle.write(tmp_path / "mine"))


def test_images_for_a_bundle(cornet, bundle, tmp_path):
    """Images for two neuroids, made once; what a laboratory gets, and what it gives back."""
    out = tmp_path / "out"
    words = ["drive", NETWORK, "--on", bundle, "--neuroid", "driven", "1", *FEW, "--force", "--out", str(out)]
    code, text, err = cornet(*words)
    assert code == 0, err
    assert "No truth is known: show the images to the animal" in " ".join(text.split())
    assert max(map(len, text.splitlines()[:-1])) <= 80
    table = pd.read_csv(out / "images.csv")
    assert list(table["kind"].value_counts()[["synthetic", "natural"]]) == [4, 4]
    assert set(table["neuroid"]) == {"driven", "other"}
    for row in table.itertuples():
        with Image.open(out / row.file) as image:
            assert (image.mode, image.size) == ("L", (row.size, row.size))
    made = [out / name for name in table["file"].unique() if name.startswith("00")]
    assert [path.name for path in made[:2]] == ["000-driven-start0.png", "000-driven-start1.png"]
    natural = table[(table["kind"] == "natural") & (table["neuroid"] == "driven")]
    assert natural["response"].max() == pytest.approx(natural["natural_max"].iloc[0])
    assert natural["response"].iloc[0] >= natural["response"].iloc[1]
    page = (out / "drive.html").read_text()
    assert page.count("<img") == 4
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert str(tmp_path) not in page + (out / "settings.json").read_text()

    before = made[0].read_bytes(), [path.stat().st_mtime_ns for path in made]
    made[0].unlink()
    code, _, err = cornet(*words)
    assert code == 0, err
    assert made[0].read_bytes() == before[0]
    assert [path.stat().st_mtime_ns for path in made[1:]] == before[1][1:]
    code, _, err = cornet(*words, "--seed", "3")
    assert code == 2
    assert "images of other settings (seed=0, not 3)" in err
    assert err.count("\n") == 1

    rng = np.random.default_rng(0)
    rows = [
        (row.file, row.neuroid, k, rng.normal(10 if row.kind == "natural" else 15))
        for row in table.itertuples()
        for k in range(6)
    ]
    recorded = tmp_path / "recorded.csv"
    columns = ["stimulus_id", "neuroid_id", "repetition", "response"]
    pd.DataFrame(rows, columns=columns).to_csv(recorded, index=False)
    code, text, err = cornet("drive", str(out), "--responses", str(recorded))
    assert code == 0, err
    assert "Beyond the best natural image: 100% of the neuroids" in " ".join(text.split())
    code, text, _ = cornet("drive", str(out), "--responses", str(recorded), "--json")
    stretch = [row["stretch_percent"] for row in json.loads(text)]
    assert len(stretch) == 2
    assert all(30 < one < 75 for one in stretch)
    assert "synthesised" in (out / "responses.html").read_text()
    assert len(pd.read_csv(out / "responses.csv")) == 2


@pytest.mark.slow
def test_the_simulated_brain_has_a_truth(cornet, tmp_path, brain):
    out = tmp_path / "out"
    words = ["--neuroid", "0", "1", "2", *FEW, "--force", "--out", str(out), "--mode", "log_one_hot"]
    code, text, err = cornet("drive", NETWORK, "--on", "simulated.V1", *words)
    assert code == 0, err
    assert "True share of the softmax: median" in " ".join(text.split())
    assert "The responses are simulated" in text
    table = pd.read_csv(out / "images.csv")
    made = table[(table["kind"] == "synthetic") & (table["neuroid"] == "simulated-V1-01")].iloc[0]
    pixels = np.asarray(Image.open(out / made["file"]))
    assert made["true_response"] == pytest.approx(0.1 * brain.respond(pixels[None], "V1")[0, 1])
    page = (out / "drive.html").read_text()
    assert "Simulated:" in page
    assert "shuffled responses" in page


@pytest.mark.slow
def test_stretch_in_json_and_a_region_without_truth(cornet, tmp_path, brain):
    words = [*FEW, "--force", "--out"]
    code, text, err = cornet(
        *("drive", NETWORK, "--on", "simulated.V2", "--neuroid", "3", "--natural", "130", "--json"),
        *(*words, str(tmp_path / "a"), "--no-controls"),
    )
    assert code == 0, err
    (row,) = json.loads(text)["neuroids"]
    assert row["over_natural"] == pytest.approx(row["true_response"] / row["natural_true_response"])
    assert row["beyond"] == (row["over_natural"] > 1)
    assert {"beyond_more", "held_out_r", "predicted"} <= set(row)
    code, text, err = cornet(
        *("drive", NETWORK, "--on", "simulated.IT", "--neuroid", "3", *words, str(tmp_path / "b"))
    )
    assert code == 0, err
    assert "IT of the simulated brain responds to rendered objects, not to pixels" in " ".join(text.split())


WRONG = {
    "bundle": (["--on", "nowhere", "--neuroid", "0"], "neither a benchmark nor a folder"),
    "no bundle": (["--neuroid", "0"], "--on is missing"),
    "no neuroid": (["--on", "BUNDLE"], "--neuroid is missing"),
    "neuroid": (["--on", "BUNDLE", "--neuroid", "drivn"], "no neuroid 'drivn'; did you mean driven?"),
    "silent": (["--on", "BUNDLE", "--neuroid", "silent"], "cannot be predicted, since it is silent"),
    "all and one": (["--on", "BUNDLE", "--neuroid", "all", "0"], "names all and others"),
    "mode": (["--on", "BUNDLE", "--neuroid", "0", "--mode", "strech"], "--mode='strech' is unknown"),
    "mapping": (["--on", "BUNDLE", "--neuroid", "0", "--mapping", "pls"], "--mapping='pls' is unknown"),
    "population": (
        ["--on", "BUNDLE", "--neuroid", "0", "--mode", "one_hot"],
        "--mode one_hot drives one neuroid against the others, but there is 1",
    ),
    "layer": (["--on", "BUNDLE", "--neuroid", "0", "--layers", "V5"], "has no area or layer 'V5'"),
    "layers": (["--on", "BUNDLE", "--neuroid", "0", "--layers", "V4", "--layers", "IT"], "names 2 layers"),
    "step": (["--on", "BUNDLE", "--neuroid", "0", "--layers", "V4[7]"], "has 1 steps; choose a step of 0"),
    "early step": (
        ["--on", "BUNDLE", "--neuroid", "0", "--layers", "V4[1]", "MODEL=cornet_rt"],
        "the image has not reached V4",
    ),
    "no network": (["--on", "BUNDLE", "--neuroid", "0", "MODEL=pixels"], "has no network"),
    "untrained": (["--on", "BUNDLE", "--neuroid", "0", "--untrained"], "is untrained already"),
    "natural": (["--on", "BUNDLE", "--neuroid", "0", "--natural", "99"], "--natural needs the true"),
    "starts": (["--on", "BUNDLE", "--neuroid", "0", "--starts", "0"], "--starts=0 must be"),
    "responses": (["--responses", "none.csv"], "give the folder of an earlier cornet drive"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words(cornet, bundle, name, tmp_path):
    words, message = WRONG[name]
    model = next((word[6:] for word in words if word.startswith("MODEL=")), NETWORK)
    model = "cornet_rt?untrained&width=0.1&num_classes=4" if model == "cornet_rt" else model
    words = [bundle if word == "BUNDLE" else word for word in words if not word.startswith("MODEL=")]
    size = [] if model == "pixels" else ["--size", "32"]
    code, text, err = cornet("drive", model, *words, *size, "--out", str(tmp_path / "out"))
    assert (code, text) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_images_of_another_size_than_those_with_a_truth(cornet, tmp_path, brain):
    words = ["drive", NETWORK, "--on", "simulated.V1", "--neuroid", "0", "--out", str(tmp_path / "out")]
    code, _, err = cornet(*words, "--size", "48")
    assert code == 2
    assert "have 48 pixels per side, but simulated.V1 responds to images of 32; add --size 32" in err
    code, _, err = cornet(*words, "--size", "32", "--colour")
    assert code == 2
    assert "--colour does not fit simulated.V1" in err


def test_a_neuroid_that_the_mapping_does_not_predict(cornet, bundle, tmp_path):
    words = ["drive", NETWORK, "--on", bundle, *FEW, "--out", str(tmp_path / "out")]
    code, text, err = cornet(*words, "--neuroid", "noise", "--json")
    if code == 0:  # by chance it is predicted a little
        assert json.loads(text)["neuroids"][0]["held_out_r"] >= 0
        return
    assert code == 2
    assert re.search(r"does not predict the neuroid noise: r of held-out images is -0\.\d\d, below 0", err)
    code, text, err = cornet(*words, "--neuroid", "noise", "--json", "--force")
    assert code == 0, err
    assert json.loads(text)["neuroids"][0]["held_out_r"] < 0
