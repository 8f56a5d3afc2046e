"""Brain scores in a training script in the style of timm's: any timm network, its averaged weights, a summary table.

pip install timm
python examples/score_in_timm.py --model resnet18 --epochs 2
"""

import argparse

import timm
import torch
from timm.utils import AverageMeter, ModelEmaV3, update_summary
from torch.utils.data import DataLoader
from torchvision.datasets import FakeData
from torchvision.transforms import ToTensor

import cornet
from cornet import brain


def train_one_epoch(net, average, images, optimiser):
    losses = AverageMeter()
    net.train()
    for batch, labels in images:
        loss = torch.nn.functional.cross_entropy(net(batch), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update(net)
        losses.update(loss.item(), len(batch))
    return {"loss": losses.avg}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--layers", default="V4=layer3,IT=layer4")
    given = parser.parse_args()

    net = timm.create_model(given.model, num_classes=10)
    average = ModelEmaV3(net, decay=0.9)
    config = timm.data.resolve_model_data_config(net)
    images = DataLoader(FakeData(64, (3, given.size, given.size), transform=ToTensor()), batch_size=16)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    benchmarks = brain.open_benchmarks(["simulated.V4", "simulated.IT"])
    screen = {"size": given.size, "mean": config["mean"], "std": config["std"]}
    layers = dict(part.split("=") for part in given.layers.split(","))
    for epoch in range(given.epochs):
        trained = train_one_epoch(net, average, images, optimiser)
        table = cornet.score(average.module, on=benchmarks, layers=layers, **screen)
        scores = dict(zip(table["benchmark"], table["value"], strict=True))
        update_summary(epoch, trained, scores, "summary.csv", write_header=epoch == 0)
        print(epoch, trained, scores)


if __name__ == "__main__":
    main()
