"""The embedded demo: training makes the simulated scores rise, and training on shuffled labels does not."""

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl

from cornet import create_model
from cornet.runs.metrics import read_metrics
from cornet.runs.scores import read_scores
from cornet.stimuli.objects import RenderedObjects
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.callbacks.solution_times import ObjectSolutionTimes
from cornet.training.callbacks.step_matrix import StepMatrix
from cornet.training.learner import Learner
from cornet.training.loaders import ImageLoaders
from cornet.training.loggers.csv import CsvLogger
from cornet.training.recipe import Recipe

pytestmark = pytest.mark.timeout(1800)  # whole trainings of minutes each
EPOCHS = 3

NAMES = ["simulated.V4", "simulated.IT", "simulated-i2n", "simulated-ost"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class ShuffledObjects(RenderedObjects):
    """Every training image keeps one label, of which it shows nothing."""

    def train(self):
        return ShuffledLabels(super().train())


class ShuffledLabels:
    def __init__(self, images):
        self.images = images
        self.labels = np.random.default_rng(0).permutation(np.arange(len(images)) % 8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        return self.__getitems__([key])[0]

    def __getitems__(self, keys):
        return [
            sample._replace(label=int(self.labels[sample.index])) for sample in self.images.__getitems__(keys)
        ]


def rises(folder, shuffled, seed=0, names=NAMES):
    """The demo's training (recipe/demo.yaml) in half the epochs, its labels shuffled or not.

    Returns by benchmark how much its score rose.
    """
    pl.seed_everything(seed, verbose=False)
    source = ShuffledObjects() if shuffled else RenderedObjects()
    data = ImageLoaders(source, batch_size=32, workers=0, seed=seed)
    net = create_model("cornet_s", num_classes=8, width=0.25)
    recipe = Recipe(
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=0.02,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine",
        warmup=0.5,
        clip=2.0,
        decay_norms_and_biases=False,
        precision="32-true",
        channels_last=True,
    )
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        precision="32-true",
        gradient_clip_val=2.0,
        logger=CsvLogger(folder),
        callbacks=[
            BrainScore(names, folder=folder, every=0),
            StepMatrix(folder, wanted=not shuffled),
            ObjectSolutionTimes(folder),
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(Learner(net, recipe, source.mean, source.std), datamodule=data)
    scores = read_scores(folder).set_index(["benchmark", "epoch"])["value"]
    return {name: scores[name, EPOCHS] - scores[name, 0] for name in names}


@pytest.mark.slow
def test_scores_rise_with_training(cache, tmp_path):
    rise = rises(tmp_path / "true", shuffled=False)
    assert rise["simulated.V4"] >= 0.03
    assert rise["simulated.IT"] >= 0.1
    assert rise["simulated-i2n"] >= 0.05

    matrix = pd.read_csv(tmp_path / "true" / "step_matrix.csv")
    assert set(matrix["region"]) == {"V4", "IT"}
    assert len(matrix) == 2 * 9
    logged = read_metrics(tmp_path / "true").iloc[-1]
    assert 0 <= logged["brain/simulated-ost/share_solved"] <= 1
    times = pd.read_csv(tmp_path / "true" / "solution_times.csv")
    assert len(times) == 640
    assert times["truth_ms"].notna().any()


@pytest.mark.longest
def test_scores_do_not_rise_when_the_labels_are_shuffled(cache, tmp_path):
    """Untrained behaviour differs from seed to seed by .035 (standard deviation of six)."""
    names = ["simulated.IT", "simulated-i2n"]
    found = [rises(tmp_path / str(seed), True, seed, names) for seed in range(3)]
    assert all(rise["simulated.IT"] < 0.1 for rise in found)
    assert np.mean([rise["simulated-i2n"] for rise in found]) < 0.05
