"""Transfer to labelled images: class folders, files of CIFAR, the command, and every epoch of a training."""

import json
import shutil

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import cornet
from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.registry import local_identity
from cornet.brain.benchmarks.transfer import TransferBenchmark
from cornet.brain.data.labelled_images import labelled_images
from cornet.cli import app
from cornet.errors import CornetError
from cornet.runs.scores import read_scores
from tests.helpers.stimuli.cifar_files import make
from tests.helpers.stimuli.colours import colours as write_colours

NAMES = ("blue", "green", "red")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("images") / "colours", NAMES)


def test_class_folders(colours):
    images = labelled_images(colours)
    assert images.stimuli.name == "colours"
    assert sorted(set(images.labels)) == list(NAMES)
    assert (len(images.rows("train")), len(images.rows("test"))) == (36, 24)
    row = images.rows("test")[0]
    with Image.open(colours / "val" / "blue" / "0.png") as image:
        assert (images.stimuli.pictures[row] == np.asarray(image)[:, 4:36]).all()  # the square in the centre
    assert images.labels[row] == "blue"
    two = labelled_images(colours, ("red", "blue"))
    assert sorted(set(two.labels)) == ["blue", "red"]
    assert two.stimuli.identity != images.stimuli.identity


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_files_of_cifar(tmp_path, monkeypatch, name):
    contents = make(monkeypatch, tmp_path, name)
    images = labelled_images(tmp_path)
    for part, split in (("train", "train_list"), ("test", "test_list")):
        pixels, labels = contents[split]
        rows = images.rows(part)
        assert images.labels[rows].tolist() == [f"class{label}" for label in labels]
        assert (images.stimuli.pictures[int(rows[3])] == pixels[3].transpose(1, 2, 0)).all()


def test_cifar_by_name_is_sought_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path))
    with pytest.raises(
        CornetError, match=r"cifar100 needs the folder .*cifar-100-python; unpack its archive"
    ):
        TransferBenchmark("cifar100")
    (tmp_path / "data").mkdir()
    for one in ("cifar10", "cifar100"):
        make(monkeypatch, tmp_path / "data", one)
    benchmark = TransferBenchmark("cifar100")
    assert benchmark.name == "cifar100-transfer"
    assert len(np.unique(benchmark.data.labels)) > 10


def test_score_and_few_shot(colours):
    table = cornet.score("pixels", on=[f"transfer:{colours}"], size=16)
    row = table.iloc[0]
    assert row["benchmark"] == "colours-transfer"
    assert row["raw"] > 0.9  # the colour is all that differs
    assert row["n"] == 24
    assert np.isnan(row["ceiling"])
    subject = cornet.brain.open_subject("pixels", size=16)
    benchmark = TransferBenchmark(colours, shots=(1, 4), seeds=4)
    score = benchmark.run(subject)
    assert score.raw == row["raw"]
    assert [one.k for one in score.details["few_shot"]] == [1, 4]
    (other,) = open_benchmarks([f"transfer:{colours}"])
    assert other.fingerprint != benchmark.fingerprint  # few-shot needs other choices


def test_the_identity_does_not_depend_on_the_place_but_on_the_pixels(colours, tmp_path):
    there = tmp_path / "colours"
    shutil.copytree(colours, there)
    names = [local_identity(f"transfer:{folder}") for folder in (colours, there)]
    assert names[0] == names[1]
    assert names[0].startswith("colours-transfer-")
    Image.new("RGB", (40, 32)).save(there / "val" / "red" / "0.png")
    assert local_identity(f"transfer:{there}") != names[0]
    assert local_identity("transfer:/nowhere") is None


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())

    def training_step(self, batch, index):
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def test_after_every_epoch_of_any_training(colours, tmp_path):
    score = cornet.BrainScore([f"transfer:{colours}"], layers={"behaviour": "3"}, network="net", size=32)
    trainer = pl.Trainer(
        max_epochs=2,
        callbacks=[score],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Classifier(), DataLoader(TensorDataset(torch.randn(8, 3, 32, 32)), 4))
    rows = read_scores(tmp_path)
    assert rows["epoch"].tolist() == [0, 1, 2]
    assert rows["benchmark"].unique().tolist() == ["colours-transfer"]
    assert (rows["raw"] > 0.5).all()


def run(*words):
    result = CliRunner().invoke(app, ["transfer", "pixels", "--size", "16", *words], env={"COLUMNS": "80"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_command(colours, tmp_path):
    path = tmp_path / "transfer.csv"
    out = run("--to", str(colours), "--shots", "1,4", "--seeds", "3", "--csv", str(path))
    assert "colours-transfer" in out
    assert "Accuracy on 24 test images of 3 classes (chance 0.333)" in out
    assert max(map(len, out.splitlines())) <= 80
    assert len(path.read_text().splitlines()) == 4
    rows = json.loads(run("--to", str(colours), "--json"))
    assert rows[0]["k"] is None
    assert rows[0]["low"] <= rows[0]["top1"] <= rows[0]["high"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--to is missing; name the images, as in cornet transfer pixels --to cifar100"),
        (["--to", "/nowhere"], "there is no folder /nowhere; give one with train/<class>/"),
        (["--to", "FOLDER", "--classes", "pink"], "has no class 'pink'; it has 3, such as blue, green, red"),
        (["--to", "FOLDER", "--classes", "red"], "has one class, but a read-out needs at least two"),
        (["--to", "FOLDER", "--layer", "V5"], r"pixels has no V5\[0\]"),
        (["--to", "FOLDER", "--shots", "99"], "few-shot k=99 must be from 1 to"),
        (["--to", "FOLDER", "--shots", "1.5"], r"--shots 1\.5 must be whole numbers"),
        (["--to", "FOLDER", "--strengths", "0"], "--strengths 0 must be numbers above 0"),
    ],
)
def test_mistakes(colours, words, message):
    with pytest.raises(CornetError, match=message):
        run(*[str(colours) if word == "FOLDER" else word for word in words])
