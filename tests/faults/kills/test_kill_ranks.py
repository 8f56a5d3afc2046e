"""Two ranks, one or both of them killed at random moments: the same command again, and nothing is lost."""

import random
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.faults.kill_moments import moment
from tests.helpers.faults.killed_runs import has_begun, same
from tests.helpers.faults.starter import Starter, until
from tests.helpers.training.small_runs import SMALL

pytestmark = pytest.mark.longest


@pytest.fixture(scope="module")
def overrides(starter) -> list[str]:
    """A run of two ranks with unequal shares of the validation, brain scores within an epoch, averaged weights."""
    bundle = write(starter.folder / "of-ranks", assembly(("V4",) * 4 + ("IT",) * 4))
    return [
        *SMALL,
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "recipe.epochs=4",
        "recipe.average=0.9",
        "data.train_images=128",
        "data.val_images=33",
        "trainer.log_every_n_steps=1",  # ranks ask each other for a checkpoint at such steps
        "brain=local",
        f"brain.benchmarks.local=[{bundle}]",
        "brain.metric=ridge",
        "brain.fractions=[0.5]",
        "callbacks.last_checkpoint.minutes=0.001",
    ]


@pytest.fixture(scope="module")
def whole(starter, overrides) -> Path:
    """The run that nothing disturbs."""
    return finished(starter, overrides, Path("whole-ranks"))


def finished(starter: Starter, overrides: list[str], root: Path) -> Path:
    runs = starter.start_ranks(*overrides, f"root={root}")
    codes = starter.wait_ranks()
    assert codes == [0, 0], [run.said.read_text()[-3000:] for run in runs]
    (path,) = (path.parent for path in (starter.folder / root).glob("**/seed*/config.yaml"))
    return path


def test_killed_at_random_moments(starter, overrides, whole):
    """Rank 1 alone, rank 0 alone, both at once: whoever is left ends soon, and says why in a sentence."""
    root = starter.folder / "killed-ranks"
    waits = []
    for victims in ([1], [0], [0, 1]):
        runs = starter.start_ranks(*overrides, f"root={root}")
        until(lambda: has_begun(root) or not all(run.alive for run in runs))  # noqa: B023
        waits.append(random.SystemRandom().uniform(0, 1.5))
        time.sleep(waits[-1])
        for victim in victims:
            if runs[victim].alive:
                runs[victim].kill()
        codes = starter.wait_ranks()
        if codes == [0, 0]:  # it was over by then
            break
        assert all(codes[victim] == -signal.SIGKILL for victim in victims), (codes, waits)
        left = [rank for rank in (0, 1) if rank not in victims]
        said = [runs[rank].said.read_text() for rank in left]
        assert all("Traceback" not in text for text in said), (codes, waits, said)
    ours = finished(starter, overrides, root)
    same(whole, ours)


@pytest.mark.parametrize(
    ("rank", "when"),
    [
        (0, moment("os.rename", r"checkpoints/last\.ckpt$", 5)),
        (1, moment("call", "cornet.training.callbacks.brain.shared_subject:SharedSubject.record", 2)),
        (1, moment("call", "cornet.training.learner:Learner.validation_step", 4)),
    ],
    ids=["rank 0 writes a checkpoint", "rank 1 records for brain scores", "rank 1 validates"],
)
def test_killed_while_the_other_waits(rank, when, starter, overrides, whole, request):
    root = starter.folder / f"waiting-{request.node.callspec.id.replace(' ', '-')}"
    runs = starter.start_ranks(*overrides, f"root={root}", of_rank={rank: when})
    codes = starter.wait_ranks()
    assert codes[rank] == -signal.SIGKILL, [run.said.read_text()[-2000:] for run in runs]
    assert codes[1 - rank] != 0
    same(whole, finished(starter, overrides, root))


def test_a_signal_to_one_rank_is_obeyed_by_both_at_the_same_step(starter, overrides, whole):
    """Also one that comes while they ask each other: such were lost once."""
    root = starter.folder / "asked-ranks"
    while_asking = moment(
        "call", "cornet.training.callbacks.last_checkpoint:reduce_signal", 5, signum=signal.SIGUSR1
    )
    runs = starter.start_ranks(*overrides, f"root={root}", of_rank={1: while_asking})
    codes = starter.wait_ranks()
    assert codes == [128 + signal.SIGUSR1] * 2, [run.said.read_text()[-3000:] for run in runs]
    same(whole, finished(starter, overrides, root))
