"""Odours against the public code's, exactly; the data source; refusals."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet.errors import CornetError
from cornet.models import create_model
from cornet.stimuli.fingerprint import fingerprint
from cornet.stimuli.odours import Odours, draw_odours
from cornet.stimuli.odours.draws import OdourRule
from cornet.stimuli.odours.nearest import nearest
from cornet.stimuli.samples import Key, collate, input_shape
from cornet.tasks import ClassHead, Multitask
from tests.helpers.paths import GOLDEN

SMALL = {
    "relabel": {},
    "standard": {"prototypes": 100},
    "concentration": {"prototypes": 100, "concentration": True},
    "spread06": {"concentration": True, "spread": 0.6},
    "corr03": {"prototypes": 100, "correlation": 0.3},
    "multihead": {"valence": "innate"},
    "valence10": {"valence": "learned"},
    "general90": {"prototypes": 100, "far": 0.9},
}
"""With 2,000 training and 500 validation odours."""
SECOND = {
    "standard": {"prototypes": 100},
    "relabel": {},
    "concentration_relabel": {"concentration": True},
    "spread": {"concentration": True, "spread": 0.6},
    "orn_corr": {"correlation": 0.3},
}
"""With 1,000 training and 200 validation odours."""
LARGE = {"relabel_200_100": {}, "standard_100": {"prototypes": 100}}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "olfaction.npz") as file:
        return dict(file)


def check_first(golden, prefix, drawn):
    for split, found in (("train", drawn.train), ("val", drawn.val)):
        expected = golden[f"{prefix}/{split}_labels"]
        labels = found.labels if expected.ndim == 1 else np.stack([found.labels, found.valence], axis=1)
        np.testing.assert_array_equal(labels[:64], expected)
        np.testing.assert_array_equal(found.odours[0, :8], golden[f"{prefix}/{split}_x0"])
        assert found.odours.dtype == np.float32
    np.testing.assert_allclose(drawn.prototypes[0, :8], golden[f"{prefix}/prototype0"], rtol=1e-15)
    if f"{prefix}/val_count" in golden:
        np.testing.assert_array_equal(
            np.bincount(drawn.val.labels, minlength=100), golden[f"{prefix}/val_count"]
        )


@pytest.mark.parametrize("variant", SMALL)
def test_small_sets_are_the_public_ones(golden, variant):
    check_first(golden, f"a/small_{variant}", draw_odours(OdourRule(**SMALL[variant]), 2000, 500))


@pytest.mark.parametrize("variant", SECOND)
def test_second_sets_are_the_public_ones(golden, variant):
    drawn = draw_odours(OdourRule(**SECOND[variant]), 1000, 200)
    prefix = f"b/task/{variant}"
    if not np.array_equal(drawn.train.odours[:2], golden[f"{prefix}/train_x_first2"]):
        assert variant == "orn_corr"  # depends on signs in LAPACK
        pytest.skip("this LAPACK draws other correlated numbers")
    np.testing.assert_array_equal(drawn.train.labels, golden[f"{prefix}/train_labels"])
    np.testing.assert_array_equal(drawn.val.labels, golden[f"{prefix}/val_labels"])


@pytest.mark.slow
@pytest.mark.parametrize("variant", LARGE)
def test_a_million_odours_are_the_public_ones(golden, variant):
    check_first(golden, f"a/{variant}", draw_odours(OdourRule(**LARGE[variant]), 1_000_000, 8192))


def test_nearest_is_the_nearest():
    rng = np.random.default_rng(0)
    odours, prototypes = rng.random((300, 5)).astype(np.float32), rng.random((7, 5))
    distances = np.linalg.norm(odours[:, None].astype(float) - prototypes[None], axis=2)
    index, distance = nearest(odours, prototypes)
    np.testing.assert_array_equal(index, distances.argmin(axis=1))
    np.testing.assert_allclose(distance, distances.min(axis=1), rtol=1e-9)
    assert nearest(odours[:1], np.stack([prototypes[0]] * 2))[0][0] == 0  # of two equal ones


def test_what_the_variants_change():
    rule = {"receptors": 8, "prototypes": 10, "classes": 5}
    plain = draw_odours(OdourRule(**rule), 400, 100)
    mixed = draw_odours(OdourRule(**rule, mixing=2), 400, 100)
    np.testing.assert_array_equal(mixed.train.labels, plain.train.labels)
    np.testing.assert_allclose(
        mixed.train.odours, (plain.train.odours + np.roll(plain.train.odours, 1, axis=1)) / 2, rtol=1e-6
    )
    shuffled = draw_odours(OdourRule(**rule, shuffle=True), 400, 100)
    np.testing.assert_array_equal(np.sort(shuffled.train.labels), np.sort(plain.train.labels))
    assert (shuffled.train.labels == plain.train.labels).mean() < 0.5
    bent = draw_odours(OdourRule(**rule, distort=True), 400, 100)
    assert 0.05 < (bent.train.labels == plain.train.labels).mean() < 0.9
    np.testing.assert_array_equal(bent.train.odours, plain.train.odours)


def test_the_source():
    source = Odours(6, 8, 4, train_odours=20, val_odours=10, valence="learned", seed=3)
    assert input_shape(source) == (6,)
    assert source.mean == source.std == ()
    train, val = source.train(), source.val()
    (first, again) = train.__getitems__([Key(4, 0), Key(4, 9)])
    assert torch.equal(first.image, again.image)
    assert first.image.shape == (6,)
    assert torch.equal(first.image, torch.from_numpy(source.odours.train.odours[4]))
    assert first.label == source.odours.train.labels[4]
    assert first.targets["valence"] in (1, 2)
    assert val[Key(2, 0)].image.shape == (1, 6)
    assert len(val) == 10
    assert source.largest_class() == np.bincount(source.odours.val.labels).max() / 10
    assert fingerprint(source) == fingerprint(Odours(6, 8, 4, 20, 10, valence="learned", seed=3))
    assert fingerprint(source) != fingerprint(Odours(6, 8, 4, 20, 10, seed=4))


def test_a_second_head_learns_the_valence():
    source = Odours(10, 20, 4, train_odours=40, val_odours=10, valence="innate")
    net = create_model("fly", num_classes=4, receptors=10, copies=1, kc=12)
    task = Multitask({"odour": ClassHead(), "valence": ClassHead(target="valence")})
    task.attach(net, source, source.views)
    batch = collate(source.train().__getitems__([Key(k, 0) for k in range(40)]))
    predicted = task(net, batch.inputs).predictions
    assert {name: one.shape for name, one in predicted.items()} == {
        "odour/label": (40, 4),
        "valence/label": (40, 3),
    }
    expected = F.cross_entropy(predicted["odour/label"], batch.labels)
    valence = torch.from_numpy(source.odours.train.valence)
    expected = expected + F.cross_entropy(predicted["valence/label"], valence)
    torch.testing.assert_close(task.loss(predicted, batch.targets), expected)
    assert (valence > 0).any()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"prototypes": 150},
            r"^data\.prototypes=150 must be a multiple of data\.classes=100, .* set it to 200\.$",
        ),
        ({"prototypes": 20}, r"^data\.prototypes=20 must be a multiple .* set it to 100\.$"),
        ({"receptors": 0}, r"^data\.receptors=0 must be a whole number, at least 1\.$"),
        ({"train_odours": 2.5}, r"^data\.train_odours=2\.5 must be a whole number"),
        (
            {"train_odours": 10**9},
            r"^1,000,008,192 odours .* GiB while they are drawn, .* smaller data\.train_odours\.$",
        ),
        ({"train_odours": 10**10}, r"^data\.train_odours=10000000000 is too large"),
        ({"spread": 1}, r"^data\.spread=1 must be a number from 0 to below 1\.$"),
        ({"spread": "wide"}, r"^data\.spread='wide' must be a number"),
        ({"correlation": float("nan")}, r"^data\.correlation=nan must be a number"),
        ({"far": 0}, r"^data\.far=0 must be a number above 0 and at most 1\.$"),
        ({"mixing": 51}, r"^data\.mixing=51 must be at most data\.receptors=50\.$"),
        ({"valence": "good"}, r"^data\.valence='good' is unknown; choose one of innate, learned\.$"),
        ({"valence": "innate", "receptors": 8}, r"^data\.valence=innate needs 10 receptors or more"),
        ({"valence": "innate", "spread": 0.5}, r"^data\.valence=innate cannot be combined"),
        ({"seed": -1}, r"^data\.seed=-1 must be a whole number"),
    ],
)
def test_mistakes_are_explained(changes, sentence):
    with pytest.raises(CornetError, match=sentence):
        Odours(**changes)
