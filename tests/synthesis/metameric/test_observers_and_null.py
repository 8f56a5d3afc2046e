"""Networks that classify at their own size, standard errors, and pairs of different images."""

import numpy as np
import pytest
import torch
from torch import nn

from cornet.brain.metrics.choices.class_choices import CATEGORIES, first_choices
from cornet.brain.subjects.layers import LayerSubject
from cornet.brain.subjects.networks import NetworkSubject
from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.objects import RenderedObjects
from cornet.synthesis.images import Source
from cornet.synthesis.metameric.null import choose_pairs, null_closeness, pairs_of_source, pairs_of_training
from cornet.synthesis.metameric.observers import Observer, share_right
from cornet.synthesis.metamers import closeness

CPU = torch.device("cpu")


class Brightest(nn.Module):
    """Logits are the mean of each colour; a thousand classes repeat them if asked."""

    def __init__(self, outputs=3):
        super().__init__()
        self.outputs = outputs
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        colours = self.scale * images.mean(dim=(2, 3))
        return colours if self.outputs == 3 else colours.repeat(1, 1 + self.outputs // 3)[:, : self.outputs]


def colours():
    images = torch.zeros(3, 3, 8, 8)
    for k in range(3):
        images[k, k] = 1
    return images


def observer(size, classes=(), module=None, **options):
    subject = LayerSubject(module or Brightest(), size=size, name="brightest", **options)
    return Observer(subject, classes, CPU, batch=2)


def test_answers_have_names_and_the_own_size():
    seen = observer(5, ["red", "green", "blue"])
    assert seen.answers(colours()).tolist() == ["red", "green", "blue"]
    assert seen.choices == 3
    assert observer(16).answers(colours()).tolist() == ["class 0", "class 1", "class 2"]


def test_each_network_has_its_own_normalisation():
    dark = observer(8, mean=(0.9, 0.1, 0.1), std=(0.01, 1, 1))  # to which red is what is missing
    assert dark.answers(torch.full((1, 3, 8, 8), 0.5)).tolist() == ["class 1"]
    assert observer(8).answers(colours()[:1]).tolist() == ["class 0"]


def test_a_thousand_classes_choose_among_sixteen():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((200, 1000))
    of_class = {k: name for name, classes in CATEGORIES.items() for k in classes}
    expected = [next(of_class[k] for k in np.argsort(-row) if k in of_class) for row in logits]
    assert first_choices(logits).choice.tolist() == expected
    with pytest.raises(CornetError, match=r"must be \(image, 1000\)"):
        first_choices(logits[:, :10])
    seen = observer(8, module=Brightest(1000))
    assert (seen.sixteen, seen.choices) == (True, 16)
    assert set(seen.answers(colours())) <= set(CATEGORIES)
    named = observer(8, [f"n{k}" for k in range(1000)], module=Brightest(1000))
    assert named.answers(colours()).tolist() == ["n0", "n1", "n2"]


def test_networks_that_do_not_classify_are_refused():
    net = create_model("cornet_z", num_classes=4, width=0.1)
    net.decoder = nn.Flatten(0)
    with pytest.raises(CornetError, match="name a network that classifies"):
        Observer(NetworkSubject(net, size=32), (), CPU, 2)
    with pytest.raises(CornetError, match="not one for each of its 2 classes"):
        observer(8, ["a", "b"])


def test_standard_errors():
    right = np.arange(100) % 4 == 0
    share = share_right(right)
    assert (share.value, share.n) == (0.25, 100)
    assert share.error == pytest.approx(np.sqrt(0.25 * 0.75 / 100), rel=0.1)  # binomial
    assert share_right(right) == share
    assert share_right(np.ones(5, bool)).error == 0
    assert share_right(right[:0]).n == 0


@pytest.mark.parametrize(("images", "pairs", "drawn"), [(5, 4, 4), (5, 50, 10), (2, 9, 1), (2000, 700, 700)])
def test_pairs_are_different_and_each_is_drawn_once(images, pairs, drawn):
    found = choose_pairs(images, pairs)
    assert found.shape == (drawn, 2)
    assert (found[:, 0] < found[:, 1]).all()
    assert found.max() < images
    assert len({tuple(one) for one in found}) == drawn


@pytest.mark.parametrize("images", [50, 5000])
def test_more_pairs_contain_fewer(images):
    few, many = choose_pairs(images, 20), choose_pairs(images, 300)
    if images == 50:
        np.testing.assert_array_equal(few, many[:20])
    assert not np.array_equal(few, choose_pairs(images, 20, seed=1))


def test_one_image_makes_no_pairs():
    with pytest.raises(CornetError, match="at least 2 different images, not 1"):
        choose_pairs(1, 500)
    with pytest.raises(CornetError, match="--null 0 must be at least 1"):
        choose_pairs(5, 0)


def test_the_null_is_the_closeness_of_each_pair():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    source = Source("six", [str(k) for k in range(6)], [""] * 6, lambda place: pictures[place])
    pairs = pairs_of_source(source, 15, 8)
    stage = nn.Flatten()
    found = null_closeness(stage, pairs, CPU, batch=4)
    shown = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    left, right = pairs.places.T
    expected = closeness(shown[left], shown[right])
    np.testing.assert_allclose(found.spearman, expected.spearman)
    np.testing.assert_allclose(found.snr, expected.snr)
    assert found.units == 192


def test_pairs_of_training_images():
    source = RenderedObjects(train_images=8, val_images=1, size=16, cache=False)
    pairs = pairs_of_training(source, "mine", 3, 16)
    assert pairs.name == "training images of mine"
    shown = pairs.load(pairs.places[:, 0])
    assert (shown.shape, shown.dtype) == ((3, 3, 16, 16), torch.uint8)
    assert len(shown.flatten(1).unique(dim=0)) == len(np.unique(pairs.places[:, 0]))
