"""The alignment of saliency with human maps, against the public code, and its controls."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from cornet import CornetError
from cornet.brain.metrics.alignment import (
    HUMAN_CEILING,
    absolute_saliency,
    alignment,
    alignment_table,
    centred_blob,
    controls,
    spearman,
)
from tests.helpers.models.harmonised import draw, golden


def test_published_values():
    want = golden()
    a, b = (draw(key, (4, 64, 64)).abs().numpy() for key in ("map_a", "map_b"))
    found = alignment(a, a + b / 2)
    np.testing.assert_allclose(found.spearman, want["metric_spearman"], rtol=1e-9)
    np.testing.assert_allclose(found.iou, want["metric_iou"], rtol=1e-9)
    np.testing.assert_allclose(found.dice, want["metric_dice"], rtol=2e-6)
    assert found.value == pytest.approx(want["metric_spearman"].mean() / HUMAN_CEILING)


def test_ties_share_their_mean_rank():
    a, b = np.random.default_rng(0).integers(0, 3, (2, 20, 20))
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    assert spearman([0, 0, 1, 1], [0, 1, 2, 3]) == pytest.approx(4 / 20**0.5)


def test_controls_and_table():
    maps = np.stack([centred_blob(32, 32), np.roll(centred_blob(32, 32), 3, axis=1)])
    results = [alignment(maps, maps, ceiling=1), *controls(maps, maps.mean(0), ceiling=1)]
    table = alignment_table(results)
    assert list(table["maps"]) == ["network", "centred blob", "mean map"]
    assert table["raw"][0] == pytest.approx(1)
    assert results[1].spearman[0] == pytest.approx(1)
    assert results[1].spearman[1] < 0.99


def test_constant_maps_are_left_out_and_counted():
    maps = np.stack([centred_blob(16, 16), np.zeros((16, 16))])
    found = alignment(maps, maps, ceiling=1)
    assert (found.n, found.left_out) == (1, 1)
    assert found.raw == pytest.approx(1)


def test_absolute_saliency():
    images = torch.ones(1, 3, 4, 4, requires_grad=True)
    scale = torch.tensor([1.0, -5, 2]).view(3, 1, 1)
    logits = torch.stack([(images * scale).sum((1, 2, 3)), images.sum((1, 2, 3))], 1)
    assert (absolute_saliency(logits, images, torch.tensor([0])) == 5).all()


def test_mistakes():
    a = np.ones((1, 4, 4))
    with pytest.raises(CornetError, match=r"saliency has the shape \(1, 4, 4\) and the maps \(1, 5, 5\)"):
        alignment(a, np.ones((1, 5, 5)))
    with pytest.raises(CornetError, match="not finite; leave out"):
        alignment(a * np.nan, a)
    with pytest.raises(CornetError, match="ceiling=0 must be a number above 0"):
        alignment(a, a, ceiling=0)
    with pytest.raises(CornetError, match="the mean map has the shape"):
        controls(a, np.ones((5, 5)))
