import os
import pty
import re
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console

from cornet.tasks import Classification
from cornet.training.callbacks.progress import Progress, _fraction
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec.*"
)


class Batch(NamedTuple):
    images: torch.Tensor
    labels: torch.Tensor


def collate(items):
    return Batch(torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items]))


def loader():
    images = [(torch.randn(4), i % 2) for i in range(64)]
    return torch.utils.data.DataLoader(images, batch_size=4, collate_fn=collate)


class Tiny(pl.LightningModule):
    def __init__(self, fail_at=None):
        super().__init__()
        self.layer, self.fail_at = torch.nn.Linear(4, 2), fail_at
        self.task = Classification()

    def training_step(self, batch, index):
        if self.fail_at == self.global_step:
            raise ValueError("broken")
        time.sleep(0.02)
        loss = torch.nn.functional.cross_entropy(self.layer(batch.images), batch.labels)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, index):
        time.sleep(0.03)
        self.log_dict(
            {"val/top1": 0.4123, "val/top5": 1.0, "val/loss": 1.617, "brain/IT": -0.034}, batch_size=4
        )

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(console=None, **arguments):
    bar = Progress(extra=[["brain/IT", "IT"], ["no/such", "x"]], console=console)
    return pl.Trainer(
        **{
            **{
                "accelerator": "cpu",
                "logger": False,
                "enable_checkpointing": False,
                "enable_model_summary": False,
            },
            **{"max_epochs": 2, "num_sanity_val_steps": 1, "callbacks": [bar]},
            **arguments,
        }
    )


class Terminal:
    """A real pseudo-terminal of some width, on which a console writes; `raw` is what came out."""

    def __init__(self, columns=80):
        self.columns, self.raw = columns, b""

    def __enter__(self):
        self.ours, theirs = pty.openpty()
        self.file = os.fdopen(theirs, "w", encoding="utf-8")
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        environment = {"TERM": "xterm-256color", "COLUMNS": str(self.columns), "LINES": "24"}
        self.console = Console(file=self.file, _environ=environment)
        return self

    def read(self):
        while True:
            try:
                chunk = os.read(self.ours, 65536)
            except OSError:  # the other side is closed
                return
            self.raw += chunk

    def __exit__(self, *error):
        self.file.close()
        self.thread.join()
        os.close(self.ours)

    @property
    def frames(self):
        """All that was drawn, without colours."""
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.raw.decode())
        return [part for part in re.split(r"[\r\n]+", plain) if part.strip()]

    @property
    def screen(self):
        """The lines that stay: carriage returns, cursor movements and erased lines applied."""
        lines, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", self.raw.decode()):
            number = int(re.sub(r"\D", "", token) or 1) if token[0] == "\x1b" else 0
            if token == "\r":
                column = 0
            elif token == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif number and token.endswith("A"):
                row = max(0, row - number)
            elif number and token.endswith("K"):
                lines[row] = ""
            elif not number:
                lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
                column += len(token)
        return [line.rstrip() for line in lines if line.strip()]


STAYS = r"epoch {}/{}  top-1 \.412  top-5 1\.000  loss 1\.62 \(train \d\.\d\d\)  IT -\.034  [\d,]+ images/s  [\d.]+ s"


@pytest.mark.slow  # trains
def test_terminal():
    with Terminal(80) as terminal:
        trainer(terminal.console).fit(Tiny(), loader(), loader())
    assert len(terminal.screen) == 2
    for number, line in enumerate(terminal.screen, 1):
        assert re.fullmatch(STAYS.format(number, 2), line)
        rate = int(re.search(r"([\d,]+) images/s", line)[1].replace(",", ""))
        assert 20 < rate <= 4 / 0.02  # four images in at least 20 ms
    live = [frame for frame in terminal.frames if "left, run" in frame]
    assert len(live) >= 2
    assert all(len(frame) <= 80 for frame in terminal.frames if "top-1" not in frame)
    assert re.search(
        r"epoch 1/2 \S+ \S* *\d+/16  \d+ images/s  loss \d\.\d\d  [\d.]+ s left, run [\d.]+ s", live[0]
    )
    assert any(re.search(r"epoch 1/2 .* validating \d+/16", frame) for frame in terminal.frames)
    assert terminal.raw.count(b"\x1b[?25l") == terminal.raw.count(b"\x1b[?25h")  # the cursor is given back


@pytest.mark.slow  # trains
def test_no_terminal_prints_only_the_lines_that_stay(capsys):
    trainer(num_sanity_val_steps=0).fit(Tiny(), loader(), loader())
    out = capsys.readouterr().out
    assert "\x1b" not in out
    first, second = out.splitlines()
    assert re.fullmatch(STAYS.format(1, 2), first)
    assert re.fullmatch(STAYS.format(2, 2), second)


