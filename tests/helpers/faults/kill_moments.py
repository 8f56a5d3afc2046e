"""Ends a process by SIGKILL at a moment that is named beforehand, in the midst of the real code.

`die_at` is called in a process of train.py before anything else, with what the variable CORNET_DIES_AT says. The
interpreter itself tells of every file that is opened, renamed or linked (sys.addaudithook), so that nothing of what is
tested need be changed for it.
"""

import json
import os
import re
import signal
import sys
from functools import wraps
from importlib import import_module
from types import FrameType
from typing import Any

VARIABLE = "CORNET_DIES_AT"


def moment(
    event: str, what: str, count: int = 1, then: str | None = None, signum: int = signal.SIGKILL
) -> dict[str, str]:
    """The environment of a process that dies when an event comes for the `count`th time.

    event: open, os.rename, os.link, os.remove, or call. what: a pattern of the file (of its new name); of
    "call" a function or method, `module:name` or `module:Class.name`, which is entered.
    then: a function in C, as write or fsync: the event only begins to wait, and death comes before the next call of it.
    signum: another signal than that of death, which the process sends itself.
    """
    told = {"event": event, "what": what, "count": count, "then": then, "signum": int(signum)}
    return {VARIABLE: json.dumps(told)}


LAST_ASIDE = r"checkpoints/\.last\.ckpt\..*\.tmp$"
LAST, PREVIOUS = r"checkpoints/last\.ckpt$", r"checkpoints/previous\.ckpt$"
EPOCH_METRICS = (
    "pytorch_lightning.trainer.connectors.logger_connector.logger_connector:"
    "_LoggerConnector.update_train_epoch_metrics"
)
MOMENTS = {
    # a checkpoint
    "checkpoint: nothing is written aside": moment("open", LAST_ASIDE, 5, then="write"),
    "checkpoint: all is written aside": moment("open", LAST_ASIDE, 9, then="fsync"),
    "checkpoint: before the old one gets its second name": moment(
        "os.link", r"\.previous\.ckpt\..*\.tmp$", 4
    ),
    "checkpoint: before that takes the place of previous.ckpt": moment("os.rename", PREVIOUS, 4),
    "checkpoint: between previous.ckpt and the new last.ckpt": moment("os.rename", LAST, 7),
    "checkpoint: the very first": moment("os.rename", LAST, 1),
    "checkpoint: before its name is brought to the disk": moment("open", r"/checkpoints$", 12),
    "checkpoint: the best, before the last": moment("os.rename", r"checkpoints/best\.ckpt$", 1),
    "checkpoint: the most brain-like": moment("os.rename", r"checkpoints/best_brain\.ckpt$", 1),
    # brain scores: before training, in mid-epoch, after each epoch
    "scores: first recording": moment(
        "call", "cornet.training.callbacks.brain.shared_subject:SharedSubject.record", 2
    ),
    "scores: recording": moment(
        "call", "cornet.training.callbacks.brain.shared_subject:SharedSubject.record", 4
    ),
    "scores: comparison in mid-epoch": moment(
        "call", "cornet.brain.benchmarks.neural:NeuralBenchmark.compare", 4
    ),
    "scores: comparison after an epoch": moment(
        "call", "cornet.brain.benchmarks.neural:NeuralBenchmark.compare", 6
    ),
    "scores: logged, before scores.csv": moment("call", "cornet.runs.scores:RunScores.add", 3),
    "scores: rows are appended": moment("open", r"/scores\.jsonl$", 6, then="write"),
    "scores: scores.csv written aside": moment("os.rename", r"/scores\.csv$", 3),
    "scores: between scores.csv and the checkpoint": moment("open", r"seed0$", 6),
    # metrics
    "metrics: a row is appended": moment("open", r"/metrics\.jsonl$", 9, then="write"),
    "metrics: a row is appended, its file is still open": moment(
        "open", r"/metrics\.jsonl$", 9, then="close"
    ),
    "metrics: metrics.csv written aside": moment("os.rename", r"/metrics\.csv$", 2),
    # the parts of an epoch
    "epoch: before a step": moment("call", "cornet.training.learner:Learner.training_step", 7),
    "epoch: between gradients and step": moment(
        "call", "cornet.training.learner:Learner.configure_gradient_clipping", 21
    ),
    "epoch: in the validation": moment("call", "cornet.training.learner:Learner.validation_step", 3),
    "epoch: after the validation": moment(
        "call", "cornet.training.callbacks.last_checkpoint:LastCheckpoint.on_train_epoch_end", 2
    ),
    "epoch: its checkpoint is written, its metrics are not": moment("call", EPOCH_METRICS, 2),
    # the start and the end
    "start: the folder is there, and nothing in it": moment("os.rename", r"/identity\.json$", 1),
    "start: no token yet": moment("os.rename", r"/\.run_id$", 1),
    "end: the last checkpoint of all": moment(
        "call", "cornet.training.callbacks.last_checkpoint:LastCheckpoint.on_train_epoch_end", 4
    ),
    "end: the last checkpoint is written, the epoch's metrics are not": moment("call", EPOCH_METRICS, 4),
    "end: the matrix of steps": moment("os.rename", r"/step_matrix\.csv$", 1),
    "end: the summary": moment("call", "cornet.training.run:summarise", 1),
    "end: finished.json": moment("os.rename", r"/finished\.json$", 1),
    "end: previous.ckpt is there yet": moment("os.remove", r"/previous\.ckpt$", 1),
    "end: the curves": moment("open", r"/curves\.png", 1),
    "end: the report": moment("open", r"/report\.html|\.report\.html", 1),
}
"""Of the run of tests/faults/kills/test_kills.py: by name, what `moment` gives."""


def die_at(told: str) -> None:
    """Lay the trap that `moment` describes."""
    keys = ("event", "what", "count", "then", "signum")
    event, what, left, then, signum = (json.loads(told)[key] for key in keys)

    def come() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die(signum) if then is None else sys.setprofile(wait)

    def wait(frame: FrameType, kind: str, function: Any) -> None:
        if kind == "c_call" and function.__name__ == then:
            die(signum)

    def hear(told: str, arguments: tuple[Any, ...]) -> None:
        if told == event:
            path = arguments[1] if event in ("os.rename", "os.link") else arguments[0]
            if isinstance(path, (str, os.PathLike)) and re.search(what, os.fspath(path)):
                come()

    if event == "call":
        wrap(what, come)
    else:
        sys.addaudithook(hear)


def wrap(what: str, come: Any) -> None:
    """Let `come` be called whenever the function is."""
    module, _, name = what.partition(":")
    *owners, last = name.split(".")
    owner = import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function = getattr(owner, last)

    @wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        come()
        return function(*arguments, **options)

    setattr(owner, last, called)


def die(signum: int) -> None:
    os.kill(os.getpid(), signum)
