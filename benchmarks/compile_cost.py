"""What compiling a network costs: seconds and graphs for each variant.

    python benchmarks/compile_cost.py --size 224 --batch 256                  # a GPU
    OMP_NUM_THREADS=2 python benchmarks/compile_cost.py --size 64 --batch 16 --width 0.25

Each network runs in each mode (training, evaluation, evaluation with states as for brain recording) and in each twice,
with a smaller last batch in evaluation. Seconds are those of the first call less those of the second; caches of earlier
processes are off unless --warm, which tells what a second start takes. Writes results/compile_cost.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch._inductor.config
from record import device_named, write_record
from rich.console import Console
from rich.table import Table
from torch._dynamo.utils import counters

from cornet.models import CORnet, create_model

RESULTS = Path(__file__).parent / "results" / "compile_cost.json"
MODES = ("training", "evaluation", "states")
PIXELS = (torch.full((3, 1, 1), 120.0), torch.full((3, 1, 1), 60.0))


def call(net: CORnet, mode: str, images: torch.Tensor) -> float:
    """Seconds of one call, with its backward pass in training."""
    pixels = (PIXELS[0].to(images.device), PIXELS[1].to(images.device))
    start = time.perf_counter()
    net.train(mode == "training")
    with torch.autocast(images.device.type, torch.bfloat16):
        if mode == "training":
            net(images, pixels=pixels).float().square().mean().backward()
        else:
            with torch.inference_mode():
                net(images, pixels=pixels, return_states=mode == "states")
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(name: str, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Seconds of compilation and graphs, by mode."""
    net = create_model(name, width=arguments.width).to(device, memory_format=torch.channels_last)
    net.compile(arguments.memory_budget)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    found = {}
    for mode in MODES:
        counters.clear()
        first = call(net, mode, images)
        again = call(net, mode, images)
        if mode != "training":
            call(net, mode, images[: arguments.batch - 1])
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        found[mode] = {"seconds": first - again, "step_seconds": again, "graphs": graphs, "breaks": breaks}
    if not net.compiled:
        raise SystemExit("the network was not compiled, as told above")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["cornet_z", "cornet_r", "cornet_rt", "cornet_s"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--memory-budget", type=float)
    parser.add_argument("--warm", action="store_true", help="with the caches of earlier processes")
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    device = device_named(arguments.device)
    torch._inductor.config.force_disable_caches = not arguments.warm
    results = {}
    table = Table("network", "mode", "seconds", "graphs", "breaks")
    for name in arguments.networks:
        torch._dynamo.reset()
        results[name] = measure(name, arguments, device)
        for mode, one in results[name].items():
            table.add_row(name, mode, f"{one['seconds']:.1f}", str(one["graphs"]), str(one["breaks"]))
    Console().print(table)
    names = ("batch", "size", "width", "memory_budget", "warm")
    write_record(
        arguments.out,
        device,
        arguments.beside,
        settings={name: getattr(arguments, name) for name in names},
        results=results,
    )


if __name__ == "__main__":
    main()
