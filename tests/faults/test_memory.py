"""Memory that does not reach while brains are scored: smaller parts, then an error in the row; training goes on.

The processes' memory is limited in mid-run, just above what the training itself needs.
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cornet.brain.benchmarks import run_battery
from cornet.memory import OutOfMemory, first_that_fits, out_of_memory
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.faults.killed_runs import has_begun
from tests.helpers.faults.run_results import finished, run_of
from tests.helpers.faults.starter import until
from tests.helpers.training.small_runs import SMALL, checkpoint

MB = 1 << 20


def held(process: int) -> int:
    """Bytes of data that a process has asked for."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024


def test_what_says_that_memory_is_used_up():
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(1 << 62, dtype=torch.uint8)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(1 << 62, np.uint8)
    assert out_of_memory(of_torch.value)
    assert out_of_memory(of_numpy.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_first_that_fits():
    tried = []

    def attempt(count):
        tried.append(count)
        return torch.empty(count, dtype=torch.uint8).numel()

    assert first_that_fits([lambda: attempt(1 << 62), lambda: attempt(5)], "this") == 5
    assert tried == [1 << 62, 5]
    with pytest.raises(OutOfMemory, match="this does not fit in memory; leave it out"):
        first_that_fits([lambda: attempt(1 << 62)], "this")
    with pytest.raises(ZeroDivisionError):
        first_that_fits([lambda: 1 // 0], "this")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from cornet.brain.metrics.mapping.gram import centred_blocks
from cornet.memory import out_of_memory
from cornet.brain.metrics.predictivity import neural_predictivity
rng = np.random.default_rng(0)
features = rng.standard_normal((200, 60_000), dtype=np.float32)
responses = features[:, :3] + rng.standard_normal((200, 3))
def score():
    return neural_predictivity(features, responses, sys.argv[1], splits=2, memory=1 << 28).values
score()
lines = Path("/proc/self/status").read_text().splitlines()
held = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
before = score()
resource.setrlimit(resource.RLIMIT_DATA, (held + (60 << 20),) * 2)  # blocks of 256 MB come in three copies
try:
    next(centred_blocks(features, torch.device("cpu"), memory=1 << 28))
except (RuntimeError, MemoryError) as error:
    print("no room", out_of_memory(error))
print("same", np.abs(score() - before).max() < 1e-9)
"""


@pytest.mark.longest  # compares under a limit of memory
@pytest.mark.parametrize("metric", ["pls", "neuron_to_neuron"])
def test_a_comparison_takes_smaller_blocks_where_there_is_no_room_for_large_ones(metric):
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, metric], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.split("\n")[:2] == ["no room True", "same True"]


@pytest.fixture(scope="module")
def ours(starter) -> list[str]:
    """Stimuli are shown far larger than the images in training, so that only scoring needs much memory, and that at
    once: what is small (a thread, a library's own) must find room still, or the process is ended from without.
    """
    bundle = write(starter.folder / "large", assembly(("V4",) * 4 + ("IT",) * 4))
    return [
        *SMALL,
        *("recipe.epochs=4", "data.train_images=128", "trainer.log_every_n_steps=1", "brain=local"),
        *(
            f"brain.benchmarks.local=[{bundle}]",
            "brain.metric=ridge",
            "brain.size=1024",
            "brain.before=false",
        ),
        *("brain.every=2", "brain.matrix=false"),
    ]


@pytest.mark.longest
def test_training_goes_on_where_scoring_finds_no_memory(starter, ours):
    """At the first of two evaluations memory is short, at the second there is enough again."""
    whole = finished(starter, *ours, root=starter.folder / "memory-whole")
    root = starter.folder / "memory"
    run = starter.start(*ours, f"root={root}")
    until(lambda: has_begun(root))
    limit = held(run.pid) + 24 * MB  # the features of V4 alone are 26
    _, most = resource.prlimit(run.pid, resource.RLIMIT_DATA)
    resource.prlimit(run.pid, resource.RLIMIT_DATA, (limit, most))
    until(lambda: "left out" in run.said.read_text() or not run.alive)
    if run.alive:
        resource.prlimit(run.pid, resource.RLIMIT_DATA, (most, most))
    assert starter.wait() == 0, run.said.read_text()
    expected, short = (pd.read_csv(one / "scores.csv") for one in (whole, run_of(root)))
    first = short.epoch == 2
    assert first.sum() == 2
    assert short.failure[first].str.contains("not fit in (?:the )?memory|memory ran out").all()
    assert short.raw[first].isna().all()
    pd.testing.assert_frame_equal(
        short[~first][["benchmark", "raw", "ceiling"]].reset_index(drop=True),
        expected[expected.epoch == 4][["benchmark", "raw", "ceiling"]].reset_index(drop=True),
        check_exact=True,
    )
    ends = [checkpoint(one)["state_dict"] for one in (whole, run_of(root))]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_smaller_batches_are_recorded_and_the_cpu_compares(tmp_path):
    from cornet.brain.benchmarks import open_benchmarks
    from cornet.brain.subjects import NetworkSubject
    from cornet.models import create_model

    bundle = write(tmp_path / "mine", assembly(("V4",) * 4))
    net = create_model("cornet_s", num_classes=8).cuda()
    subject = NetworkSubject(net, "net", size=224)
    (one,) = open_benchmarks([str(bundle)], metric="ridge", device="cuda")
    (expected,) = run_battery([subject], [one])
    assert not any("CPU" in note for note in expected.score.notes)
    sites, total = one.sites(subject), torch.cuda.get_device_properties(0).total_memory
    asked = subject.record(one.stimuli, sites, one.degrees, cache=False, batch=60)
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction((held + 700 * MB) / total)
    try:
        again = subject.record(one.stimuli, sites, one.degrees, cache=False, batch=60)
        assert np.allclose(again[sites[0]], asked[sites[0]], atol=1e-4)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + MB) / total)
        from cornet.brain.benchmarks.battery import _compare

        score = _compare(one, asked, subject)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert score.notes[-1] == "compared on the CPU, as cuda ran out of memory"
    assert score.raw == pytest.approx(expected.score.raw, abs=1e-6)
