import logging
import os
import sys
from importlib.machinery import PathFinder

import pytest
import torch
import wandb as wandb_package
from PIL import Image

from cornet.errors import CornetError
from cornet.runs.metrics import read_metrics
from cornet.training.loggers import uploads as loggers
from cornet.training.loggers import wandb_run as wandb_logger
from cornet.training.loggers.csv import CsvLogger
from cornet.training.loggers.uploads import upload_results
from cornet.training.loggers.wandb_run import definition
from tests.helpers.training.wandb_records import definitions, finished, row, rows

pytestmark = pytest.mark.usefixtures("no_account")


def session(folder, steps, **arguments):
    logger = loggers.wandb(folder, "abcd1234", project="test", name="first", tags=["a"], **arguments)
    for step in steps:
        logger.log_metrics({"val/top1": step / 10, "epoch": step}, step=step)
    logger.finalize("success")
    wandb_package.finish()


@pytest.mark.slow  # starts W&B twice
def test_two_offline_sessions_have_one_id(tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        session(tmp_path / "run", range(3), config={"width": 2})
        session(tmp_path / "run", range(3, 5))
    assert [r.message for r in caplog.records if r.name == "cornet"] == [
        "Weights & Biases: no account is configured, so the run is logged offline; upload it later with "
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
        assert definitions(session_records)["val/top1"].step_metric == "epoch"
    histories = [[row(r.history) for r in each if r.HasField("history")] for each in seen]
    assert [float(row["val/top1"]) for row in histories[0]] == [0.0, 0.1, 0.2]
    assert [float(row["trainer/global_step"]) for row in histories[1]] == [3, 4]
    out, err = capfd.readouterr()
    assert "wandb" not in out + err  # its console noise
    assert "WANDB_MODE" not in os.environ
    assert os.listdir(tmp_path / "run") == ["wandb"]


@pytest.mark.slow  # trains twice
def test_a_sweep_in_one_process_has_a_run_each(tmp_path):
    for name in ("one", "two"):
        logger = loggers.wandb(tmp_path / name, f"id{name}", offline=True)
        logger.log_metrics({"x": 1.0}, step=0)
        assert logger.experiment.id == logger.version == f"id{name}"
        logger.finalize("success")
    assert list((tmp_path / "two/wandb").glob("offline-run-*-idtwo"))


def test_rows_hold_their_axis_and_details_that_come_later_too(tmp_path):
    """Solution times are logged in a row of their own, without the epochs trained."""
    logger = loggers.wandb(tmp_path, "abcd1234", offline=True)
    logger.log_metrics({"brain/my.data-ost": 0.5, "brain/my.data-ost/raw": 0.5, "brain/epoch": 1.5}, step=3)
    logger.log_metrics({"val/top1": 0.5, "epoch": 1}, step=3)
    logger.log_metrics({"brain/my.data-ost/low": 0.25}, step=3)
    wandb_package.finish()
    found = finished(next(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    logged = rows(found)
    assert [float(row["brain/epoch"]) for row in logged if "val/top1" not in row] == [1.5, 1.5]
    assert float(logged[2]["brain/my.data-ost/low"]) == 0.25
    names = [r.metric.name for r in found if r.HasField("metric")]
    assert r"brain/my\.data-ost/low" in names  # unescaped, wandb takes it for my: {data-ost/low: ...}


@pytest.mark.slow  # starts W&B
def test_unreachable_server_means_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(wandb_logger, "START_TIMEOUT", 2)
    logger = loggers.wandb(tmp_path, "abcd1234")
    assert not caplog.records
    logger.log_metrics({"x": 1.0}, step=0)
    (told,) = [r.message for r in caplog.records if r.name == "cornet"]
    assert "could not start" in told
    assert told.endswith(
        f"the run continues offline; upload it later with `wandb sync {tmp_path}/wandb/offline-run-*`"
    )
    assert logger.experiment.settings.mode == "offline"


def test_a_run_that_breaks_does_not_stop_training(tmp_path, caplog):
    logger = loggers.wandb(tmp_path, "abcd1234", offline=True)
    logger.log_metrics({"x": 1.0}, step=0)
    wandb_package.finish()  # the run is over: to log to it is an error
    for step in range(3):
        logger.log_metrics({"x": 1.0}, step=step)
    logger.log_hyperparams({"a": 1})
    assert len([r for r in caplog.records if "continues without it" in r.message]) == 1


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


def test_pictures_and_tables_reach_tensorboard_and_nothing_there_is_no_trouble(tmp_path, caplog):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    metrics, logger = CsvLogger(tmp_path), loggers.tensorboard(tmp_path)
    upload_results(tmp_path, [metrics, logger])  # an empty folder: one line, no error
    (told,) = [r.message for r in caplog.records if r.name == "cornet"]
    assert f"were not uploaded to TensorBoardLogger ({tmp_path}" in told
    metrics.log_metrics({"val/top1": 0.5}, step=7)
    metrics.write_table()
    (tmp_path / "stimuli").mkdir()
    for name in ("curves.png", "stimuli/1-mine.png"):
        Image.new("RGB", (3, 2), "red").save(tmp_path / name)
    (tmp_path / "step_matrix.csv").write_text("area,step,raw\nV1,0,0.5\nIT,1,\n")
    logger.finalize("success")
    upload_results(tmp_path, [metrics, logger])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["images"]) == {"pictures/curves", "pictures/stimuli_1-mine"}
    (image,) = events.Images("pictures/curves")
    assert (image.width, image.height, image.step) == (3, 2, 7)
    (text,) = events.Tensors("step_matrix/text_summary")
    rows = "| area | step | raw |\n| --- | --- | --- |\n| V1 | 0 | 0.5 |\n| IT | 1 |  |"
    assert text.tensor_proto.string_val[0].decode() == rows


def test_a_tag_that_would_be_refused(tmp_path):
    with pytest.raises(CornetError, match="has 65 characters, but Weights & Biases accepts 1 to 64"):
        loggers.wandb(tmp_path, "abcd1234", tags=["x" * 65])


@pytest.mark.parametrize("make", [loggers.tensorboard, lambda folder: loggers.wandb(folder, "abcd1234")])
def test_a_folder_whose_name_is_not_utf8_is_refused(make, tmp_path):
    with pytest.raises(
        CornetError, match=r"that name is not UTF-8; give another root=\.\.\., or logger=csv\."
    ):
        make(tmp_path / "caf\udce9")


def test_how_metrics_are_shown():
    row = {"brain/my.V4", "brain/my.V4/raw", "brain/V4", "brain/my_average_2018", "brain/seconds"}
    shown = {name for name in row if not definition(name, row)["hidden"]}
    assert shown == {"brain/my.V4", "brain/my_average_2018"}
    assert {definition(name, row)["step_metric"] for name in row} == {"brain/epoch"}
    assert definition("val/top1_squash", ()) == {"step_metric": "epoch", "summary": "max,last"}
    assert definition("val/loss", ()) == {"step_metric": "epoch", "summary": "min,last"}
    assert definition("train/loss", ()) == {}


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_without_the_package_one_sentence_says_what_to_install(package, tmp_path, monkeypatch):
    class Without(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.startswith(package) else super().find_spec(name, path, target)

    arguments = {"wandb": ("abcd1234",)}.get(package, ())
    expected = (
        rf"^logger={package} needs the package {package}, .* `pip install 'cornet-ventral\[{package}\]'`"
    )
    with monkeypatch.context() as without:  # ends before the fixture ends wandb
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            without.delitem(sys.modules, name)
        without.setattr(sys, "meta_path", [f for f in sys.meta_path if f is not PathFinder] + [Without])
        with pytest.raises(CornetError, match=expected):
            getattr(loggers, package)(tmp_path, *arguments)


def test_csv(tmp_path):
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"x": 0.5}, step=1)
    logger.finalize("success")
    assert list(read_metrics(tmp_path)["x"]) == [0.5]
