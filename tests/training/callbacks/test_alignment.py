"""The alignment score during training: its rows, equal to a computation by hand, its schedule, and mistakes."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from cornet import CornetError
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import Key
from cornet.training.callbacks.alignment import AlignmentScore
from tests.helpers.training.object_training import train


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    cache = tmp_path_factory.mktemp("objects")
    return RenderedObjects(train_images=32, val_images=16, size=32, maps=True, cache=cache)


def test_rows_and_values(source, tmp_path):
    _, module = train(source, tmp_path, [AlignmentScore(tmp_path, images=8)], epochs=2)
    table = pd.read_csv(tmp_path / "alignment.csv")
    assert table["epoch"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    last = table[table["epoch"] == 2].set_index("maps")
    module.eval()
    expected = []
    for k in np.linspace(0, 15, 8).astype(int):
        sample = source.val()[Key(int(k), 0)]
        images = (sample.image.float() / 255 - 0.5) / 0.19
        logits = module.net(images.requires_grad_())
        (gradient,) = torch.autograd.grad(logits[0, sample.label], images)
        expected.append(
            spearmanr(gradient[0].abs().amax(0).flatten(), sample.targets["map"].ravel()).statistic
        )
    assert last["raw"]["network"] == pytest.approx(np.mean(expected), abs=1e-4)
    blob = table[table["maps"] == "centred blob"]["raw"]
    assert blob.nunique() == 1
    assert blob.iloc[0] > 0.5
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert metrics["align/network"].dropna().tolist()[-1] == pytest.approx(last["value"]["network"], rel=1e-4)
    assert "align/mean_map" in metrics


def test_it_does_not_change_the_training(source, tmp_path):
    found = []
    for name, callbacks in (("with", [AlignmentScore(tmp_path / "with", images=8)]), ("without", [])):
        found.append(train(source, tmp_path / name, callbacks, epochs=1)[1].state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_nothing_without_maps(tmp_path):
    plain = RenderedObjects(train_images=32, val_images=16, size=32, cache=tmp_path)
    train(plain, tmp_path, [AlignmentScore(tmp_path)], epochs=1)
    assert not (tmp_path / "alignment.csv").exists()


def test_mistakes(source, tmp_path):
    with pytest.raises(CornetError, match="reads the class logits 'category'"):
        train(source, tmp_path, [AlignmentScore(tmp_path, head="category")], epochs=1)
    with pytest.raises(CornetError, match="images"):
        AlignmentScore(images=0)

    class Unmapped:
        name, maps, size = "unmapped", True, 32
        classes, mean, std, views, in_memory = source.classes, source.mean, source.std, ("center",), True

        def train(self):
            return source.train()

        def val(self):
            images = source.val()
            images.maps = np.zeros_like(images.maps)
            return images

    with pytest.raises(CornetError, match=r"none of 16 validation images of unmapped has a map"):
        train(Unmapped(), tmp_path, [AlignmentScore(tmp_path)], epochs=1)
