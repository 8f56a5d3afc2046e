import math
import os
import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from cornet.errors import CornetError
from cornet.runs.journal import Journal
from cornet.runs.metrics import read_metrics
from cornet.training.callbacks.last_checkpoint import LastCheckpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO
from cornet.training.loggers.csv import ContinueMetrics, CsvLogger


def text(folder):
    return (folder / "metrics.csv").read_text()


def test_one_row_a_step_and_columns_as_they_come(tmp_path):
    logger = CsvLogger(tmp_path / "new")
    logger.log_metrics({"z": 0.1, "epoch": 0}, step=0)
    logger.save()
    logger.log_metrics({"z": torch.tensor(0.1), "epoch": 0}, step=1)
    logger.save()
    logger.log_metrics({"a/b, c": np.float32(0.1), "epoch": 0}, step=1)
    logger.save()
    logger.log_metrics({"z": 1 / 3, "step": 7.0}, step=2)
    logger.finalize("success")
    assert text(tmp_path / "new") == (
        'epoch,step,z,"a/b, c"\n0,0,0.1,\n0,1,0.10000000149011612,0.10000000149011612\n,2,0.3333333333333333,\n'
    )


def test_values_come_back_exactly(tmp_path):
    values = [0.1, 1e-300, math.pi, 1e22, 5e-324, float("inf"), float("nan"), 3, -0.0]
    logger = CsvLogger(tmp_path)
    for step, value in enumerate(values):
        logger.log_metrics({"x": value}, step)
    logger.write_table()
    frame = read_metrics(tmp_path)
    assert list(frame.columns) == ["epoch", "step", "x"]
    np.testing.assert_array_equal(frame["x"], values)
    assert list(frame["step"]) == list(range(9))


def test_appends_and_does_not_rewrite(tmp_path):
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"x": 1.0}, 0)
    logger.save()
    journal = tmp_path / "metrics.jsonl"
    file, before = os.stat(journal).st_ino, journal.read_bytes()
    for step in range(1, 5):
        logger.log_metrics({"x": float(step)}, step)
        logger.save()
        logger.log_metrics({"x": 10.0**step, "epoch": 0}, step)  # more at the same step
        logger.save()
        logger.save()
        assert journal.read_bytes().startswith(before)
        before = journal.read_bytes()
    assert os.stat(journal).st_ino == file
    logger.write_table()
    assert list(read_metrics(tmp_path)["x"]) == [1, 10, 100, 1000, 10000]


def test_a_new_session_continues_and_a_half_line_is_dropped(tmp_path):
    first = CsvLogger(tmp_path)
    for step in range(5):
        first.log_metrics({"x": step / 10, "epoch": 0}, step)
    first.save()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "x": 0.')
    second = CsvLogger(tmp_path)
    second.write_table()
    assert len(read_metrics(tmp_path)) == 5
    second.resume_from(2)
    assert list(read_metrics(tmp_path)["step"]) == [0, 1, 2]
    second.log_metrics({"x": 9.0, "y": 1}, 3)
    second.write_table()
    assert text(tmp_path).splitlines() == ["epoch,step,x,y", "0,0,0.0,", "0,1,0.1,", "0,2,0.2,", ",3,9.0,1"]
    third = CsvLogger(tmp_path)
    third.log_metrics({"x": 8.0}, 2)  # without resume_from: still one row a step
    third.write_table()
    assert text(tmp_path).splitlines()[3:] == ["0,2,8.0,", ",3,9.0,1"]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_table_of_an_earlier_version_is_continued(tmp_path, ends):
    lines = [b"epoch,step,x,y", b"0,1,0.1,", b"0,2,0.30000000000000004,nan", b"0,3,0.5,"]
    (tmp_path / "metrics.csv").write_bytes(ends.join([*lines, b"0,4"]))  # and the last row was cut short
    logger = CsvLogger(tmp_path)
    logger.resume_from(2)
    logger.log_metrics({"y": 7}, 3)
    logger.write_table()
    assert text(tmp_path) == "epoch,step,x,y\n0,1,0.1,\n0,2,0.30000000000000004,nan\n,3,,7\n"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["log", "save", "reopen", "resume"]),
        st.integers(0, 6),
        st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False), max_size=2),
    ),
    max_size=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(EVENTS)
