"""Sample stimuli: as the network sees them, spread over their kinds, once a run, and never a reason to stop."""

import json
import logging
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from cornet import create_model
from cornet.brain import load_bundle
from cornet.report.run.page import write_page
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.screen import place_on_screen
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.callbacks.sample_stimuli import SampleStimuli, choose
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.loggers.csv import CsvLogger
from cornet.training.recipe import Recipe
from tests.helpers.brain.drawn_bundle import STIMULI, assembly, write
from tests.helpers.brain.small_bundles import ids


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    return RenderedObjects(train_images=16, val_images=16, size=32, cache=str(folder))


@pytest.fixture
def bundle(tmp_path):
    """60 pictures of three objects that span 4 degrees, shown to V4 and IT."""
    objects = np.repeat(["bear", "car", "face"], STIMULI // 3)
    data = assembly(("V4",) * 4 + ("IT",) * 4)
    return write(tmp_path / "my <b>bundle", data, object_name=objects, degrees=4.0)


class RandomState(pl.Callback):
    """Of torch and numpy, when the training starts."""

    def on_fit_start(self, trainer, pl_module):
        self.state = torch.get_rng_state().numpy().tobytes() + np.random.get_state()[1].tobytes()  # noqa: NPY002


def train(source, folder, bundles):
    """An epoch of two batches; whether the callback left the random state alone."""
    net = create_model("cornet_s", num_classes=8, width=0.125)
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.1, schedule="constant")
    brain = BrainScore([str(one) for one in bundles], folder=folder, before=False)
    before, after = RandomState(), RandomState()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=CsvLogger(folder),
        callbacks=[brain, before, SampleStimuli(folder), after],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(Learner(net, recipe, source.mean, source.std), ImageLoaders(source, 8, workers=0))
    assert trainer.global_step == 2
    return before.state == after.state


@pytest.mark.slow  # trains
def test_a_run_keeps_what_its_network_sees(source, bundle, tmp_path):
    folder = tmp_path / "run"
    assert train(source, folder, [bundle])
    told = json.loads((folder / "stimuli" / "sets.json").read_text())
    assert told["screen"] == {"size": 32, "degrees": 8.0}
    (one,) = told["sets"]  # once for both regions
    assert one["name"] == bundle.name
    assert set(one["benchmarks"]) == {f"{bundle.name}.V4", f"{bundle.name}.IT"}
    assert (one["count"], one["degrees"], one["simulated"]) == (STIMULI, 4.0, False)
    assert (one["column"], one["kinds"]) == ("object_name", 3)
    assert sorted(one["labels"].count(name) for name in ("bear", "car", "face")) == [2, 3, 3]
    assert re.fullmatch("1-[A-Za-z0-9-]+[.]png", one["file"])
    stimuli = load_bundle(bundle).stimuli
    with Image.open(folder / "stimuli" / one["file"]) as sheet:
        for k, (name, label) in enumerate(zip(one["ids"], one["labels"], strict=True)):
            (row,) = stimuli.positions([name])
            assert stimuli.table["object_name"][row] == label
            x, side = k * (one["side"] + one["gap"]), one["side"]
            tile = np.asarray(sheet.crop((x, 0, x + side, side)))
            seen = place_on_screen(stimuli.pictures[int(row)], 4.0, 8.0, 32).permute(1, 2, 0).numpy()
            assert np.array_equal(tile[:: side // 32, :: side // 32], seen)
            assert (tile[0] == 128).all()  # smaller than the screen
    page = write_page(folder).read_text()
    assert page.count('alt="stimulus ') == 8
    assert "60 stimuli that span 4 degrees" in page
    assert "<b>bundle" not in page


def test_a_run_that_goes_on_writes_nothing_again(source, bundle, tmp_path):
    train(source, tmp_path / "run", [bundle])
    files = sorted((tmp_path / "run" / "stimuli").iterdir())
    marks = [(file.stat().st_mtime_ns, file.stat().st_ino) for file in files]
    train(source, tmp_path / "run", [bundle])
    assert [(file.stat().st_mtime_ns, file.stat().st_ino) for file in files] == marks


@pytest.mark.slow
def test_pictures_that_cannot_be_read_stop_nothing(source, bundle, tmp_path, caplog):
    broken = write(tmp_path / "broken", assembly(("V4",) * 8))
    with zipfile.ZipFile(broken / "stimuli.zip", "w") as archive:
        for name in ids(STIMULI):
            archive.writestr(f"{name}.png", b"no picture")
    with caplog.at_level(logging.WARNING, "cornet"):
        train(source, tmp_path / "run", [broken, bundle])
    assert "the report will show no stimuli of broken" in caplog.text
    (one,) = json.loads((tmp_path / "run" / "stimuli" / "sets.json").read_text())["sets"]
    assert one["name"] == bundle.name
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "stimuli").write_text("in the way")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "cornet"):
        train(source, tmp_path / "file", [bundle])
    assert "the report will show no sample stimuli" in caplog.text


def test_without_benchmarks_there_is_nothing(source, tmp_path):
    train(source, tmp_path / "run", [])
    assert not (tmp_path / "run" / "stimuli").exists()


def test_samples_are_spread_over_the_coarsest_kinds():
    table = pd.DataFrame({"stimulus_id": ids(64), "object_name": [f"o{k // 4}" for k in range(64)]})
    rows, column, kinds = choose(table)
    assert (column, kinds, len(rows)) == ("object_name", 16, 8)
    assert table["object_name"].iloc[rows].nunique() == 8
    table["category_name"] = ["left", "right"] * 32
    rows, column, kinds = choose(table)
    assert (column, kinds) == ("category_name", 2)
    assert list(table["category_name"].iloc[rows]) == ["left"] * 4 + ["right"] * 4
    assert max(rows) - min(rows) > 48
    table["texture_type"] = "noise"  # tells nothing apart
    assert choose(table)[1] == "category_name"


def test_without_kinds_samples_lie_at_even_distances():
    assert list(choose(pd.DataFrame({"stimulus_id": ids(80)}))[0]) == list(range(5, 80, 10))
    assert list(choose(pd.DataFrame({"stimulus_id": ids(3)}))[0]) == [0, 1, 2]


@pytest.mark.parametrize("kinds", [2, 3, 5, 7, 8, 9, 60])
def test_no_stimulus_is_shown_twice_and_missing_kinds_are_left_out(kinds):
    names = np.array([f"kind {k % kinds}" for k in range(60)], object)
    names[::7] = np.nan
    rows, column, found = choose(pd.DataFrame({"stimulus_id": ids(60), "movie": names}))
    assert column == "movie"
    assert found == pd.Series(names).nunique()
    assert len(set(rows)) == len(rows) == 8
    assert not pd.isna(names[rows]).any()
