"""How far our networks are from the published definitions' outputs (tests/golden/cornet.npz).

    python benchmarks/golden_difference.py

Prints, per network, the largest relative difference (max |a - b| / max |expected|) of logits and area outputs in
fp32, and of logits, five training losses and first-step gradient norms in float64.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from cornet.models.cornet.published import published_names
from tests.helpers.models.golden_networks import golden_images, golden_network


def difference(ours: object, expected: np.ndarray) -> float:
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


def evaluate(letter: str, golden: dict[str, np.ndarray]) -> list[float]:
    """Logits and samples of all areas in fp32; logits, losses and gradient norms in float64."""
    net = golden_network(letter).eval()
    images = golden_images(int(golden[f"{letter}/size"]))
    with torch.no_grad():
        logits, states = net(images, return_states=True)
        exact = net.double()(images.double())
    samples = []
    for area, state in states.items():
        where = np.random.default_rng(0).integers(0, state[0].numel(), 64)
        expected = golden[f"{letter}/{area}/sample"]
        samples.append(difference(np.stack([s.flatten()[where] for s in state]), expected))
    net = golden_network(letter).double().train()
    images = golden_images(int(golden[f"{letter}/train_size"]), 4, "trainimages").double()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    losses: list[float] = []
    norms: dict[str, float] = {}
    for _ in range(5):
        loss = F.cross_entropy(net(images), torch.arange(4) * 7 % 1000)
        optimiser.zero_grad()
        loss.backward()
        if not losses:
            names = published_names(net)
            norms = {names[k]: float(p.grad.norm()) for k, p in net.named_parameters() if p.grad is not None}
        losses.append(loss.item())
        optimiser.step()
    return [
        difference(logits, golden[f"{letter}/logits"]),
        max(samples),
        difference(exact, golden[f"{letter}/logits_float64"]),
        difference(losses, golden[f"{letter}/train_losses_float64"]),
        difference([norms[k] for k in sorted(norms)], golden[f"{letter}/grad_norms_float64"]),
    ]


def main() -> None:
    with np.load(Path(__file__).parents[1] / "tests" / "golden" / "cornet.npz", allow_pickle=False) as file:
        golden = dict(file)
    table = Table(title="largest relative difference from the published definitions")
    for column in ("", "logits", "areas", "logits, f64", "losses, f64", "gradients, f64"):
        table.add_column(column, justify="right" if column else "left")
    for letter in ("z", "r", "rt", "s"):
        table.add_row(f"cornet_{letter}", *(f"{value:.1e}" for value in evaluate(letter, golden)))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
