"""TimeMatrix: the table after a training, equal to a comparison by hand, its picture, and what is wrong."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import cornet
from cornet.brain.benchmarks.over_time import open_over_time
from cornet.brain.subjects import LayerSubject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.report.run.data import read_time_matrix
from cornet.report.run.plots import draw_pictures, read_brain_tables
from cornet.report.run.time_matrix import draw_time_matrix
from tests.helpers.brain.drawn_bundle import write


class Recurrent(pl.LightningModule):
    """A network whose one layer runs three times."""

    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Conv2d(3, 4, 5, 2), nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, images):
        below = state = self.first(images)
        for _ in range(3):
            state = self.act(below + self.again(state))
        return state.mean((2, 3))

    def training_step(self, batch, index):
        return self(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def fit(tmp_path, callbacks, epochs=2):
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=callbacks, accelerator="cpu", default_root_dir=tmp_path, **quiet
    )
    module = Recurrent()
    trainer.fit(module, DataLoader(TensorDataset(torch.randn(8, 3, 32, 32)), 4))
    return module


@pytest.mark.slow
def test_the_matrix_of_a_foreign_network(tmp_path, small_brain):
    score = cornet.BrainScore(["simulated.IT"], layers={"IT": "act"}, size=32, every=0, before=False)
    module = fit(tmp_path, [score, cornet.TimeMatrix("simulated", metric="ridge", before=True)])
    table = read_time_matrix(tmp_path)
    assert sorted(table["epoch"].unique()) == [0, 2]
    last = table[table["epoch"] == 2]
    assert set(last["area"]) == {"act"}
    assert sorted(last["step"].unique()) == [0, 1, 2]
    assert len(last) == 3 * 18
    assert last["simulated"].all()
    timed = open_over_time("simulated")
    subject = LayerSubject(module, size=32)
    sites = [Site("act", step) for step in range(3)]
    by_hand = timed.compare(
        subject.record(timed.stimuli, sites, timed.degrees, cache=False), sites, "ridge"
    ).table()
    np.testing.assert_allclose(last["raw"].to_numpy(float), by_hand["raw"].to_numpy(float), atol=1e-6)
    pictures = {one.name: one.wide for one in draw_pictures(read_brain_tables(tmp_path))}
    assert pictures["time_matrix.png"].startswith(b"\x89PNG")
    undefined = table.assign(raw=np.nan)
    assert draw_time_matrix(undefined).startswith(b"\x89PNG")


@pytest.mark.slow  # renders a simulated brain
def test_what_is_wrong(tmp_path):
    with pytest.raises(CornetError, match="TimeMatrix needs BrainScore among the callbacks"):
        fit(tmp_path, [cornet.TimeMatrix("simulated")])
    bundle = str(write(tmp_path / "mine"))
    score = cornet.BrainScore([bundle], layers={"V4": "act"}, size=32)
    with pytest.raises(CornetError, match="mine has 1 time bin"):
        fit(tmp_path, [score, cornet.TimeMatrix(bundle)])
    fit(tmp_path, [cornet.TimeMatrix()], epochs=1)
    assert not (tmp_path / "time_matrix.csv").exists()
