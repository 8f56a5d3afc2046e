"""Brain scores in a plain PyTorch loop.

    python examples/score_in_a_loop.py

cornet.score returns a pandas table with one row per benchmark. It leaves the network as it is, so it can be called
anywhere in a training.
"""

import pandas as pd
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import FakeData
from torchvision.models import resnet18
from torchvision.transforms import ToTensor

import cornet
from cornet import brain


def main():
    images = DataLoader(FakeData(64, (3, 64, 64), transform=ToTensor()), batch_size=16)
    net = resnet18(num_classes=10)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    benchmarks = brain.open_benchmarks(
        ["simulated.V4", "simulated.IT"]
    )  # once: the data are then loaded once
    tables = []
    for epoch in range(3):
        if epoch:  # the first scores are of the untrained network
            for batch, labels in images:
                optimiser.zero_grad()
                F.cross_entropy(net(batch), labels).backward()
                optimiser.step()
        table = cornet.score(net, on=benchmarks, layers={"V4": "layer3", "IT": "layer4"}, size=64)
        tables.append(table.assign(epoch=epoch))
        print(f"epoch {epoch}: " + ", ".join(f"{row.region} {row.value:.3f}" for row in table.itertuples()))
    pd.concat(tables).to_csv("scores.csv", index=False)


if __name__ == "__main__":
    main()
