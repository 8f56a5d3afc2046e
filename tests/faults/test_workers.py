"""A loading process that is killed, as by the system when memory is short."""

import os
import signal

import pytest

from cornet.errors import CornetError
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.prepare.work import pool, run_parallel
from cornet.training.loaders import ImageLoaders, lost_worker
from tests.helpers.faults.killed_runs import has_begun
from tests.helpers.faults.run_results import alike, children, finished, refused
from tests.helpers.faults.starter import until
from tests.helpers.training.small_runs import SMALL

OURS = [*SMALL, "data.train_images=256", "recipe.epochs=3", "trainer.log_every_n_steps=1"]


@pytest.mark.parametrize("workers", [pytest.param(workers, marks=pytest.mark.slow) for workers in (1, 2)])
def test_a_killed_worker_is_told_of_and_the_same_command_goes_on(starter, workers):
    ours = [*OURS, f"loader.workers={workers}", "callbacks.last_checkpoint.minutes=0.001"]
    root = starter.folder / f"worker{workers}"
    run = starter.start(*ours, f"root={root}")
    until(lambda: has_begun(root))
    os.kill(children(run.pid)[0], signal.SIGKILL)
    said = refused(starter, run)
    assert said == (
        "a loading process was killed, probably because the machine or the job ran out of memory; set "
        f"loader.workers={workers // 2}; repeat the command to resume from the last checkpoint."
    )
    whole = finished(starter, *ours, root=starter.folder / f"worker{workers}-whole")
    alike(whole, finished(starter, *ours, root=root))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_one_that_is_killed_between_two_epochs_is_told_of(workers):
    source = RenderedObjects(train_images=64, val_images=32, size=32)
    loader = ImageLoaders(source, batch_size=16, workers=workers).train_dataloader()
    assert len(list(loader)) == 4
    os.kill(loader._iterator._workers[-1].pid, signal.SIGKILL)
    with pytest.raises(CornetError, match=r"^a loading process was killed, probably"):
        list(loader)


def test_how_a_worker_ended_is_told_in_words():
    assert "ran out of space in /dev/shm" in lost_worker(-signal.SIGBUS, 4)
    assert "ended by SIGSEGV; set loader.workers=2 " in lost_worker(-signal.SIGSEGV, 4)
    assert "ended with status 3" in lost_worker(3, 4)


@pytest.mark.slow
def test_a_killed_process_of_a_preparation_is_told_of():
    with pool(2) as made, pytest.raises(CornetError, match=r"killed, probably .* fewer --workers"):
        list(run_parallel(end, [signal.SIGKILL], made))


def end(signum: int) -> None:
    os.kill(os.getpid(), signum)