WAYS = {
    "few batches": ({"limit_train_batches": 3, "max_epochs": 1}, ["epoch 1/1"]),
    "steps": ({"max_steps": 20, "max_epochs": -1, "limit_val_batches": 2}, ["epoch 1/2", "epoch 2/2"]),
    "within an epoch": (
        {"val_check_interval": 8, "max_epochs": 1, "limit_val_batches": 2},
        ["epoch 1/1"] * 2,
    ),
    "no validation": ({"limit_val_batches": 0, "limit_train_batches": 3}, ["epoch 1/2", "epoch 2/2"]),
    "accumulation": ({"accumulate_grad_batches": 4, "max_epochs": 1, "limit_val_batches": 1}, ["epoch 1/1"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_ways_to_train(way):
    arguments, lines = WAYS[way]
    with Terminal(60) as terminal:
        trainer(terminal.console, **arguments).fit(Tiny(), loader(), loader())
    assert [line[:9] for line in terminal.screen if line.startswith("epoch")] == lines
    if way == "no validation":
        assert re.fullmatch(r"epoch 1/2  train loss \d\.\d\d  [\d.]+ images/s  0\.\d+ s", terminal.screen[0])


class Noting(Tiny):
    """Writes down the loss of every batch, and logs that of a few."""

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        self.losses = [*getattr(self, "losses", []), loss.item()]
        return loss


@pytest.mark.parametrize("accumulate", [1, 4])
def test_training_loss_is_the_mean_of_the_epoch(capsys, accumulate):
    torch.manual_seed(0)
    module = Noting()
    trainer(accumulate_grad_batches=accumulate, limit_val_batches=1).fit(module, loader(), loader())
    printed = [float(value) for value in re.findall(r"\(train (\d\.\d\d)\)", capsys.readouterr().out)]
    assert len(module.losses) == 32
    expected = [sum(module.losses[:16]) / 16, sum(module.losses[16:]) / 16]
    assert printed == pytest.approx(expected, abs=0.0051)
    assert abs(module.losses[15] - expected[0]) > 0.0051  # which the last batch's would not be


def test_resumed_failing_and_validating(tmp_path):
    with Terminal(100) as terminal:
        first = trainer(terminal.console, max_epochs=1, limit_train_batches=3, limit_val_batches=1)
        first.fit(Tiny(), loader(), loader())
        first.save_checkpoint(tmp_path / "a.ckpt")
        again = trainer(terminal.console, max_epochs=2, limit_train_batches=3, limit_val_batches=1)
        again.fit(Tiny(), loader(), loader(), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
        with pytest.raises(ValueError, match="broken"):
            trainer(terminal.console).fit(Tiny(fail_at=5), loader(), loader())
        trainer(terminal.console).validate(Tiny(), loader(), verbose=False)
        again.progress_bar_callback.print("a", "line", sep="-")
    assert [line[:10].strip() for line in terminal.screen] == [
        "epoch 1/1",
        "epoch 2/2",
        "validation",
        "a-line",
    ]
    assert terminal.raw.count(b"\x1b[?25l") == terminal.raw.count(b"\x1b[?25h")


@pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable")
def test_the_epoch_is_named_when_a_training_goes_on_within_it(tmp_path, capsys):
    class Save(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            if trainer.current_epoch == 1 and index == 1:
                trainer.save_checkpoint(tmp_path / "a.ckpt")

    first = trainer(limit_train_batches=4, limit_val_batches=1)
    first.callbacks.append(Save())
    first.fit(Tiny(), loader(), loader())
    capsys.readouterr()
    again = trainer(limit_train_batches=4, limit_val_batches=1)
    again.fit(Tiny(), loader(), loader(), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "top-1" in line]
    assert line.startswith("epoch 2/2  top-1 ")


def test_disabled_on_other_ranks(capsys):
    bar = Progress()
    bar.disable()
    trainer(callbacks=[bar], max_epochs=1, limit_train_batches=2, limit_val_batches=1).fit(
        Tiny(), loader(), loader()
    )
    bar.print("nothing")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_programs_own_terminal():
    """As a user sees it: another process on a pseudo-terminal, and lines printed by others above the live one."""
    program = (
        "import sys, warnings; sys.path.insert(0, sys.argv[1]); warnings.simplefilter('ignore')\n"
        f"from {__name__} import *\n"
        "class Chat(pl.Callback):\n"
        "    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):\n"
        "        if batch_idx == 8: print('hello')\n"
        "bar = Progress()\n"
        "trainer(callbacks=[bar, Chat()], max_epochs=1).fit(Tiny(), loader(), loader())\n"
    )
    with Terminal() as terminal:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-c", program, str(ROOT)]
        subprocess.run(command, env=environment, stdout=terminal.file, stderr=subprocess.DEVNULL, check=True)
    assert next(line for line in terminal.screen if line.startswith(("epoch", "hello"))) == "hello"
    assert re.match(r"epoch 1/1  top-1 \.412", terminal.screen[-1])


def test_numbers():
    fractions = {
        0.4123: ".412",
        -0.034: "-.034",
        1.0: "1.000",
        0: ".000",
        float("nan"): "-",
        12.5: "12.500",
    }
    assert {value: _fraction(value) for value in fractions} == fractions
