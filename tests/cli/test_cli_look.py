"""`cornet look`: the picture, the page, and what is wrong on the command line."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.report.page import Page

NETWORK = "cornet_rt?untrained&width=0.1&num_classes=4&size=32"


@pytest.mark.parametrize(
    "model",
    [NETWORK, "torchvision:resnet18?untrained&size=64", "cornet_z?untrained&width=0.1&v1=gabor&size=32"],
)
def test_picture_and_page(cornet, tmp_path, model):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a&b<i>.png")
    code, text, err = cornet(
        "look", model, "--image", str(tmp_path / "a&b<i>.png"), "--out", str(tmp_path / "out")
    )
    assert code == 0, err
    assert "a&b<i>.png: class " in text
    with Image.open(tmp_path / "out" / "look.png") as picture:
        assert min(picture.size) > 400
    page = Page(tmp_path / "out" / "look.html")
    assert "a&b<i>.png" in page.text
    assert not page.all("i")  # the name is text
    assert len(page.all("svg")) == 1
    alts = [one["alt"] for one in page.all("img")]
    assert any(alt.startswith("saliency of class ") for alt in alts)
    assert sum(alt.startswith("filter ") for alt in alts) == (64 if "rt" not in model else 6)
    assert "1 of 1 images resized" in page.text
    if model == NETWORK:
        assert page.text.count("before the image") == 3 * (1 + 2 + 3)
        assert "140-170 ms" in page.text


@pytest.mark.slow
def test_several_images(cornet, tmp_path, monkeypatch):
    monkeypatch.setattr("cornet.cli.images.look.MOST", 2)
    code, _, err = cornet("look", NETWORK, "--image", "objects:3", "--out", str(tmp_path))
    assert code == 0, err
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["look-2.png", "look.png"]
    assert "the first 2 of 3 images" in Page(tmp_path / "look.html").text


WRONG = {
    "no image": ([NETWORK], "--image is missing"),
    "missing": ([NETWORK, "--image", "nowhere.png"], "nowhere.png does not exist"),
    "no network": (["pixels", "--image", "objects:1"], "pixels has no network"),
    "class": ([NETWORK, "--image", "objects:1", "--class", "9"], "--class 9 is unknown"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words(cornet, name, tmp_path):
    words, message = WRONG[name]
    code, text, err = cornet("look", *words, "--out", str(tmp_path / "out"))
    assert (code, text) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
