"""The wiring that is written during a training: tables, log, page; the training does not change."""

import json

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from cornet import load_run
from cornet.brain.wiring.tables import measure_wiring
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.report.run.page import write_page
from cornet.report.run.plots import draw_pictures, read_brain_tables
from cornet.stimuli.odours import Odours
from cornet.training.callbacks.circuits.wiring import WiringTables
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe

TABLES = ("wiring", "connections", "claws")


def fit(folder, epochs=2, callback=True, **variant):
    """Train a small circuit. Returns it, and the data source."""
    torch.manual_seed(0)
    source = Odours(6, 8, 4, train_odours=256, val_odours=64)
    net = create_model("fly", num_classes=4, receptors=6, copies=2, kc=30, **variant)
    recipe = Recipe(epochs=epochs, batch_size=32, learning_rate=0.01, schedule="constant", algorithm="adam")
    module = Learner(net, recipe, (), (), source.views, source=source)
    callbacks = [WiringTables(folder)] if callback else []
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=callbacks, use_distributed_sampler=False, **quiet
    )
    trainer.fit(module, datamodule=ImageLoaders(source, 32))
    return net, source


def test_the_tables_of_a_training(tmp_path):
    net, source = fit(tmp_path)
    table = pd.read_csv(tmp_path / "wiring.csv")
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["step"].tolist() == [0, 8, 16]
    found = measure_wiring(net.wiring())
    for name in ("glo", "claws", "types", "no_claws", "similarity", "threshold"):
        assert table[name].iloc[-1] == pytest.approx(found[name]), name
    net.eval()
    odours = source.odours.val
    logits, states = net(torch.from_numpy(odours.odours), return_states=True)
    assert table["accuracy"].iloc[-1] == pytest.approx(
        float((logits.argmax(1).numpy() == odours.labels).mean())
    )
    assert table["coding"].iloc[-1] == pytest.approx(float((states["KC"][0] > 0).float().mean()))
    for name in ("connections", "claws"):
        assert sorted(pd.read_csv(tmp_path / f"{name}.csv")["epoch"].unique()) == [0, 2]
    pictures = {one.name: one for one in draw_pictures(read_brain_tables(tmp_path), narrow=True)}
    assert set(pictures) == {f"{name}.png" for name in TABLES}
    assert all(one.wide.startswith(b"\x89PNG") and one.narrow for one in pictures.values())


def test_the_training_does_not_change(tmp_path):
    """With noise in evaluation, too, whose random numbers must not be those of the training."""
    parts = {"noise": 0.1, "dropout": 0.5}
    with_tables, _ = fit(tmp_path, **parts)
    without, _ = fit(tmp_path, callback=False, **parts)
    for one, other in zip(with_tables.state_dict().values(), without.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_network_without_wiring_is_refused():
    net = create_model("cornet_z", num_classes=4, width=0.1)
    module = Learner(
        net, Recipe(epochs=1, batch_size=2, learning_rate=0.1, schedule="constant"), (0.5,) * 3, (0.2,) * 3
    )
    with pytest.raises(
        CornetError, match=r"has no method `wiring`; choose model=fly, or leave out callbacks\.wiring\.$"
    ):
        WiringTables().setup(pl.Trainer(logger=False, accelerator="cpu"), module, "fit")


@pytest.mark.slow
def test_the_experiment_runs(train, tmp_path, monkeypatch):
    """Smaller, through train.py: numbers in the log, the page, the network of the run, and what does not fit."""
    monkeypatch.chdir(tmp_path)
    small = [
        "data.train_odours=4096",
        "data.val_odours=512",
        "data.receptors=8",
        "data.prototypes=8",
        "data.classes=4",
    ]
    small += ["model.kc=100", "trainer=cpu", "recipe.batch_size=64", "recipe.learning_rate=5e-3"]
    code, out, err = train("experiment=olfaction", *small, small=False)
    assert code == 0, err
    (folder,) = tmp_path.glob("runs/olfaction/**/seed0")
    run = load_run(folder)
    table = pd.read_csv(folder / "wiring.csv")
    assert table["glo"].iloc[-1] > 1.5 * table["glo"].iloc[0]
    last = run.metrics["wiring/glo"].dropna().iloc[-1]
    assert last == pytest.approx(table["glo"].iloc[-1], rel=1e-4)
    assert run.metrics["val/top1"].dropna().iloc[-1] == pytest.approx(table["accuracy"].iloc[-1], abs=1e-6)
    page = write_page(folder).read_text()
    assert all(
        text in page
        for text in ("classes of odours", "The wiring of the olfactory circuit", "training odours")
    )
    assert "report.html" in out
    assert "odours, training / validation" in out
    net = run.model("last")
    assert measure_wiring(net.wiring())["glo"] == pytest.approx(table["glo"].iloc[-1], rel=1e-5)
    assert json.loads((folder / "finished.json").read_text())["areas"] == ["ORN", "PN", "KC"]
    assert np.isfinite(net(torch.rand(2, 8)).detach().numpy()).all()
    for words, sentence in (
        (
            ["experiment=olfaction", *small, "model.receptors=9"],
            "odours of shape (8,) do not fit a network with",
        ),
        (["experiment=olfaction", *small, "data.prototypes=9"], "data.prototypes=9 must be a multiple of"),
        (
            ["data=odours", "data.train_odours=64", "data.val_odours=8", "brain=none", "trainer=cpu"],
            "odours gives inputs of shape (50,), but the network takes inputs with 3 dimensions; choose another model",
        ),
        (["model=fly", "brain=none", "trainer=cpu"], "data.receptors"),
    ):
        code, _, err = train(*words, small=False)
        assert code == 2
        assert sentence in err
        assert "Traceback" not in err
