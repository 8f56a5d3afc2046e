"""Successive halving: what is kept and what is stopped, in one file, also after kills."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import optuna
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from cornet.errors import CornetError
from cornet.training.sweeps.halving import Halving, Rungs, parse_halving, stopped_early

RATES = (0.1, 0.001, 0.3, 0.01)
"""Made-up learning rates: the first is the best."""


def accuracy(rate: float, epochs: int) -> float:
    """Of a made-up training: the nearer to 0.1 the better, and rising."""
    return (1 - abs(rate - 0.1)) * (1 - 0.5**epochs)


class MadeUp(pl.LightningModule):
    """Learns nothing and reports a made-up accuracy; the rate goes down over all of its epochs."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.rates, self.summary = rate, [], {}
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        return (self.weight * batch[0]).sum()

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("val/top1", accuracy(self.rate, self.current_epoch + 1))

    def on_train_epoch_start(self) -> None:
        self.rates.append(self.optimizers().param_groups[0]["lr"])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate)
        return [optimizer], [torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=4)]


def halving_of(root: Path, token: str, halving: object, monitor: str = "val/top1") -> Halving:
    return Halving(token, monitor, halving, root / "name" / "halving.jsonl")


def trained(root: Path, rate: float, halving: object, token: str | None = None, epochs: int = 4) -> MadeUp:
    module = MadeUp(rate)
    images = DataLoader(TensorDataset(torch.zeros(2, 1)))
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[halving_of(root, token or f"token {rate}", halving)],
    )
    trainer.fit(module, images, images)
    module.summary = stopped_early(trainer.callbacks)
    return module


def journal(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "name" / "halving.jsonl").read_text().splitlines()]


def test_the_best_of_four_rates_is_kept_and_the_others_are_stopped(tmp_path):
    runs = {rate: trained(tmp_path, rate, {"first": 1, "factor": 3}) for rate in RATES}
    assert {rate: len(run.rates) for rate, run in runs.items()} == {0.1: 4, 0.001: 1, 0.3: 1, 0.01: 1}
    summaries = {rate: run.summary for rate, run in runs.items()}
    assert summaries == {0.1: {}, **{rate: {"stopped_early": 1} for rate in RATES[1:]}}
    assert runs[0.1].rates == pytest.approx([0.1, 0.075, 0.05, 0.025])
    rows = journal(tmp_path)
    assert [(row["run"], row["epochs"], row["stop"]) for row in rows] == [
        ("token 0.1", 1, False),
        ("token 0.1", 3, False),
        *((f"token {rate}", 1, True) for rate in RATES[1:]),
    ]
    assert rows[0]["value"] == pytest.approx(accuracy(0.1, 1))
    assert rows[0]["rule"] == ["val/top1", 1, 3]


def test_with_a_factor_of_two_the_better_half_goes_on(tmp_path):
    """The last rate is second of four after one epoch, and second of two after two."""
    runs = [trained(tmp_path, rate, {"first": 1, "factor": 2}) for rate in RATES]
    assert [len(run.rates) for run in runs] == [4, 1, 1, 2]


def test_a_schedule_is_that_of_the_full_length_until_a_run_is_stopped(tmp_path):
    trained(tmp_path, 0.1, {"first": 2, "factor": 2})
    stopped = trained(tmp_path, 0.3, {"first": 2, "factor": 2})
    assert stopped.rates == pytest.approx([0.3, 0.225])
    assert stopped.summary == {"stopped_early": 2}


@pytest.mark.parametrize("off", [False, None, {"first": None, "factor": None}])
def test_it_is_off_by_default(tmp_path, off):
    assert len(trained(tmp_path, 0.1, off).rates) == 4
    assert not (tmp_path / "name" / "halving.jsonl").exists()


def test_the_last_epoch_is_no_rung(tmp_path):
    trained(tmp_path, 0.1, True, epochs=3)
    assert len(trained(tmp_path, 0.09, {"first": 3}, epochs=3).rates) == 3


def test_it_takes_nothing_from_the_random_numbers(tmp_path):
    torch.manual_seed(3)
    trained(tmp_path / "off", 0.1, False)
    expected = torch.get_rng_state()
    torch.manual_seed(3)
    trained(tmp_path / "on", 0.1, True)
    assert torch.equal(expected, torch.get_rng_state())


