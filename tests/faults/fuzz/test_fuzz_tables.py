"""Malformed tables and records in a run's folder: a run that goes on, and a report, read them or refuse them well."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from cornet.report.run.closing import print_run_summary
from cornet.report.run.data import read_metrics as read_report_metrics
from cornet.report.run.page import find_run_folder, write_page
from cornet.report.run.plots import read_brain_tables
from cornet.report.run.sections import banner, evaluations, missing_scores, notes, summary_table, times_table
from cornet.runs.folder import RunFolder
from cornet.runs.metrics import read_metrics
from cornet.runs.score_tables import read_scores
from cornet.runs.scores import RunScores
from cornet.training.loggers.csv import CsvLogger
from tests.helpers.faults.malformed import EFFORT, clear, fuzz, odd_json, odd_table
from tests.helpers.faults.watched import Watched
from tests.helpers.report import made_up_runs as brain_runs

FINISHED = {
    "network": "cornet_s",
    "parameters": 1000,
    "steps": [1, 2, 4, 2],
    "data": "objects",
    "classes": 8,
    "train_images": 256,
    "val_images": 32,
    "epochs": 6,
    "monitor": "val/top1",
    "best": 0.5,
    "best_epoch": 3,
    "brain_monitor": "brain/mean",
    "brain_best": 0.4,
    "brain_best_epoch": 2,
    "last": {"val/top1": 0.5, "val/loss": 1.5},
    "chance": 0.125,
    "images_per_second": 100.0,
    "bad_files": False,
}
VERSIONS = {"python": "3.11.0", "torch": "2.15", "gpus": ["a", "b"], "continued_with": [{"torch": "2.16"}]}
SETS = {
    "screen": {"size": 64, "degrees": 8.0},
    "sets": [
        {
            "name": "a",
            "count": 8,
            "degrees": 8.0,
            "simulated": True,
            "benchmarks": ["b"],
            "column": "c",
            "kinds": 2,
            "ids": ["i"],
            "labels": ["l"],
            "file": "a.png",
            "side": 4,
            "gap": 1,
        }
    ],
}
CONFIG = {"seed": 0, "name": "a", "model": {"name": "cornet_s", "times": {"V2": 2}}, "data": {"size": 32}}


@pytest.fixture(scope="module")
def watched():
    found = Watched()
    yield found
    found.stop()


def tables() -> dict[str, str]:
    """A sound run's tables, small."""
    two = brain_runs.BENCHMARKS[:2]
    return {
        "scores.csv": brain_runs.scores(epochs=(0, 1, 2), benchmarks=two).to_csv(index=False),
        "step_matrix.csv": brain_runs.matrix(epochs=(2,)).to_csv(index=False),
        "solution_times.csv": brain_runs.times(images=12).to_csv(index=False),
        "metrics.csv": brain_runs.metrics(epochs=2, per_epoch=4).to_csv(index=False),
        "bad_files.csv": "split,path\ntrain,a/b.jpg\n",
    }


