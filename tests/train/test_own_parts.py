"""Parts of the user's own, by `_target_` alone: a network and a callback from a module in the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from cornet.brain import open_subject
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.instantiate import make, targets
from cornet.models.own_network import OwnNetwork, make_network
from tests.helpers.paths import ROOT

MODULE = """
import pytorch_lightning as pl
from torch import nn
from cornet.models import Area, CORnet, Network

class Net(nn.Module):
    def __init__(self, num_classes, channels=4):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images):
        return self.head(self.first(images).relu().mean((2, 3)))

class Areas(CORnet):
    def __init__(self, num_classes, width):
        super().__init__(num_classes, block="feedforward", width=width)

class Family(Network):
    def __init__(self, num_classes, times):
        areas = [Area("low", 1, 50, 100, region="V1"), Area("high", times, 70, 50, region="IT")]
        super().__init__(areas, num_classes)
        self.first = nn.Conv2d(3, 4, 3, 2)
        self.again = nn.Conv2d(4, 4, 3, 1, 1)
        self.decoder = nn.Linear(4, num_classes)

    def run_areas(self, images, steps, keep_all):
        low = self.first(images).relu()
        high = [low]
        for _ in range(1, steps["high"]):
            high.append(low + self.again(high[-1]).relu())
        return {"low": [low], "high": high}

class Steps(pl.Callback):
    def __init__(self, word):
        self.word = word

    def on_train_end(self, trainer, module):
        print(self.word, trainer.global_step)

def refuses(x):
    raise ValueError("x must be even")

def breaks():
    raise RuntimeError("broken inside")
"""
SMALL = (
    *("data.train_images=16", "data.val_images=8", "data.size=32", "recipe.batch_size=16", "recipe.epochs=1"),
    *("trainer=cpu", "brain=none", "loader.workers=0"),
)


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The current folder, with the module."""
    (tmp_path / "my_parts.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)
    return tmp_path


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_a_network_of_ones_own_with_a_task_of_ones_own_is_scored_and_exported(own):
    """The task has heads of its own, so the network loses its decoder; a registered class can be exported."""
    register = "from cornet.models import register\n"
    (own / "my_family.py").write_text(
        register + MODULE.replace("class Family", '@register("mine")\nclass Family')
    )
    (own / "own_task.py").write_text((ROOT / "examples/own_task.py").read_text())
    parts = ["model=own", "model._target_=my_family.Family", "+model.times=2"]
    parts += ["task=own", "task._target_=own_task.IsLiving", "monitor=val/living"]
    done = command(own, str(ROOT / "train.py"), *SMALL, *parts)
    assert done.returncode == 0, done.stderr
    (run,) = own.glob("runs/**/seed0")
    done = command(own, "-m", "cornet", "score", str(run), "--on", "simulated.IT", "--trust")
    assert done.returncode == 0, done.stderr
    done = command(own, "-m", "cornet", "export", str(run), "--to", "safetensors", "--out", "mine", "--trust")
    assert done.returncode == 0, done.stderr
    load = "import my_family, cornet; print(cornet.from_pretrained('mine').made_with)"
    done = command(own, "-c", load)
    assert done.returncode == 0, done.stderr
    assert "'name': 'mine'" in done.stdout


@pytest.mark.slow
def test_a_network_and_a_callback_train_a_step(own):
    """From a module beside no package, registered nowhere; then the run is scored and repeated, if it is trusted."""
    parts = ["model=own", "model._target_=my_parts.Net", "+model.channels=5"]
    parts += ["+callbacks.mine._target_=my_parts.Steps", "+callbacks.mine.word=trained"]
    parts += ["brain.layers={V4: first}"]
    done = command(own, str(ROOT / "train.py"), *SMALL, *parts)
    assert done.returncode == 0, done.stderr
    assert "trained 1\n" in done.stdout
    (run,) = own.glob("runs/**/seed0")
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert tuple(weights["net.net.first.weight"].shape) == (5, 3, 3, 3)
    with pytest.raises(
        CornetError,
        match=r"the custom network my_parts\.Net, .* give --trust \(in Python: trust=True\) if you trust .*\.$",
    ):
        open_subject(str(run))
    for layer in ("first", "net.first"):  # the name in the class, as in training, and in the state dict
        subject = open_subject(f"{run}?V4={layer}", trust=True)
        assert subject.site("V4").layer == "first"
    assert open_subject(str(run), trust=True).site("V4").layer == "first"  # as the run was scored
    for trust, code in ((), 2), (("--trust",), 0):
        done = command(own, "-m", "cornet", "rerun", str(run), *trust)
        assert done.returncode == code, done.stderr
    assert "The results are equal, bit for bit" in done.stdout


@pytest.mark.slow
def test_a_subclass_is_compared_with_brains(own, small_brain, train):
    parts = ["model=own", "model._target_=my_parts.Areas", "+model.width=0.05"]
    benchmarks = ["brain=simulated", "brain.benchmarks.simulated=[simulated.V4]", "brain.before=false"]
    code, _, err = train(*SMALL, *parts, *benchmarks, small=False)
    assert code == 0, err
    (run,) = own.glob("runs/**/seed0")
    assert "simulated.V4" in (run / "scores.csv").read_text()


@pytest.mark.slow
def test_a_family_with_areas_of_its_own_is_compared_with_brains(own, small_brain, train):
    parts = ["model=own", "model._target_=my_parts.Family", "+model.times=3"]
    benchmarks = ["brain=simulated", "brain.benchmarks.simulated=[simulated.V1,simulated.IT]"]
    code, _, err = train(*SMALL, *parts, *benchmarks, "brain.before=false", small=False)
    assert code == 0, err
    (run,) = own.glob("runs/**/seed0")
    scores = (run / "scores.csv").read_text()
    assert "low[0]" in scores
    assert "high[0]" in scores
    subject = open_subject(str(run), trust=True)
    assert subject.site("IT", (120, 130)) == Site("high", 1)


@pytest.mark.slow
def test_a_network_without_areas_is_compared_by_the_layers_that_are_named(own, small_brain, train):
    parts = ["model=own", "model._target_=my_parts.Net", "brain=simulated", "~callbacks.solution_times"]
    code, _, err = train(*SMALL, *parts, small=False)
    assert code == 0, err
    assert "simulated.V4" in err
    assert "are left out: no layer is given for V1, V2, V4, IT" in err
    code, _, err = train(*SMALL, *parts, "brain.layers={V4: layr3}", "name=other", small=False)
    assert code == 2
    assert "has no layer 'layr3'" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_module.Net", "No module named 'no_such_module'"),
        ("my_parts.Nte", "my_parts"),
        ("Net", "No module named 'Net'"),
        ("my_parts..Net", ""),
        ("", ""),
        (3, "give a dotted name"),
        (None, "give a dotted name"),
        (["my_parts.Net"], "give a dotted name"),
    ],
)
def test_a_name_that_cannot_be_imported(own, name, told):
    with pytest.raises(CornetError) as error:
        make(OmegaConf.create({"x": {"inner": {"_target_": name}}}).x, "callbacks.mine")
    text = str(error.value)
    assert text.startswith("callbacks.mine.inner._target_")
    assert told in text
    assert "\n" not in text
    assert "HYDRA_FULL_ERROR" not in text
    assert text.endswith((".", "?"))