@pytest.mark.parametrize("rungs", [Rungs(), Rungs(1, 2), Rungs(2, 2), Rungs(1, 4)])
def test_decisions_are_those_of_optuna(tmp_path, rungs):
    """Forty runs of ten epochs, four at a time, some with equal values and some with NaN."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(7)
    values = rng.normal(size=(40, 10)).cumsum(1).round(1)
    values[rng.random(40) < 0.1, rng.integers(10)] = np.nan
    pruner = optuna.pruners.SuccessiveHalvingPruner(rungs.first, rungs.factor)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    expected, decided = {}, {}
    for first in range(0, 40, 4):
        runs = {k: study.ask() for k in range(first, first + 4)}
        for epochs in range(1, 11):
            for k in sorted(runs, key=lambda k: (k * epochs) % 7):
                value = values[k, epochs - 1]
                runs[k].report(value, epochs)
                expected[k, epochs] = runs[k].should_prune()
                if rungs.include(epochs):
                    run = halving_of(tmp_path, f"run {k}", rungs._asdict())
                    decided[k, epochs] = run.is_stopped(value, epochs)
            for k in [k for k in runs if expected[k, epochs]]:
                study.tell(runs.pop(k), state=optuna.trial.TrialState.PRUNED)
    assert {key for key, stop in decided.items() if stop} == {key for key, stop in expected.items() if stop}
    assert 10 < sum(decided.values()) < 40
    assert len(journal(tmp_path)) == len(decided)


def test_a_decision_holds_after_a_kill(tmp_path):
    assert not halving_of(tmp_path, "a", {"factor": 2}).is_stopped(0.9, 1)
    assert halving_of(tmp_path, "b", {"factor": 2}).is_stopped(0.2, 1)
    assert halving_of(tmp_path, "b", {"factor": 2}).is_stopped(0.95, 1), (
        "the epoch was lost, and is trained once more"
    )
    assert not halving_of(tmp_path, "c", {"factor": 2}).is_stopped(0.95, 1), "fresh=true gives another token"
    assert [row["stop"] for row in journal(tmp_path)] == [False, True, False]


def test_other_metrics_and_rungs_are_not_compared(tmp_path):
    assert not halving_of(tmp_path, "a", True).is_stopped(0.9, 1)
    assert not halving_of(tmp_path, "b", True, "val/top5").is_stopped(0.1, 1)
    assert not halving_of(tmp_path, "c", {"factor": 2}).is_stopped(0.1, 1)
    assert halving_of(tmp_path, "d", True).is_stopped(0.1, 1)


def test_stopped_and_killed_before_that_was_recorded(tmp_path):
    for value, token in ((0.9, "a"), (0.1, "b")):
        halving_of(tmp_path, token, True).is_stopped(value, 1)
    callback = halving_of(tmp_path, "b", True)
    trainer = pl.Trainer(accelerator="cpu", logger=False, max_epochs=4)
    trainer.fit_loop.epoch_progress.current.completed = 1
    trainer.fit_loop.epoch_progress.current.processed = 1
    callback.on_train_start(trainer, MadeUp(0.1))
    assert trainer.should_stop
    assert stopped_early([callback]) == {"stopped_early": 1}


def test_nan_is_stopped(tmp_path):
    assert halving_of(tmp_path, "a", True).is_stopped(float("nan"), 1)


def decide(root: Path, number: int) -> None:
    for epochs in (1, 3, 9):
        halving_of(root, f"run {number}", True).is_stopped(number / 10, epochs)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # nothing here holds a lock
def test_runs_at_once_write_into_one_file_and_half_a_line_harms_nothing(tmp_path):
    path = tmp_path / "name" / "halving.jsonl"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=decide, args=(tmp_path, k)) for k in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert sorted((row["run"], row["epochs"]) for row in journal(tmp_path)) == [
        (f"run {k}", epochs) for k in range(3) for epochs in (1, 3, 9)
    ]
    with open(path, "ab") as file:
        file.write(b'{"rule": ["val')  # of a process that was killed
    decide(tmp_path, 5)
    assert len(journal(tmp_path)) == 12
    path.write_text("no journal\n" * 3)
    with pytest.raises(CornetError, match=r"halving\.jsonl cannot be read .*; rename or remove it"):
        decide(tmp_path, 6)


def test_what_the_configuration_may_say():
    assert parse_halving(True) == Rungs(1, 3)
    assert parse_halving({"first": 4, "factor": None}) == Rungs(4, 3)
    assert parse_halving({"factor": 2}) == Rungs(1, 2)
    for bad in ("yes", 3, {"first": 0}, {"factor": 1}, {"first": 1.5}, {"frist": 1}, {"first": True}):
        with pytest.raises(CornetError, match=r"^sweep\.halving") as told:
            parse_halving(bad)
        assert "\n" not in str(told.value)


def test_what_is_not_measured_cannot_be_compared(tmp_path):
    callback = halving_of(tmp_path, "a", True, "brain/IT")
    trainer = pl.Trainer(accelerator="cpu", logger=False)
    callback.on_train_start(trainer, MadeUp(1.0))
    with pytest.raises(CornetError, match="monitor=brain/IT, which is not measured"):
        callback.on_train_epoch_end(trainer, MadeUp(1.0))
