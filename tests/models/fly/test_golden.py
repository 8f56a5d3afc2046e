"""Small olfactory circuits against outputs of the public code: first step, gradients, 20 steps of Adam."""

import numpy as np
import pytest
import torch

from cornet.models.fly.network import mixed_glomeruli
from cornet.models.fly.norms import FixedActivity, MeanCentre, OlsenNorm
from tests.helpers.models.fly import first_circuit, normal, second_circuit, trained, uniform
from tests.helpers.paths import GOLDEN

FIRST = {
    "standard": {},
    "noprune": {"prune": False},
    "signed": {"signed": True},
    "receptor": {"expression": True, "norm_pn": "none", "norm_kc": "batch"},
    "olsen": {"norm_pn": "olsen"},
    "recinh": {"inhibition": 0.5, "inhibition_steps": 3},
}
SECOND = {
    "plain": {},
    "receptor": {"expression": True, "norm_pn": "none", "norm_kc": "batch"},
    "inhibition": {"inhibition": 0.4},
    "olsen": {"norm_pn": "none", "post_norm_pn": "olsen"},
}
NO_GRADIENT = {"receptor": ("layer1.bias", "layer2.bias")}
"""Biases before a batch norm, beside layer1.bias of the others: their gradient is rounding noise."""


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "olfaction.npz") as file:
        return dict(file)


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("variant", FIRST)
def test_first_circuit(golden, variant, fold):
    net, odours, labels = first_circuit(fold=fold, **FIRST[variant])
    losses, gradients, states, loss_after = trained(net, odours, labels, 5e-3)
    prefix = f"a/net/{variant}"
    np.testing.assert_allclose(losses, golden[f"{prefix}/losses20"], rtol=1e-5)
    np.testing.assert_allclose(states["KC"][:4], golden[f"{prefix}/kc"], atol=3e-6)
    compared = 0
    for name, found in gradients.items():
        if name in NO_GRADIENT.get(variant, ("layer1.bias",) if variant != "olsen" else ()):
            continue
        expected = golden.get(f"{prefix}/grad/{name}")
        if expected is not None:
            scale = max(np.abs(expected).max(), 1e-12)
            np.testing.assert_allclose(
                found / scale, expected / scale, atol=3e-5 if variant == "receptor" else 1e-5
            )
            compared += 1
    assert compared >= 5
    # The bias before the batch norm drifts by rounding noise, and the running mean follows it slowly.
    np.testing.assert_allclose(loss_after, golden[f"{prefix}/eval_loss_after20"], atol=3e-3)
    pn = net.wiring().glomeruli.T
    np.testing.assert_allclose(pn, golden[f"{prefix}/w_orn_after20"], atol=1e-4)
    np.testing.assert_allclose(net.wiring().claws.T, golden[f"{prefix}/w_glo_after20"], atol=1e-4)


@pytest.mark.parametrize("variant", SECOND)
def test_second_circuit_in_double_precision(golden, variant):
    net, odours, labels = second_circuit(**SECOND[variant])
    losses, gradients, states, loss_after = trained(net.double(), odours.double(), labels, 0.01)
    key = "b/net/{}/{}_float64".format
    np.testing.assert_allclose(losses, golden[key(variant, "losses")], rtol=1e-12)
    for area in ("KC", "PN"):
        np.testing.assert_allclose(states[area][:4], golden[key(variant, area.lower())], atol=1e-13)
    for name in ("layer1.weight", "layer2.weight"):
        np.testing.assert_allclose(gradients[name], golden[key(variant, f"grad/{name}")], rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        net.wiring().glomeruli.abs(), golden[key(variant, "layer1_after20")], atol=1e-9
    )
    np.testing.assert_allclose(loss_after, golden[key(variant, "eval_loss_after20")], rtol=1e-8)


def test_norms(golden):
    rates = torch.tensor(np.abs(normal("olfaction:norm", (4, 10))))
    for norm, name in (
        (OlsenNorm(10), "olsen"),
        (FixedActivity(), "fixed_activity"),
        (MeanCentre(), "mean_center"),
    ):
        np.testing.assert_allclose(norm(rates).detach(), golden[f"b/norm/{name}"], atol=1e-6)
    norm = OlsenNorm(6)
    with torch.no_grad():
        for parameter, value in ((norm.rho, 0.3), (norm.m, 0.5), (norm.r_max, 3.0)):
            parameter.fill_(value)
    odours = torch.tensor(uniform("olf:x", (32, 6))[:4], dtype=torch.float32)
    np.testing.assert_allclose(norm(odours).detach(), golden["a/olsen/out"], atol=1e-6)


def test_mixed_glomeruli(golden):
    np.testing.assert_array_equal(mixed_glomeruli(6, 2), golden["a/multiglo_mask_6_6_2"])
