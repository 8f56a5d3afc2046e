"""Successive halving: what is kept and what is stopped, in one file, also after kills."""

import multiprocessing
from pathlib import Path

import optuna
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from cornet.errors import CornetError
from cornet.training.sweeps.halving import (
    Halving,
    Rungs,
    check_halving,
    is_hopeless,
    open_trial,
    stopped_after,
    stopped_early,
)

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


def run_of(root: Path, rate: float) -> Path:
    folder = root / "name" / f"rate-{rate}" / "seed0"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
        callbacks=[Halving(run_of(root, rate), token or f"token {rate}", "val/top1", halving)],
    )
    trainer.fit(module, images, images)
    module.summary = stopped_early(trainer.callbacks)
    return module


def study(root: Path) -> list:
    path = str(root / "name" / "halving.log")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def test_the_best_of_four_rates_is_kept_and_the_others_are_stopped(tmp_path):
    runs = {rate: trained(tmp_path, rate, {"first": 1, "factor": 3}) for rate in RATES}
    assert {rate: len(run.rates) for rate, run in runs.items()} == {0.1: 4, 0.001: 1, 0.3: 1, 0.01: 1}
    summaries = {rate: run.summary for rate, run in runs.items()}
    assert summaries == {0.1: {}, **{rate: {"stopped_early": 1} for rate in RATES[1:]}}
    assert runs[0.1].rates == pytest.approx([0.1, 0.075, 0.05, 0.025])
    assert [trial.state.name for trial in study(tmp_path)] == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    assert [trial.user_attrs["folder"] for trial in study(tmp_path)] == [
        str(run_of(tmp_path, r)) for r in RATES
    ]
    assert list(study(tmp_path)[0].intermediate_values) == [1, 2, 3, 4]


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
    assert not (tmp_path / "name" / "halving.log").exists()


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


def trial_of(root: Path, rate: float, token: str, rungs: Rungs | None = None):
    return open_trial(run_of(root, rate), token, "val/top1", rungs or Rungs())


def test_a_run_is_found_again_and_a_decision_holds(tmp_path):
    """Killed at any moment between the value and the end, and started again."""
    rungs = Rungs(1, 2)
    assert not is_hopeless(trial_of(tmp_path, 0.1, "a", rungs), 0.9, 1, 4)
    for _ in range(2):  # killed after the value was recorded, and again
        other = trial_of(tmp_path, 0.3, "b", rungs)
        if not other.study.get_trials()[1].intermediate_values:
            other.report(0.2, 1)
    assert len(study(tmp_path)) == 2
    assert is_hopeless(other, 0.2, 1, 4)
    again = trial_of(tmp_path, 0.3, "b", rungs)
    assert is_hopeless(again, 0.95, 1, 4), "the epoch was lost, and is trained once more"
    assert [trial.state.name for trial in study(tmp_path)] == ["RUNNING", "PRUNED"]
    anew = trial_of(tmp_path, 0.3, "c", rungs)  # fresh=true
    assert (anew.number, stopped_after(anew)) == (2, None)


def test_stopped_and_killed_before_that_was_recorded(tmp_path):
    for value, token in ((0.9, "a"), (0.1, "b")):
        is_hopeless(trial_of(tmp_path, 0.1, token), value, 1, 4)
    callback = Halving(run_of(tmp_path, 0.1), "b", "val/top1", True)
    trainer = pl.Trainer(accelerator="cpu", logger=False, max_epochs=4)
    trainer.fit_loop.epoch_progress.current.completed = 1
    trainer.fit_loop.epoch_progress.current.processed = 1
    callback.on_train_start(trainer, MadeUp(0.1))
    assert trainer.should_stop
    callback.on_train_end(trainer, MadeUp(0.1))
    assert stopped_early([callback]) == {"stopped_early": 1}


def test_nan_is_hopeless(tmp_path):
    assert is_hopeless(trial_of(tmp_path, 0.1, "a"), float("nan"), 1, 4)


def reporting(folder: Path, number: int) -> None:
    trial = open_trial(folder, f"run {number}", "val/top1", Rungs(1, 2))
    for epochs in (1, 2, 3):
        trial.report(number / 10 + epochs / 100, epochs)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # nothing here holds a lock
def test_runs_at_once_write_into_one_file_and_half_a_line_harms_nothing(tmp_path):
    path = tmp_path / "name" / "halving.log"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=reporting, args=(run_of(tmp_path, k), k)) for k in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    whole = len(study(tmp_path))
    assert whole == 2
    with open(path, "ab") as file:
        file.write(b'{"op_code":')  # of a process that was killed
    reporting(run_of(tmp_path, 5), 5)
    assert [len(trial.intermediate_values) for trial in study(tmp_path)] == [3] * 3
    path.write_text("no journal\n" * 3)
    with pytest.raises(CornetError, match=r"halving\.log, which holds .* cannot be read"):
        trial_of(tmp_path, 6, "x")


def test_what_the_configuration_may_say():
    assert check_halving(True) == Rungs(1, 3)
    assert check_halving({"first": 4, "factor": None}) == Rungs(4, 3)
    assert check_halving({"factor": 2}) == Rungs(1, 2)
    for bad in ("yes", 3, {"first": 0}, {"factor": 1}, {"first": 1.5}, {"frist": 1}, {"first": True}):
        with pytest.raises(CornetError, match=r"^sweep\.halving") as told:
            check_halving(bad)
        assert "\n" not in str(told.value)


def test_without_optuna_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("cornet.training.overrides.find_spec", lambda name: None)
    assert check_halving(False) is None
    with pytest.raises(CornetError, match=r"^sweep\.halving needs the package optuna.*--extra sweep"):
        check_halving(True)


def test_what_is_not_measured_cannot_be_compared(tmp_path):
    callback = Halving(run_of(tmp_path, 1.0), "a", "brain/IT", True)
    trainer = pl.Trainer(accelerator="cpu", logger=False)
    callback.on_train_start(trainer, MadeUp(1.0))
    with pytest.raises(CornetError, match="monitor=brain/IT, which is not measured"):
        callback.on_train_epoch_end(trainer, MadeUp(1.0))
