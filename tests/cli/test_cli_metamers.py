"""`cornet metamers`: pictures, tables and page, a stopped command, and what is wrong on the command line."""

import csv

import numpy as np
import pytest
from PIL import Image

from cornet.synthesis.metameric import blocks
from tests.helpers.report.page import Page

NETWORK = "cornet_z?untrained&width=0.1&num_classes=4&size=32"
SHORT = ("--iterations", "6", "--blocks", "4", "--null", "20")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


def files_of(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".png", ".csv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_pictures_tables_and_page(cornet, tmp_path):
    out = tmp_path / "out"
    other = NETWORK.replace("untrained", "untrained&seed=1")
    code, text, err = cornet(
        *("metamers", NETWORK, "--image", "objects:3", "--area", "input", "V1", "logits"),
        *("--judges", other, "pixel-net", "--out", str(out), *SHORT),
    )
    assert code == 2
    assert "'pixel-net' does not exist" in err
    assert err.count("\n") == 1
    code, text, err = cornet(
        *("metamers", NETWORK, "--image", "objects:3", "--area", "input", "V1", "logits"),
        *("--judges", other, "--out", str(out), *SHORT),
    )
    assert code == 0, err
    assert max(map(len, text.splitlines()[:-1])) <= 80
    files = files_of(out)
    pictures = [name for name in files if name.endswith(".png")]
    assert len(pictures) == 3 * 5
    for name in pictures:
        assert np.asarray(Image.open(out / name)).shape == (32, 32, 3)
    with (out / "metamers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert {row["area"] for row in rows} == {"input", "V1", "logits"}
    for row in rows:
        stage = row["area"]
        saved = np.asarray(Image.open(out / stage / f"{int(row['image'][-6:]):03}.png"), float)
        original = np.asarray(Image.open(out / "original" / f"{int(row['image'][-6:]):03}.png"), float)
        correlation = np.corrcoef(saved.ravel(), original.ravel())[0, 1]
        assert float(row["pixel_r"]) == pytest.approx(correlation, abs=1e-6)
    page = Page(out / "metamers.html")
    assert len(page.all("img")) == 3 * 5
    assert len(page.all("svg")) == 3
    assert "3 null pairs of 3 rendered objects" in page.text  # three images make three pairs, not twenty
    assert "published: people" in page.text
    assert "fewer than 50 numbers" in page.text
    assert "not photographs" in page.text


class Stopped(BaseException):
    pass


@pytest.mark.slow
def test_a_stopped_command_continues_with_the_same_bytes(cornet, tmp_path, monkeypatch):
    words = ("metamers", NETWORK, "--image", "objects:3", "--area", "input", "V1", *SHORT)
    assert cornet(*words, "--out", str(tmp_path / "whole"))[0] == 0
    write, calls = blocks._write, []

    def stop(*state):
        write(*state)
        calls.append(state)
        if len(calls) == 6:  # in the second stage
            raise Stopped

    monkeypatch.setattr(blocks, "_write", stop)
    with pytest.raises(Stopped):
        cornet(*words, "--out", str(tmp_path / "stopped"))
    monkeypatch.setattr(blocks, "_write", write)
    code, text, err = cornet(*words, "--out", str(tmp_path / "stopped"))
    assert code == 0, err
    assert "1 of 2 stages were made before" in text
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_trained_and_untrained(cornet, tmp_path):
    """A network with weights from a file, and its untrained twin; the pairs are other images."""
    import torch

    from cornet.models import create_model, to_published

    torch.manual_seed(5)
    net = create_model("cornet_z", num_classes=4, width=0.1)
    torch.save(to_published(net), tmp_path / "w.pth")
    out = tmp_path / "out"
    code, _, err = cornet(
        *(
            "metamers",
            f"cornet_z?weights={tmp_path / 'w.pth'}&width=0.1&num_classes=4&size=32",
            "--untrained",
        ),
        *("--image", "objects:2", "--area", "V1", "--out", str(out), *SHORT, "--null-from", "objects:12"),
    )
    assert code == 0, err
    with (out / "stages.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["null_images"] for row in rows] == ["12 rendered objects"] * 2
    assert len({row["model"] for row in rows}) == 2
    assert (out / "V1" / "001.png").is_file()
    assert (out / "1-V1" / "001.png").is_file()


WRONG = {
    "no image": ([], "--image is missing"),
    "missing file": (["--image", "nowhere.png"], "nowhere.png does not exist"),
    "unreadable": (["--image", "TEXT"], "the data are not an image"),
    "one image": (["--image", "objects:1"], "at least 2 different images, not 1"),
    "area": (["--image", "objects:2", "--area", "V3"], "has no area or layer 'V3'"),
    "step": (["--image", "objects:2", "--area", "V4", "--step", "7"], "choose a step of 0 to 0"),
    "steps": (["--image", "objects:2", "--steps", "some"], "--steps='some' is unknown"),
    "both": (["--image", "objects:2", "--steps", "all", "--step", "0"], "exclude each other"),
    "null": (["--image", "objects:2", "--null", "0"], "--null=0 must be a whole number"),
    "eta": (["--image", "objects:2", "--eta", "-1"], "--eta=-1.0 must be a number above 0"),
    "batch": (["--image", "objects:2", "--batch", "-3"], "--batch=-3 must be a whole number"),
    "seed": (["--image", "objects:2", "--seed", "-1"], "--seed -1 must be a whole number from 0"),
    "blocks": (["--image", "objects:2", "--blocks", "0"], "--blocks=0 must be a whole number"),
    "published": (["--image", "objects:2", "--published", "--eta", "1"], "--published sets --eta"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words(cornet, name, tmp_path):
    words, message = WRONG[name]
    (tmp_path / "text.png").write_text("no image")
    words = [str(tmp_path / "text.png") if word == "TEXT" else word for word in words]
    code, text, err = cornet("metamers", NETWORK, *words, "--out", str(tmp_path / "out"))
    assert (code, text) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_network(cornet, tmp_path):
    code, _, err = cornet("metamers", "pixels", "--image", "objects:2", "--out", str(tmp_path / "out"))
    assert code == 2
    assert "pixels has no network" in err


def test_a_step_before_the_image_arrives(cornet, tmp_path):
    code, _, err = cornet(
        *("metamers", "cornet_rt?untrained&width=0.1&num_classes=4&size=32", "--image", "objects:2"),
        *("--area", "IT", "--step", "1", "--out", str(tmp_path / "out")),
    )
    assert code == 2
    assert "the image has not reached IT" in err