def test_the_file_is_what_was_logged(tmp_path, events):
    for name in ("metrics.csv", "metrics.jsonl"):
        (tmp_path / name).unlink(missing_ok=True)
    logger, expected = CsvLogger(tmp_path), {}
    for event, step, values in events:
        if event == "log":
            logger.log_metrics(values, step)
            expected.setdefault(step, {}).update(values)
        elif event == "resume":
            logger.resume_from(step)
            expected = {s: row for s, row in expected.items() if s <= step}
        else:
            logger.save()
            if event == "reopen":
                logger = CsvLogger(tmp_path)
    logger.write_table()
    if expected:
        rows = read_metrics(tmp_path).set_index("step").drop(columns="epoch").to_dict("index")
        assert {s: {k: v for k, v in row.items() if not math.isnan(v)} for s, row in rows.items()} == expected
        assert list(rows) == sorted(expected)


def test_memory_does_not_grow_with_the_rows(tmp_path):
    logger = CsvLogger(tmp_path)
    held = []
    tracemalloc.start()
    try:
        for step in range(4000):
            logger.log_metrics({f"metric {name}": step / 7 for name in range(5)}, step)
            if step % 50 == 49:
                logger.save()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    logger.write_table()
    assert len(read_metrics(tmp_path)) == 4000
    assert held[-1] - held[9] < 50_000  # the rows since would take 5 MB


def test_what_is_no_table(tmp_path):
    with pytest.raises(CornetError, match=r"metrics\.csv is missing or empty"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CornetError, match="no column of whole steps"):
        CsvLogger(tmp_path)
    (tmp_path / "metrics.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CornetError, match="cannot be read"):
        CsvLogger(tmp_path)


class Tiny(pl.LightningModule):
    def __init__(self, stop_at=None):
        super().__init__()
        self.layer, self.stop_at = torch.nn.Linear(4, 2), stop_at

    def step(self, batch, name):
        loss = torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
        self.log(f"{name}/loss", loss, on_step=name == "train", on_epoch=True)
        return loss

    def training_step(self, batch, index):
        if self.stop_at == self.global_step:
            raise KeyboardInterrupt
        return self.step(batch, "train")

    def validation_step(self, batch, index):
        self.step(batch, "val")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_stopped_and_resumed_training_gives_the_same_table(tmp_path):
    def fit(folder, stop_at=None, ckpt_path=None):
        torch.manual_seed(0)
        images = torch.randn(20, 4)
        data = DataLoader(TensorDataset(images, torch.arange(20) % 2), batch_size=4)
        keep = pl.callbacks.ModelCheckpoint(dirpath=folder, save_last=True, enable_version_counter=False)
        trainer = pl.Trainer(
            max_epochs=3, callbacks=[keep, ContinueMetrics()], plugins=[AtomicCheckpointIO()], accelerator="cpu",
            logger=[CsvLogger(folder)], enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=2,
            num_sanity_val_steps=1,
        )  # fmt: skip
        trainer.fit(Tiny(stop_at), data, data, ckpt_path=ckpt_path)

    fit(tmp_path / "whole")
    with pytest.raises(SystemExit):
        fit(tmp_path / "parts", stop_at=9)
    assert max(row["step"] for row in Journal(tmp_path / "parts/metrics.jsonl").read()) >= 7
    fit(tmp_path / "parts", ckpt_path=str(tmp_path / "parts/last.ckpt"))
    whole, parts = read_metrics(tmp_path / "whole"), read_metrics(tmp_path / "parts")
    pd.testing.assert_frame_equal(parts, whole, check_exact=True)
    assert list(whole.columns[:2]) == ["epoch", "step"]
    assert whole["val/loss"].count() == 3
    assert whole["step"].is_unique


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec.*")
def test_rows_are_on_the_disk_before_a_checkpoint_that_follows_them(tmp_path, monkeypatch):
    """A power cut leaves no checkpoint whose rows are missing."""
    table, synced, checkpoints = tmp_path / "metrics.jsonl", {}, []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor):
        fsync(descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            synced[status.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def watched_replace(source, target):
        if str(target).endswith(".ckpt"):
            assert synced[os.stat(source).st_ino] == Path(source).read_bytes()
            rows = table.read_bytes() if table.exists() else b""  # before the first step
            assert not rows or synced[table.stat().st_ino] == rows
            checkpoints.append((os.path.basename(target), rows.count(b"\n")))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    data = DataLoader(TensorDataset(torch.randn(20, 4), torch.arange(20) % 2), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=3, callbacks=[ContinueMetrics(), LastCheckpoint(tmp_path, minutes=1e-6)], accelerator="cpu",
        plugins=[AtomicCheckpointIO()], logger=[CsvLogger(tmp_path)], enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Tiny(), data, data)
    last = [rows for name, rows in checkpoints if name == "last.ckpt"]
    assert len(last) > 12
    assert last == sorted(last)
    assert last[-1] > 15
