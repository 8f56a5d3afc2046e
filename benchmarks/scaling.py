"""What a training step costs against steps per area, width, image size, batch and ranks.

    python benchmarks/scaling.py                                # two cores: minutes, at a small size
    python benchmarks/scaling.py --device cuda --large          # a GPU, at 224 px; adds peak memory
    python benchmarks/scaling.py --budget 0.5                   # compiled, keeping half of the activations

A step is forward, backward and SGD on made-up images, fp32. Time is the median of `--rounds` after one that is not
counted. Memory is what the forward pass keeps for the backward pass (every storage once, weights not counted), which is
the same on every device; on a GPU also the peak of what was allocated. From steps per area a straight line is fitted:
its share of the variance (R^2) says how linear the growth is. Ranks share one batch, by gloo on a CPU (they then share
its cores as well: what is seen is what the exchange costs, not what a second machine gains), by NCCL on GPUs.
Writes results/scaling.json and results/scaling.png.
"""

import argparse
import datetime
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cornet.models import create_model
from cornet.runs.provenance import versions

RESULTS = Path(__file__).parent / "results" / "scaling.json"
STEPS = (1, 2, 4, 8, 16)
SMALL = {"steps": 2, "width": 0.25, "size": 64, "batch": 16}
LARGE = {"steps": 2, "width": 1.0, "size": 224, "batch": 64}


def network(steps: int, width: float) -> nn.Module:
    """CORnet-S with as many steps in each of V2, V4 and IT."""
    return create_model(
        "cornet_s", num_classes=100, width=width, times={"V2": steps, "V4": steps, "IT": steps}
    )