def rows_of(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


def go_on_with_scores(folder: Path) -> None:
    scores = RunScores(folder)
    scores.resume_from(4)
    scores.add([{"epoch": 3.0, "step": 300, "benchmark": "simulated.V1", "weights": "raw", "value": 0.5}])
    read_scores(folder)
    RunScores(folder)


def go_on_with_metrics(folder: Path) -> None:
    read_metrics(folder)
    logger = CsvLogger(folder)
    logger.resume_from(5)
    logger.log_metrics({"epoch": 1, "train/loss": 0.5}, 6)
    logger.save()
    logger.log_metrics({"new": 0.5}, 7)
    logger.write_table()
    read_metrics(folder)


def read_for_the_report(folder: Path) -> None:
    """All that the page tells in words and tables, without its pictures."""
    found, metrics = read_brain_tables(folder), read_report_metrics(folder)
    banner(found)
    if found.scores is not None:
        for make in (missing_scores, notes, summary_table):
            make(found.scores)
        evaluations(found.scores, metrics)
    times_table(found.times, metrics)


def report(folder: Path) -> None:
    write_page(find_run_folder(folder))


def tell_again(folder: Path) -> None:
    """A run that had been finished before."""
    summary = RunFolder(folder).finished
    if summary is not None:
        print_run_summary(folder, summary, already_finished=True)


def continue_run(folder: Path) -> None:
    content = {key: value for key, value in CONFIG.items() if key not in ("seed", "name")}
    found = RunFolder.open(folder, CONFIG, content)
    assert found.run_id.strip()
    found.finished  # noqa: B018 -- it reads
    found.last_checkpoint()


@EFFORT
def test_scores_of_a_run_that_goes_on(watched, tmp_path, effort):
    def write(content: bytes, folder: Path) -> None:
        (folder / "scores.csv").write_bytes(content)

    cases = odd_table(rows_of(tables()["scores.csv"]))
    fuzz(effort, 6, cases, watched, go_on_with_scores, tmp_path / "mine", write)


@EFFORT
def test_metrics_of_a_run_that_goes_on(watched, tmp_path, effort):
    def write(content: bytes, folder: Path) -> None:
        (folder / "metrics.csv").write_bytes(content)

    cases = odd_table(rows_of(tables()["metrics.csv"]))
    fuzz(effort, 8, cases, watched, go_on_with_metrics, tmp_path / "mine", write)


ROWS = {
    "metrics": {"step": 4, "epoch": 0, "train/loss": 0.5, "train/learning_rate": 0.1},
    "scores": {
        "epoch": 1.0,
        "step": 4,
        "benchmark": "simulated.V1",
        "weights": "raw",
        "value": 0.5,
        "notes": "",
    },
}


@EFFORT
@pytest.mark.parametrize(("kind", "go_on"), [("metrics", go_on_with_metrics), ("scores", go_on_with_scores)])
def test_journals_of_a_run_that_goes_on(watched, tmp_path, effort, kind, go_on):
    def write(content: bytes, folder: Path) -> None:
        (folder / f"{kind}.jsonl").write_bytes(content)

    lines = st.lists(st.just(json.dumps(ROWS[kind]).encode()) | odd_json(ROWS[kind]), max_size=4)
    fuzz(
        effort,
        4,
        lines.map(lambda parts: b"".join(part + b"\n" for part in parts)),
        watched,
        go_on,
        tmp_path / "mine",
        write,
    )


@st.composite
def odd_run(draw: Any) -> dict[str, bytes]:
    """A run's files of which one or two are odd."""
    files = {name: text.encode() for name, text in tables().items()}
    files |= {"finished.json": json.dumps(FINISHED).encode(), "versions.json": json.dumps(VERSIONS).encode()}
    files |= {"stimuli/sets.json": json.dumps(SETS).encode(), "config.yaml": b"a: 1\n"}
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(files)))
        if name.endswith(".csv"):
            files[name] = draw(odd_table(rows_of(tables()[name])))
        elif name.endswith(".json"):
            files[name] = draw(
                odd_json({"finished": FINISHED, "versions": VERSIONS, "stimuli/sets": SETS}[name[:-5]])
            )
        else:
            files[name] = draw(st.sampled_from((b"\xff", b"<script>", b"a: *b", b"")))
    return files


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    (folder / "stimuli").mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


@EFFORT
def test_tables_of_a_report(watched, tmp_path, effort):
    fuzz(effort, 6, odd_run(), watched, read_for_the_report, tmp_path / "mine", lay_out)


@EFFORT
@pytest.mark.slow  # draws pages
def test_reports(watched, tmp_path, effort):
    fuzz(effort, 1, odd_run(), watched, report, tmp_path / "mine", lay_out)


@EFFORT
def test_runs_that_were_finished_before(watched, tmp_path, effort):
    def write(content: bytes, folder: Path) -> None:
        (folder / "metrics.csv").write_text(tables()["metrics.csv"])
        (folder / "finished.json").write_bytes(content)

    fuzz(effort, 2, odd_json(FINISHED), watched, tell_again, tmp_path / "mine", write)


@EFFORT
@pytest.mark.parametrize("name", ["identity.json", "versions.json", "finished.json", "run_id", ".lock"])
def test_records_of_a_run_that_goes_on(watched, tmp_path, name, effort):
    kept = tmp_path / "kept"
    clear(kept)
    continue_run(kept)
    (kept / "finished.json").write_text(json.dumps(FINISHED))
    (kept / ".lock").write_text(json.dumps({"host": "a", "pid": 1, "since": "2026"}))
    files = {path.name: path.read_bytes() for path in kept.iterdir()}
    try:
        whole = json.loads(files[name])
    except ValueError:
        whole = files[name].decode()

    def write(content: bytes, folder: Path) -> None:
        for known, data in files.items():
            (folder / known).write_bytes(content if known == name else data)

    fuzz(effort, 3, odd_json(whole), watched, continue_run, tmp_path / "mine", write)
