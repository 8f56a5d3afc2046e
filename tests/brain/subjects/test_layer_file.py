"""`cornet layers`: the file with the choice, what takes it, how stable it is, and large layers in little memory."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import cornet
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.data.bundle import load_bundle
from cornet.brain.subjects import LayerSubject, PixelSubject
from cornet.brain.subjects.layer_choice import choose_layers
from cornet.brain.subjects.layer_file import read_layers, write_layers
from cornet.brain.subjects.record.sketch import sketch_rows
from cornet.brain.subjects.subject import Site
from cornet.cli import app
from cornet.errors import CornetError
from cornet.report.layer_scores import draw_layer_scores
from cornet.runs.scores import read_scores
from tests.helpers.brain.drawn_bundle import write
from tests.helpers.brain.made_up_stimuli import stimuli
from tests.helpers.stimuli.colours import colours

MODEL = "cornet_z?untrained&width=0.05&num_classes=4&size=32"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tmp_path):
    return str(write(tmp_path / "mine"))


def run(*words):
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_command_and_what_takes_its_file(bundle, tmp_path):
    path = tmp_path / "layers.json"
    out = run("layers", MODEL, "--on", bundle, "--metric", "ridge", "--seeds", "3", "--out", str(path))
    assert "best in" in out
    assert "of 3" in out
    content = json.loads(path.read_text())
    chosen = content["regions"]["V4"]
    assert content["model"] == MODEL
    assert (content["bundle"], content["metric"], content["seeds"]) == ("test.assembly", "ridge", 3)
    scores = dict(zip(zip(content["candidates"]["layer"], content["candidates"]["step"], strict=True),
                      content["candidates"]["score"], strict=True))  # fmt: skip
    assert chosen["score"] == max(scores.values()) == scores[chosen["layer"], chosen["step"]]
    assert sum(content["candidates"]["best_in"]) == 3

    site = f"{chosen['layer']}[{chosen['step']}]"
    rows = json.loads(
        run("score", MODEL, "--on", bundle, "--metric", "ridge", "--layers", str(path), "--json")
    )
    assert rows[0]["sites"] == site
    table = cornet.score(MODEL, on=[bundle], layers=str(path), metric="ridge")
    assert table["sites"].iloc[0] == site
    assert table["raw"].iloc[0] == pytest.approx(rows[0]["raw"])
    words = ["--on", bundle, "--metric", "ridge", "--layers", str(path), "--json"]
    (ordinary,) = (
        one for one in json.loads(run("generalise", MODEL, *words))["rows"] if one["kind"] == "ordinary"
    )
    assert ordinary["site"] == site

    words = ["--models", MODEL, "--neuroid", "0", "--layers", str(path), "--out", str(tmp_path), "--json"]
    assert {(one["layer"], one["step"]) for one in json.loads(run("neuron", bundle, *words))} == {
        (chosen["layer"], chosen["step"])
    }
    folder = colours(tmp_path / "colours", ("blue", "green"))
    words = ["--to", str(folder), "--json", "--layer"]
    for name in (str(path), f"{path}:V4"):
        assert json.loads(run("transfer", MODEL, *words, name))[0]["layer"] == site
    with pytest.raises(CornetError, match=r"layers.json has no region 'V5'"):
        run("transfer", MODEL, *words, f"{path}:V5")
    words = [
        MODEL,
        "pixels",
        "--on",
        bundle,
        "--metric",
        "ridge",
        "--size",
        "32",
        "--layers",
        str(path),
        "--json",
    ]
    assert [one["sites"] for one in json.loads(run("score", *words))] == [
        site,
        "pixels[0]",
    ]  # of the one it fits
    twin = cornet.brain.open_subject(f"{MODEL}&seed=7")  # other weights, the same layers
    assert read_layers(path, twin) == {"V4": Site(chosen["layer"], chosen["step"])}


@pytest.mark.slow
def test_named_benchmarks_and_the_plot(tmp_path, small_brain):
    """On the simulated brain, region by region; the picture has all layers and the chosen ones."""
    out, plot = tmp_path / "layers.json", tmp_path / "layers.svg"
    words = ["--metric", "cka", "--region", "V4", "--region", "IT", "--out", str(out), "--plot", str(plot)]
    run("layers", MODEL, "--on", "simulated", *words)
    content = json.loads(out.read_text())
    assert (content["bundle"], list(content["regions"])) == ("simulated", ["V4", "IT"])
    loaded = open_benchmarks(["simulated.IT"])[0]
    choice = choose_layers(
        cornet.brain.open_subject(MODEL), loaded.data, metric="cka", degrees=loaded.degrees, cache=False
    )
    assert content["regions"]["IT"]["score"] == pytest.approx(choice.table["score"].max())
    assert "<svg" in plot.read_text()
    both = [choice, replace(choice, bundle="other", simulated=True)]
    picture = draw_layer_scores(both, tmp_path / "two.png", MODEL)
    with Image.open(picture) as image:
        assert image.width > 1000
    with pytest.raises(CornetError, match=r"simulated has no region 'V3'; choose one of V1"):
        run("layers", MODEL, "--on", "simulated", "--region", "V3")
    with pytest.raises(CornetError, match="simulated-i2n has no responses of neuroids to choose layers on"):
        run("layers", MODEL, "--on", "simulated-i2n")
    with pytest.raises(CornetError, match="groups only apply to folders with a bundle"):
        run("layers", MODEL, "--on", "simulated", "--groups", "movie")
    with pytest.raises(CornetError, match=r"--plot x.pdf must end in .png or .svg"):
        run("layers", MODEL, "--on", "simulated", "--plot", "x.pdf")


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())

    def training_step(self, batch, index):
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def test_scores_during_training_take_it(bundle, tmp_path):
    module = Classifier()
    subject = LayerSubject(module.net, size=32)
    choice = choose_layers(subject, load_bundle(bundle), metric="ridge", seeds=2, cache=False)
    write_layers(choice, subject, "ridge", tmp_path / "layers.json")
    options = {"network": "net", "size": 32, "metric": "ridge"}
    score = cornet.BrainScore([bundle], layers=str(tmp_path / "layers.json"), **options)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[score], accelerator="cpu", default_root_dir=tmp_path, **quiet
    )
    trainer.fit(module, DataLoader(TensorDataset(torch.randn(8, 3, 32, 32)), 4))
    assert set(read_scores(tmp_path)["sites"]) == {str(choice.regions["V4"])}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("no json", "is not a file of layers; write one with cornet layers MODEL --on BUNDLE"),
        ('{"model": "x"}', "is not a file of layers"),
        (
            '{"model": "x", "sites": ["a[0]"], "regions": {"V4": {"layer": "a", "step": 0}}}',
            r"were chosen for x, not for pixels, which has no a\[0\]; choose them for it with cornet layers pixels",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, content, message):
    path = tmp_path / "layers.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CornetError, match=message):
        read_layers(path, PixelSubject(8))


def test_what_is_missing_is_said(bundle):
    with pytest.raises(CornetError, match="--on is missing; name the bundle, as in cornet layers pixels"):
        run("layers", "pixels")
    with pytest.raises(CornetError, match=r"has no (layer )?.?V9"):
        run("layers", "pixels", "--on", bundle, "--candidate", "V9", "--size", "16")


def test_a_sketch_keeps_inner_products():
    """Within the bound of the docstring, the same for every batch."""
    width, count = 1024, 20_000
    features = torch.randn(30, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = sketch_rows(features, width)
    assert sums.shape == (30, width)
    lengths = features.norm(dim=1)
    errors = (sums @ sums.T - features @ features.T) / (lengths[:, None] * lengths)
    assert 0.5 < float(errors.std()) / (2 / width) ** 0.5 < 1.1
    assert float(errors.abs().max()) < 5 * (2 / width) ** 0.5
    torch.testing.assert_close(torch.cat([sketch_rows(part, width) for part in features.split(7)]), sums)
    assert sketch_rows(features[:, :100], width) is not features
    assert torch.equal(sketch_rows(features[:, :100], width), features[:, :100])


class Wide(nn.Module):
    """Layers of 65,536 features each."""

    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 if k == 0 else 16, 16, 3, 1, 1) for k in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x.mean((2, 3))


def peak_of(depth, sketch):
    torch.manual_seed(0)
    subject = LayerSubject(Wide(depth), size=64)
    subject = subject if sketch is None else subject.with_sketch(sketch)
    tracemalloc.start()
    try:
        found = subject.record(stimuli(40), subject.sites(), cache=False)
        return tracemalloc.get_traced_memory()[1], sum(values.nbytes for values in found.features.values())
    finally:
        tracemalloc.stop()


def test_sketched_recordings_do_not_grow_with_the_size_of_layers():
    peak, held = peak_of(6, 256)
    full_peak, full = peak_of(6, None)
    assert full > 6 * 40 * 65_536 * 4 * 0.99
    assert held < full / 100
    assert peak < full_peak / 20


def test_a_sketch_gives_nearly_the_same_choice(bundle):
    torch.manual_seed(0)
    subject = LayerSubject(Wide(3), size=32)
    loaded = load_bundle(bundle)
    tables = [
        choose_layers(subject, loaded, metric="ridge", sketch=sketch, cache=False).table
        for sketch in (None, 2048)
    ]
    assert isinstance(tables[0], pd.DataFrame)
    assert np.abs(tables[0]["score"] - tables[1]["score"]).max() < 0.1
    assert (tables[1]["features"] <= 2048).all()