def kept_bytes(net: nn.Module, images: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    weights = {p.untyped_storage().data_ptr() for p in [*net.parameters(), *net.buffers()]}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = net(images)
    del logits
    return sum(found.values())


def measure(
    steps: int, width: float, size: int, batch: int, device: str, rounds: int, budget: float | None = None
) -> dict[str, Any]:
    """Median seconds of a training step, and its memory, of one process."""
    torch.manual_seed(0)
    net = network(steps, width).to(device)
    if budget is not None:
        net.compile(budget)  # type: ignore[call-arg]
    images = torch.randn(batch, 3, size, size, device=device)
    kept = kept_bytes(net, images)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(net, net, images, rounds)
    peak = {"peak_mb": torch.cuda.max_memory_allocated() / 1e6} if device == "cuda" else {}
    return {
        "steps": steps, "width": width, "size": size, "batch": batch,
        "seconds": round(statistics.median(seconds), 5), "all_seconds": [round(s, 5) for s in seconds],
        "kept_mb": round(kept / 1e6, 3), **peak,
    }  # fmt: skip


def timed(model: nn.Module, net: nn.Module, images: Tensor, rounds: int) -> list[float]:
    """Seconds of each training step after the first."""
    labels = torch.arange(len(images), device=images.device) % 100
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        optimiser.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()
        if images.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def rank(number: int, world: int, meeting: str, common: dict[str, Any], device: str, rounds: int) -> None:
    """One of the ranks that share a batch; the first writes what it measured beside their meeting place."""
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=number, world_size=world)
    torch.set_num_threads(1)
    place = torch.device(device, number) if device == "cuda" else torch.device("cpu")
    torch.manual_seed(0)
    net = network(common["steps"], common["width"]).to(place)
    images = torch.randn(common["batch"] // world, 3, common["size"], common["size"], device=place)
    model = DistributedDataParallel(net, gradient_as_bucket_view=True, static_graph=True)
    seconds = timed(model, net, images, rounds)
    if number == 0:
        found = {**common, "ranks": world, "seconds": statistics.median(seconds), "all_seconds": seconds}
        Path(f"{meeting}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def measure_ranks(world: int, common: dict[str, Any], device: str, rounds: int) -> dict[str, Any]:
    """The same batch on so many ranks of this machine, each on one thread or one GPU."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"{folder}/meeting"
        torch.multiprocessing.spawn(rank, (world, meeting, common, device, rounds), nprocs=world)
        return json.loads(Path(f"{meeting}.json").read_text())


def line(rows: list[dict[str, Any]], what: str) -> dict[str, float]:
    """A straight line through a cost against steps: its start, its slope, and R^2."""
    x, y = np.array([row["steps"] for row in rows]), np.array([row[what] for row in rows])
    slope, start = np.polyfit(x, y, 1)
    left = float(((y - start - slope * x) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    return {"start": float(start), "per_step": float(slope), "r2": 1 - left}


def draw(figures: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Seconds and memory against each of the axes."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    axes_of = {
        "steps": "steps per area",
        "width": "width",
        "size": "image size (px)",
        "batch": "batch",
        "ranks": "ranks",
    }
    figure, panels = plt.subplots(2, len(axes_of), figsize=(14, 5.4), sharex="col", layout="constrained")
    for column, (axis, label) in enumerate(axes_of.items()):
        curves = {axis: "whole"} | ({"steps_budget": "with a budget"} if axis == "steps" else {})
        for row, (what, unit) in enumerate(
            (("seconds", "seconds a step"), ("kept_mb", "MB kept for backward"))
        ):
            panel = panels[row, column]
            for name, told in curves.items():
                points = [p for p in figures.get(name, []) if what in p]
                if points:
                    panel.plot([p[axis] for p in points], [p[what] for p in points], "o-", ms=4, label=told)
            if not panel.lines:
                panel.axis("off")
                continue
            panel.set_ylim(bottom=0)
            panel.set_xlim(left=0)
            panel.set_xticks([p[axis] for p in figures[axis]])
            panel.spines[["top", "right"]].set_visible(False)
            panel.grid(alpha=0.25)
            if column == 0:
                panel.set_ylabel(unit)
            if len(panel.lines) > 1:
                panel.legend(frameon=False)
            if row == 1 or axis == "ranks":
                panel.set_xlabel(label)
                panel.tick_params(labelbottom=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", action="store_true", help="CORnet-S as published, at 224 px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--budget", type=float, help="also compiled, keeping this share of the activations")
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    common = LARGE if arguments.large else SMALL
    load = os.getloadavg()[0]
    sweeps: dict[str, list[Any]] = {
        "steps": list(STEPS),
        "width": [common["width"] * factor for factor in (0.5, 1, 2)],
        "size": [common["size"] * factor // 2 for factor in (1, 2, 3)],
        "batch": [int(common["batch"] * factor) for factor in (0.5, 1, 2)],
    }
    figures: dict[str, list[dict[str, Any]]] = {}

    def note(axis: str, found: dict[str, Any]) -> None:
        figures.setdefault(axis, []).append(found)
        print(f"{axis}: {json.dumps(found)}", flush=True)

    for axis, values in sweeps.items():
        for value in values:
            given = {**common, axis: value}
            note(axis, measure(**given, device=arguments.device, rounds=arguments.rounds))
            if axis == "steps" and arguments.budget is not None:
                found = measure(
                    **given, device=arguments.device, rounds=arguments.rounds, budget=arguments.budget
                )
                note("steps_budget", {**found, "budget": arguments.budget})
    for world in arguments.ranks:
        note("ranks", measure_ranks(world, dict(common), arguments.device, arguments.rounds))
    lines = {
        name: {what: line(figures[name], what) for what in ("seconds", "kept_mb")}
        for name in ("steps", "steps_budget")
        if name in figures
    }
    print(f"lines: {json.dumps(lines)}")
    gpu = {"gpu": torch.cuda.get_device_name()} if arguments.device == "cuda" else {}
    content = {
        "what": "a training step of CORnet-S, fp32, made-up images; V1 has one step throughout",
        "date": datetime.date.today().isoformat(),
        "device": arguments.device,
        **gpu,
        "threads": arguments.threads,
        "load_average_before": load,
        "beside": arguments.beside,
        "made_with": versions(),
        "lines": lines,
        "figures": figures,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    draw(figures, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
