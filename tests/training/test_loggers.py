import logging
import os
import struct
import sys
import time
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
import torch
import wandb as wandb_package
from wandb.proto import wandb_internal_pb2

from cornet.errors import CornetError
from cornet.training import loggers
from cornet.training.csv_logger import read_metrics


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb_package.teardown()  # it reads the environment when it starts
    yield
    wandb_package.finish()


def records(path: Path):
    """What a .wandb file holds: protobuf records in LevelDB's log format (blocks of 32 KiB; crc, length, kind)."""
    data, position, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def finished(path: Path):
    """All records, once the last is written: that is a moment after `wandb.finish` has returned."""
    for _ in range(200):
        found = [*records(path)]
        if found and found[-1].HasField("exit"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} has no end")


def row(history):
    return {item.key or "/".join(item.nested_key): item.value_json for item in history.item}


def session(folder, steps, **arguments):
    logger = loggers.wandb(folder, "abcd1234", project="test", name="first", tags=["a"], **arguments)
    for step in steps:
        logger.log_metrics({"val/top1": step / 10, "epoch": step}, step=step)
    logger.finalize("success")
    wandb_package.finish()


def test_two_offline_sessions_have_one_id(tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        session(tmp_path / "run", range(3), config={"width": 2})
        session(tmp_path / "run", range(3, 5))
    assert [r.message for r in caplog.records if r.name == "cornet"] == [
        "Weights & Biases: no account is set up here, so the run is kept offline; upload it later with "
        f"`wandb sync {tmp_path}/run/wandb/offline-run-*`"
    ] * 2
    files = sorted((tmp_path / "run/wandb").glob("offline-run-*-abcd1234*/run-abcd1234.wandb"))
    assert len(files) == 2
    seen = [finished(file) for file in files]
    for session_records in seen:
        run = next(r.run for r in session_records if r.WhichOneof("record_type") == "run")
        assert (run.run_id, run.project, run.display_name, list(run.tags)) == (
            "abcd1234",
            "test",
            "first",
            ["a"],
        )
        axes = {
            m.metric.glob_name or m.metric.name: m.metric.step_metric
            for m in session_records
            if m.HasField("metric")
        }
        assert axes["val/*"] == axes["brain/*"] == "epoch"
    histories = [[row(r.history) for r in each if r.HasField("history")] for each in seen]
    assert [float(row["val/top1"]) for row in histories[0]] == [0.0, 0.1, 0.2]
    assert [float(row["trainer/global_step"]) for row in histories[1]] == [3, 4]
    out, err = capfd.readouterr()
    assert "wandb" not in out + err  # its console noise
    assert "WANDB_MODE" not in os.environ
    assert os.listdir(tmp_path / "run") == ["wandb"]


def test_a_sweep_in_one_process_has_a_run_each(tmp_path):
    for name in ("one", "two"):
        logger = loggers.wandb(tmp_path / name, f"id{name}", offline=True)
        logger.log_metrics({"x": 1.0}, step=0)
        assert logger.experiment.id == logger.version == f"id{name}"
        logger.finalize("success")
    assert list((tmp_path / "two/wandb").glob("offline-run-*-idtwo"))


def test_unreachable_server_means_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(loggers, "_START", 2)
    logger = loggers.wandb(tmp_path, "abcd1234")
    assert not caplog.records
    logger.log_metrics({"x": 1.0}, step=0)
    assert any("could not start" in r.message and r.message.endswith("offline") for r in caplog.records)
    assert logger.experiment.settings.mode == "offline"


def test_a_run_that_breaks_does_not_stop_training(tmp_path, caplog):
    logger = loggers.wandb(tmp_path, "abcd1234", offline=True)
    logger.log_metrics({"x": 1.0}, step=0)
    wandb_package.finish()  # the run is over: to log to it is an error
    for step in range(3):
        logger.log_metrics({"x": 1.0}, step=step)
    logger.log_hyperparams({"a": 1})
    assert len([r for r in caplog.records if "goes on without it" in r.message]) == 1


def test_account(monkeypatch, tmp_path):
    assert not loggers._has_account()
    (tmp_path / "netrc").write_text("machine api.wandb.ai\n  login user\n  password nothing\n")
    assert loggers._has_account()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert not loggers._has_account()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert loggers._has_account()


def test_the_mode_of_the_environment_is_respected(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = loggers.wandb(tmp_path / "run", "abcd1234")
    logger.log_metrics({"x": 1.0}, step=0)
    assert not [r for r in caplog.records if r.name == "cornet"]
    assert not list(tmp_path.glob("run/wandb/*run-*"))


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in (range(3), range(3, 5)):
        logger = loggers.tensorboard(tmp_path)
        for step in steps:
            logger.log_metrics({"val/top1": torch.tensor(step / 10)}, step=step)
        logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("val/top1")] == [0, 1, 2, 3, 4]


def test_tensorboard_missing(tmp_path, monkeypatch):
    class Without(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.startswith("tensorboard") else super().find_spec(name, path, target)

    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if f is not PathFinder] + [Without])
    with pytest.raises(CornetError, match=r"needs the package tensorboard.*pip install tensorboard"):
        loggers.tensorboard(tmp_path)


def test_csv(tmp_path):
    logger = loggers.csv(tmp_path)
    logger.log_metrics({"x": 0.5}, step=1)
    logger.save()
    assert list(read_metrics(tmp_path)["x"]) == [0.5]