def test_a_module_that_does_not_load(own):
    (own / "my_broken.py").write_text("def (:")
    with pytest.raises(CornetError, match=r"x\._target_=my_broken\.A cannot be imported \(SyntaxError: "):
        make({"_target_": "my_broken.A"}, "x")


def test_errors_of_the_users_own_class(own):
    with pytest.raises(CornetError, match=r"^the configuration's x is invalid: .*x must be even; "):
        make({"_target_": "my_parts.refuses", "x": 1}, "x")
    with pytest.raises(CornetError, match=r"unexpected keyword argument 'depth'"):
        make({"_target_": "my_parts.Net", "num_classes": 2, "depth": 1}, "model")
    with pytest.raises(RuntimeError, match=r"^broken inside$"):  # with its own traceback
        make({"_target_": "my_parts.breaks"}, "x")


def test_references_are_followed_and_none_is_left_out():
    config = OmegaConf.create({"seconds": 3, "timer": {"_target_": "pytorch_lightning.callbacks.Timer"}})
    config.timer.duration = {"seconds": "${seconds}"}
    assert make(config.timer, "timer").time_remaining() == 3
    assert make(OmegaConf.create({"x": None}).x, "x") is None  # as callbacks.progress=null


def test_every_target_of_our_own_configuration_can_be_imported():
    found = {
        name
        for path in (ROOT / "conf").rglob("*.yaml")
        for _, name in targets(OmegaConf.to_container(OmegaConf.load(path)))
        if isinstance(name, str) and name != "???"
    }
    assert len(found) > 20
    for name in found:
        module, _, last = name.rpartition(".")
        if "cornet_slurm" not in name:
            assert callable(getattr(__import__(module, fromlist=[last]), last)), name


def test_any_module_has_what_training_needs(own):
    net = make_network({"_target_": "my_parts.Net", "name": "own", "num_classes": 3}, 1000)
    assert isinstance(net, OwnNetwork)
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    mean, std = torch.full((3, 1, 1), 100.0), torch.full((3, 1, 1), 50.0)
    expected = net.net((images.float() - mean) / std)
    assert torch.equal(net(images, pixels=(mean, std)), expected)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in net.net.parameters())
    with pytest.raises(CornetError, match=r"returns a Timer, not a torch\.nn\.Module"):
        make_network({"_target_": "pytorch_lightning.callbacks.Timer", "name": "own"}, 3)
