"""Every network with every kind of benchmark, and with images of every kind: it trains a step and is scored."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

import cornet
from cornet.brain import simulated
from cornet.brain.benchmarks import list_benchmarks, open_benchmarks, run_battery
from cornet.brain.benchmarks.battery import Result
from cornet.brain.subjects import NetworkSubject
from cornet.stimuli.datasets.cifar import Cifar
from cornet.stimuli.datasets.photographs import ImageFolder
from cornet.stimuli.datasets.shards import ImageShards
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.prepare import write_shards
from cornet.stimuli.samples import ImageSource
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.recipe import Recipe
from tests.helpers.brain import drawn_bundle, rdm_bundle
from tests.helpers.brain.behaviour_assemblies import answers, choices
from tests.helpers.brain.small_bundles import write_bundle
from tests.helpers.models.named import small_arguments
from tests.helpers.stimuli import cifar_files
from tests.helpers.stimuli.pictures import class_folders

SIZE = 32
NETWORKS = [  # by default one of each kind; the others share their parts
    pytest.param(name, marks=[] if name in ("blt", "cornet_rt", "cornet_s", "hmax") else [pytest.mark.slow])
    for name in cornet.list_models()
]
SIMULATED = [one.name for one in list_benchmarks() if one.simulated]
LONG = [  # tests/brain/benchmarks has maps of activity with one network
    pytest.param(name, marks=[pytest.mark.slow] if name.endswith("-activity_maps") else [])
    for name in SIMULATED
]
LOCAL = ["responses", "choices", "answers", "rdms"]
SOURCES = ["objects", "class folders", "shards", "cifar10", "cifar100"]


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory) -> Iterator[Path]:
    """A folder with bundles; a cache of its own, and a simulated brain of 128 stimuli."""
    folder = tmp_path_factory.mktemp("everything")
    drawn_bundle.write(folder / "responses")
    write_bundle(folder / "choices", choices())
    drawn_bundle.write(folder / "answers", answers(drawn_bundle.STIMULI))  # ten of each object or more
    rdm_bundle.write(
        folder / "rdms", V4=rdm_bundle.dissimilarities(3), IT=rdm_bundle.dissimilarities(3, seed=1)
    )
    brain = simulated.SimulatedBrain(images=128, size=SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(folder / "cache"))
        patch.setattr(simulated, "brain", lambda: brain)
        yield folder


def trained(network: str, source: ImageSource) -> NetworkSubject:
    """A small network after one step of training."""
    pl.seed_everything(0, verbose=False)
    net = cornet.create_model(network, num_classes=len(source.classes), **small_arguments(network, 0.125))
    before = {name: value.clone() for name, value in net.named_parameters()}
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=0.01, schedule="constant")
    trainer = pl.Trainer(
        max_epochs=1,
        limit_train_batches=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=1,
    )
    module = Learner(net, recipe, source.mean, source.std, views=source.views)
    trainer.fit(module, datamodule=ImageLoaders(source, batch_size=4, workers=0))
    assert trainer.global_step == 1
    assert math.isfinite(trainer.callback_metrics["val/loss"])
    assert all(value.isfinite().all() for value in net.parameters())
    assert any(not torch.equal(before[name], value) for name, value in net.named_parameters())
    return NetworkSubject(net.eval(), network, mean=source.mean, std=source.std, size=SIZE)


def scored(subject: NetworkSubject, benchmark: str) -> list[Result]:
    return list(run_battery([subject], open_benchmarks([benchmark], metric="ridge", decoder="optimum")))


@pytest.fixture(scope="module")
def objects(small) -> RenderedObjects:
    return RenderedObjects(train_images=8, val_images=4, size=SIZE, cache=str(small / "objects"))


@pytest.fixture(scope="module", params=NETWORKS)
def subject(request, objects) -> NetworkSubject:
    return trained(request.param, objects)


@pytest.mark.parametrize("name", [*LONG, *LOCAL])
def test_every_network_is_scored_on_every_benchmark(subject, name, small):
    results = scored(subject, str(small / name) if name in LOCAL else name)
    assert results
    for result in results:
        assert result.benchmark.simulated == (name in SIMULATED)
        if name == "simulated-ost" and math.isnan(result.score.raw):  # so few images are solved at two times
            assert result.score.notes
        else:
            assert -1 <= result.score.raw <= 1


@pytest.fixture
def source(request, small, tmp_path, monkeypatch, objects) -> ImageSource:
    """The smallest source of a kind."""
    if request.param == "objects":
        return objects
    if request.param.startswith("cifar"):
        cifar_files.make(monkeypatch, tmp_path, request.param)
        return Cifar(tmp_path, name=request.param)
    folder = class_folders(tmp_path / "images", train=4)
    if request.param == "class folders":
        return ImageFolder(folder, size=SIZE)
    write_shards("imagenet", folder, tmp_path / "shards", per_shard=4, processes=1)
    return ImageShards(tmp_path / "shards", size=SIZE)


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_a_network_trains_on_every_source_and_is_scored(source, small):
    results = scored(trained("cornet_s", source), str(small / "rdms"))
    assert [result.benchmark.name for result in results] == ["rdms.V4-rdm", "rdms.IT-rdm"]
    assert all(math.isfinite(result.score.raw) for result in results)
