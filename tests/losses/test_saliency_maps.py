"""Saliency, its pyramid and the harmonisation loss, against the public code and finite differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cornet import CornetError
from cornet.losses.saliency_maps import (
    gaussian_pyramid,
    harmonisation,
    pyramid_error,
    saliency,
    standardise_cut,
)
from tests.helpers.models.harmonised import LABELS, draw, golden, logits, weights

WIDE = torch.float64


def maps(dtype=WIDE):
    return draw("map_a", (4, 64, 64), dtype), draw("map_b", (4, 64, 64), dtype).abs()


def forward(dtype=WIDE):
    net = weights(dtype)
    images = draw("images", (4, 64, 64, 3), dtype).permute(0, 3, 1, 2).requires_grad_()
    out = logits(net, images)
    return net, out, saliency(out, images, LABELS)


def gradients(net, loss):
    return dict(zip(net, torch.autograd.grad(loss, list(net.values()), retain_graph=True), strict=True))


def close(found, expected, rtol):
    expected = np.asarray(expected)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=rtol * abs(expected).max())


def test_cut_and_pyramid():
    want, (a, b) = golden(), maps(torch.float32)
    close(standardise_cut(a[:2]), want["standardize_cut_a"], 2e-6)
    for k, level in enumerate(gaussian_pyramid(a, 6)[1:], 1):
        known = want[f"pyramid_a_level{k}"]
        close(level[: len(known)], known, 2e-6)
    for k, level in enumerate(gaussian_pyramid(draw("odd", (1, 57, 57)), 4)[1:], 1):
        close(level[0], want[f"pyramid_odd57_level{k}"], 2e-6)
    close(pyramid_error(a, b, torch.tensor(want["tokens"])), want["pyramidal_mse"], 2e-6)
    a, b = maps()
    tokens = torch.tensor(want["tokens"], dtype=WIDE)
    close(pyramid_error(a, b, tokens), want["pyramidal_mse_float64"], 1e-9)


@pytest.mark.parametrize(("dtype", "suffix", "rtol"), [(torch.float32, "", 5e-6), (WIDE, "_float64", 1e-9)])
def test_the_loss_and_its_gradients(dtype, suffix, rtol):
    want = golden()
    net, out, ours = forward(dtype)
    close(out, want["logits"], 2e-6)
    close(ours, want["saliency"], 2e-6)
    term = harmonisation(ours, maps(dtype)[1], torch.tensor(want["tokens"]))
    close(term, want[f"harmonization_loss{suffix}"], min(rtol, 2e-6))
    task = F.cross_entropy(out, LABELS, label_smoothing=0.1)
    close(task, want[f"cross_entropy{suffix}"], min(rtol, 2e-6))
    penalty = sum(one.square().sum() for one in net.values()) / 2
    for weight in (0, 1):
        for key, gradient in gradients(net, task + 1e-5 * penalty + weight * term).items():
            close(gradient, want[f"grad_lambda{weight}{suffix}/{key}"], rtol)


def test_without_maps_training_is_unchanged():
    net, out, ours = forward(torch.float32)
    term = harmonisation(ours, maps(torch.float32)[1], torch.zeros(4))
    task = F.cross_entropy(out, LABELS)
    assert term == 0
    plain, both = gradients(net, task), gradients(net, task + term)
    assert all(torch.equal(plain[key], both[key]) for key in net)


@pytest.mark.parametrize("standardise", ["map", "levels"])
def test_equal_maps_and_scaled_maps(standardise):
    a, b = maps()
    ones = torch.ones(4)
    assert harmonisation(a, a, ones, standardise=standardise) < 1e-9
    term = harmonisation(a, b, ones, standardise=standardise)
    if standardise == "map":  # a constant changes the padded border of raw levels
        torch.testing.assert_close(harmonisation(a, b + 3, ones), term, rtol=1e-4, atol=0)
    torch.testing.assert_close(
        harmonisation(a, 7 * b, ones, standardise=standardise), term, rtol=1e-4, atol=0
    )


def test_mirrored_maps_differ_only_by_the_padding():
    ones = torch.ones(4)
    for size, equal in ((65, True), (64, False)):
        a, b = (draw(key, (4, size, size), WIDE) for key in "ab")
        term, mirrored = harmonisation(a, b, ones), harmonisation(a.flip(-1), b.flip(-1), ones)
        assert torch.isclose(term, mirrored, rtol=1e-12) == equal


def test_finite_differences_with_a_constant_peak():
    net, out, ours = forward()
    theirs, tokens = maps()[1], torch.tensor([1.0, 0, 1, 0.5], dtype=WIDE)
    cut, peak = standardise_cut(theirs), standardise_cut(ours).detach().amax((1, 2), keepdim=True)
    target = cut / (cut.amax((1, 2), keepdim=True) + 1e-6) * (peak + 1e-6)

    def loss(state):
        images = draw("images", (4, 64, 64, 3), WIDE).permute(0, 3, 1, 2).requires_grad_()
        found = logits(state, images)
        term = pyramid_error(standardise_cut(saliency(found, images, LABELS)), target, tokens)
        return F.cross_entropy(found, LABELS) + term

    found = gradients(net, F.cross_entropy(out, LABELS) + harmonisation(ours, theirs, tokens))
    for key, value in net.items():
        way = draw(f"way/{key}", tuple(value.shape), WIDE)
        ends = [loss({**net, key: (value + s * way).detach()}).detach() for s in (1e-6, -1e-6)]
        slope = (found[key] * way).sum()
        torch.testing.assert_close((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-6, atol=1e-7)


def test_constant_maps_and_half_precision():
    flat = torch.zeros(2, 32, 32, requires_grad=True)
    term = harmonisation(flat, torch.ones(2, 32, 32), torch.ones(2))
    term.backward()
    assert term == 0
    assert torch.isfinite(flat.grad).all()
    assert harmonisation(flat.half(), torch.ones(2, 32, 32), torch.ones(2)).dtype == torch.float32


def test_mistakes():
    a, ones = torch.zeros(1, 8, 8), torch.ones(1)
    with pytest.raises(CornetError, match="levels=0 must be a whole number, at least 1"):
        harmonisation(a, a, ones, levels=0)
    with pytest.raises(CornetError, match="standardise='both' is unknown; choose one of map, levels"):
        harmonisation(a, a, ones, standardise="both")
