import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from cornet.errors import CornetError
from cornet.models.safe_load import read_checkpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO


class Tiny(pl.LightningModule):
    def __init__(self, width: int = 4):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 2)

    def training_step(self, batch, index):
        loss = torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)]


def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, 4, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(16) % 2), batch_size=4)


def fit(folder, epochs, ckpt_path=None):
    torch.manual_seed(1)
    keep = pl.callbacks.ModelCheckpoint(
        dirpath=folder, filename="best", monitor="loss", save_last=True, enable_version_counter=False
    )
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[keep], plugins=[AtomicCheckpointIO()], accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, log_every_n_steps=1,
    )  # fmt: skip
    module = Tiny()
    trainer.fit(module, data(), ckpt_path=ckpt_path)
    return module, trainer


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
class TestInTraining:
    def test_round_trip_and_resume(self, tmp_path):
        whole, _ = fit(tmp_path / "whole", 3)
        fit(tmp_path / "parts", 1)
        last = tmp_path / "parts/last.ckpt"
        content = read_checkpoint(last)
        assert content["epoch"] == 0
        assert content["hyper_parameters"] == {"width": 4}
        assert content["optimizer_states"][0]["state"][0]["momentum_buffer"].abs().sum() > 0
        assert content["lr_schedulers"][0]["last_epoch"] == 1
        assert any("ModelCheckpoint" in key for key in content["callbacks"])
        resumed, trainer = fit(tmp_path / "parts", 3, ckpt_path=str(last))
        assert trainer.global_step == 12
        assert torch.equal(resumed.layer.weight, whole.layer.weight)
        assert sorted(os.listdir(tmp_path / "parts")) == ["best.ckpt", "last.ckpt", "previous.ckpt"]

    def test_a_malicious_checkpoint_does_not_run(self, tmp_path):
        fit(tmp_path / "run", 1)
        content = read_checkpoint(tmp_path / "run/last.ckpt")
        content["extra"] = Malicious(tmp_path / "marker")
        torch.save(content, tmp_path / "evil.ckpt")
        with pytest.raises(CornetError, match="could execute code, so it was refused"):
            fit(tmp_path / "run", 2, ckpt_path=str(tmp_path / "evil.ckpt"))
        assert not (tmp_path / "marker").exists()
        torch.load(tmp_path / "evil.ckpt", weights_only=False)  # it is malicious indeed
        assert (tmp_path / "marker").exists()

    def test_full_disk_stops_training_and_the_same_command_continues(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True
        ).returncode:
            pytest.skip("mounting is not permitted here")
        try:
            fit(disk, 1)
            (disk / "filling").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize))
            with pytest.raises(
                CornetError, match=r"disk full.*previous checkpoint stays usable; repeat the command"
            ):
                fit(disk, 2, ckpt_path=str(disk / "last.ckpt"))
            assert read_checkpoint(disk / "last.ckpt")["epoch"] == 0
            (disk / "filling").unlink()
            fit(disk, 2, ckpt_path=str(disk / "last.ckpt"))
            assert read_checkpoint(disk / "last.ckpt")["epoch"] == 1
        finally:
            subprocess.run(["umount", disk], check=True)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_plain_pickles_do_not_run_either(tmp_path):
    for protocol in (2, 4):
        content = pickle.dumps({"a": Malicious(tmp_path / "marker")}, protocol=protocol)
        (tmp_path / "evil.ckpt").write_bytes(content)
        # torch writes protocol 2; of a newer pickle the safe reader does not read the first byte.
        with pytest.raises(CornetError, match="refused" if protocol == 2 else "not a checkpoint"):
            read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "marker").exists()


def test_damaged_and_missing_files(tmp_path):
    path = tmp_path / "a.ckpt"
    with pytest.raises(CornetError, match="does not exist"):
        read_checkpoint(path)
    with pytest.raises(CornetError, match="is a folder"):
        read_checkpoint(tmp_path)
    AtomicCheckpointIO().save_checkpoint({"weights": torch.randn(10_000)}, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:10],
        b"",
        b"hello world",
        b"\x80\x02}.",
        bytes(flipped),
    ):
        path.write_bytes(content)
        with pytest.raises(CornetError, match=r"a\.ckpt is (truncated|not a checkpoint)"):
            read_checkpoint(path)
    torch.save([1], path)
    with pytest.raises(CornetError, match="holds list, not a dict"):
        read_checkpoint(path)


def test_refuses_to_write_what_it_could_not_read(tmp_path):
    with pytest.raises(CornetError, match=r"would hold pathlib.*PosixPath, which cannot be loaded again"):
        AtomicCheckpointIO().save_checkpoint({"path": tmp_path}, tmp_path / "a.ckpt")
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "a.ckpt", storage_options={})


def test_remove(tmp_path):
    plugin = AtomicCheckpointIO()
    plugin.save_checkpoint({"a": 1}, tmp_path / "new/folder/a.ckpt")
    assert plugin.load_checkpoint(tmp_path / "new/folder/a.ckpt", weights_only=False) == {"a": 1}
    plugin.remove_checkpoint(tmp_path / "new/folder/a.ckpt")
    plugin.remove_checkpoint(tmp_path / "new/folder/a.ckpt")
    assert os.listdir(tmp_path / "new/folder") == []


KILLED = """
import os, random, signal, sys, time
import torch
from cornet.models.safe_load import read_checkpoint
from cornet.training.checkpoint_io import AtomicCheckpointIO

path, random_times = sys.argv[1], random.Random(0)
torch.set_num_threads(1)
plugin = AtomicCheckpointIO()
began = time.perf_counter()
plugin.save_checkpoint({"round": -1, "weights": torch.full((4_000_000,), -1.0)}, path)
one_save = time.perf_counter() - began
asides, rounds = 0, set()
for round in range(20):
    child = os.fork()
    if child == 0:
        weights = torch.full((4_000_000,), float(round))
        while True:
            plugin.save_checkpoint({"round": round, "weights": weights}, path)
    time.sleep(random_times.uniform(0.1, 3) * one_save)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    asides += len([name for name in os.listdir(os.path.dirname(path)) if name.endswith(".tmp")])
    content = read_checkpoint(path)
    assert (content["weights"] == content["round"]).all()
    rounds.add(content["round"])
print(asides, len(rounds))
"""


@pytest.mark.slow
def test_killed_while_saving(tmp_path):
    """A real process is killed at twenty random moments of saving 16 MB again and again."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "last.ckpt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    interrupted, rounds = map(int, done.stdout.split())
    assert interrupted >= 3  # it was killed while it wrote
    assert rounds >= 2
    AtomicCheckpointIO().save_checkpoint({"round": 0}, tmp_path / "last.ckpt")  # the next process cleans up
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]
