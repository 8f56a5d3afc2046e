"""What each loss beside the task's adds to a training step.

    OMP_NUM_THREADS=2 python benchmarks/loss_cost.py --rounds 9 [--models cornet_z cornet_s] [--size 64] [--batch 32]

Plain steps and steps with each loss are timed in turn, forward and backward, on the same batch of rendered objects with
maps; reported are medians and the ratio to the plain step. Results are added to results/loss_cost.json.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from record import write_record

from cornet.losses import Harmonisation, Loss, RecordingAlignment, WeightPenalty
from cornet.models import create_model
from cornet.stimuli.objects import RenderedObjects
from cornet.stimuli.samples import Key, collate
from cornet.training.learner import Learner
from cornet.training.recipe import Recipe

OUT = Path(__file__).parent / "results" / "loss_cost.json"
WARM_UP = 2


def losses() -> dict[str, dict[str, Loss]]:
    return {
        "plain": {},
        "harmonisation": {"one": Harmonisation(1.0)},
        "weight penalty": {"one": WeightPenalty()},
        "recordings, cka": {"one": RecordingAlignment("simulated.V4")},
        "recordings, regression": {"one": RecordingAlignment("simulated.V4", measure="regression")},
    }


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure(name: str, width: float, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Median seconds of a step by loss, and the ratio to the plain one."""
    source = RenderedObjects(train_images=arguments.batch, val_images=64, size=arguments.size, maps=True)
    batch = collate(source.train().__getitems__([Key(k, 0) for k in range(arguments.batch)]))
    batch = batch._replace(
        inputs=batch.inputs.to(device), targets={key: one.to(device) for key, one in batch.targets.items()}
    )
    modules = {}
    for loss, terms in losses().items():
        torch.manual_seed(0)
        net = create_model(name, num_classes=8, width=width)
        settings: dict[str, Any] = {
            "epochs": 1,
            "learning_rate": 0.1,
            "schedule": "constant",
            "compile": arguments.compile,
        }
        recipe = Recipe(batch_size=arguments.batch, **settings)
        modules[loss] = Learner(net, recipe, source.mean, source.std, losses=terms, source=source).to(device)
    times: dict[str, list[float]] = {loss: [] for loss in modules}
    for _ in range(WARM_UP + arguments.rounds):
        for loss, module in modules.items():
            start = now(device)
            module.zero_grad()
            module.loss(batch, batch.inputs)[0].backward()
            times[loss].append(now(device) - start)
    seconds = {loss: statistics.median(every[WARM_UP:]) for loss, every in times.items()}
    return {
        loss: {"seconds": round(one, 4), "ratio": round(one / seconds["plain"], 2)}
        for loss, one in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["cornet_z", "cornet_s"])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--compile", action="store_true", help="compile the plain steps")
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for name in arguments.models:
        found[name] = measure(name, arguments.width, arguments, device)
        for loss, one in found[name].items():
            print(f"{name:10} {loss:24} {one['seconds']:.3f} s  {one['ratio']:.2f} x")
    write_record(OUT, device, arguments.beside, settings=vars(arguments), models=found)


if __name__ == "__main__":
    main()
