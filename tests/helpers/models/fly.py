"""The small olfactory circuits of tests/golden/olfaction.npz, whose weights and inputs are drawn by formulas."""

import zlib

import numpy as np
import torch
import torch.nn.functional as F

from cornet.models import create_model

LAYERS = {"areas.ORN.expression": "layer0", "areas.PN": "layer1", "areas.KC": "layer2", "decoder": "layer3"}


def rng(key):
    return np.random.default_rng(zlib.crc32(key.encode()))


def uniform(key, shape):
    return rng(key).random(shape)


def normal(key, shape):
    return rng(key).standard_normal(shape, dtype=np.float32)


def golden_name(name):
    """The name of a parameter in the golden file; None: it has none."""
    return next((new + name[len(own) :] for own, new in LAYERS.items() if name.startswith(own)), None)


def first_circuit(**variant):
    """6 receptors with 3 copies, 6 PN, 20 KC, 5 classes; and a batch."""
    net = create_model("fly", num_classes=5, receptors=6, copies=3, kc=20, **variant)
    values = {
        "layer0.weight": uniform("olf:layer0.weight", (18, 6)),
        "layer1.weight": 4 / 18 * uniform("olf:layer1.weight", (6, 18)) - 0.05,
        "layer2.weight": 4 / 6 * uniform("olf:layer2.weight", (20, 6)) - 0.1,
        "layer1.bias": 0.1 * normal("olf:layer1.bias", 6),
        "layer2.bias": -0.3 + 0.1 * normal("olf:layer2.bias", 20),
        "layer3.weight": 0.3 * normal("olf:layer3.weight", (5, 20)),
        "layer3.bias": 0.3 * normal("olf:layer3.bias", 5),
    }
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if (key := golden_name(name)) in values:
                parameter.copy_(torch.tensor(values[key], dtype=torch.float32))
    odours = torch.tensor(uniform("olf:x", (32, 6)), dtype=torch.float32)
    return net, odours, torch.arange(32) * 7 % 5


def second_circuit(**variant):
    """10 receptors with 2 copies, 10 PN, 40 KC, 6 classes; and a batch."""
    net = create_model("fly", num_classes=6, receptors=10, copies=2, kc=40, **variant)
    scales = {"layer0.weight": 0.2, "layer1.weight": 0.1, "layer2.weight": 0.2, "layer3.weight": 0.1}
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            key, shape = golden_name(name), tuple(parameter.shape)
            drawn = normal(f"olfaction:{key}", shape)
            if key == "layer2.bias":
                value = np.full(shape, -1.0)
            elif key == "layer0.weight":
                value = np.abs(drawn) * np.float32(scales[key])
            elif key in scales:
                value = drawn * np.float32(scales[key])
            else:
                value = (1 if key.endswith("norm.weight") else 0) + np.float32(0.1) * drawn
            parameter.copy_(torch.tensor(value, dtype=torch.float32))
    odours = torch.tensor(rng("olfaction:x").random((32, 10), dtype=np.float32))
    return net, odours, torch.arange(32) % 6


def trained(net, odours, labels, rate, steps=20):
    """Train by Adam. Returns the losses, the gradients and states of the first step, and the loss in evaluation."""
    optimiser, losses, gradients = torch.optim.Adam(net.parameters(), lr=rate), [], {}
    net.train()
    for step in range(steps):
        optimiser.zero_grad()
        logits, states = net(odours, return_states=True)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            first = {name: state[0].detach().clone() for name, state in states.items()}
            gradients = {
                golden_name(n): p.grad.clone() for n, p in net.named_parameters() if p.grad is not None
            }
        optimiser.step()
    net.eval()
    return losses, gradients, first, F.cross_entropy(net(odours), labels).item()
