"""How fast networks train: the published way (fp32, NCHW, eager) against ours, in turns in one run.

    OMP_NUM_THREADS=2 python benchmarks/train_throughput.py                       # a CPU: minutes
    python benchmarks/train_throughput.py --batch 256 --rounds 7 --compile        # a GPU

The published way: float images in, fp32 (on a GPU both strict and with TF32), PyTorch's default layout, no compiler,
a loop over the parameters in SGD, the whole batch at every step of every area (also before the image arrives and
after it can reach the read-out). Ours: uint8 images normalised in the step, bf16 autocast, channels-last, fused SGD,
only the steps that matter, and with --compile one graph. Images are made up and are on the device already: this
is the step, not the loader. The figure is the median over rounds, with the quartiles; the ratio is that within a round.

Utilisation is that of the definition's work: 3 (forward, and backward twice) x 2 (multiply, add) x multiply-adds,
over the peak of the device (--peak in TFLOP/s, or a table of known cards); none is told for an unknown one.
Writes results/train_throughput.json.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from record import device_named, write_record
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cornet.models import CORnet, count_macs, create_model
from cornet.training.callbacks.throughput import known_peak
from cornet.training.recipe import Recipe

RESULTS = Path(__file__).parent / "results" / "train_throughput.json"
PIXELS = (torch.full((3, 1, 1), 120.0), torch.full((3, 1, 1), 60.0))
Step = Callable[[], Tensor]


class EveryStep:
    """A network's areas unrolled as the definition has it, with nothing left out."""

    def __init__(self, net: CORnet):
        self.net = net

    def __call__(self, images: Tensor) -> Tensor:
        net = self.net
        if net.unroll == "sequential":
            return net(images)  # here nothing can be left out
        lag = 1 if net.unroll == "synchronous" else 0
        names = list(net.areas)
        outputs: dict[str, list[Tensor]] = {name: [] for name in names}
        sizes = image_sizes(net, images.shape[-1])
        for step in range(net.steps["IT"]):
            for position, name in enumerate(names):
                area: Any = net.areas[name]
                if position and not step:
                    drive = images.new_zeros(len(images), area.channels, *sizes[name])
                else:
                    drive = area.drive(outputs[names[position - 1]][step - lag] if position else images, step)
                outputs[name].append(area.step(drive, outputs[name][-1] if step else None, step))
        return net.decoder(outputs["IT"][-1].mean(dim=(-2, -1)))


def image_sizes(net: CORnet, pixels: int) -> dict[str, tuple[int, int]]:
    """(y, x) of every area's output."""
    found, size = {}, (pixels, pixels)
    for name, area in net.areas.items():
        _, size = area.work(size, 1, 1)  # type: ignore[operator]
        found[name] = size
    return found


def published(name: str, arguments: argparse.Namespace, device: torch.device) -> Step:
    """A training step as the networks were published with."""
    net = create_model(name, width=arguments.width).to(device).train()
    run = EveryStep(net)
    optimiser = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4, foreach=False)
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device=device)
    labels = torch.randint(0, 1000, (arguments.batch,), device=device)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def ours(name: str, arguments: argparse.Namespace, device: torch.device, **compiler: Any) -> Step:
    """A training step as recipe=fast has it. compiler: options of `CORnet.compile`."""
    net = create_model(name, width=arguments.width).to(device, memory_format=torch.channels_last).train()
    if arguments.compile:
        net.compile(**compiler)
    recipe = Recipe(epochs=1, batch_size=arguments.batch, learning_rate=0.01, schedule="constant")
    optimiser = recipe.optimiser(net)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    labels = torch.randint(0, 1000, (arguments.batch,), device=device)
    pixels = (PIXELS[0].to(device), PIXELS[1].to(device))

    def step() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            loss = F.cross_entropy(net(images, pixels=pixels), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.detach()

    return step


def timed(step: Step, count: int, device: torch.device, tf32: bool = False) -> float:
    """Seconds of `count` steps."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        loss = step()
    float(loss)  # the device has come to the end
    return time.perf_counter() - start


def peak_memory(step: Step, device: torch.device) -> float | None:
    """Bytes at the peak of one step, on a GPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return float(torch.cuda.max_memory_allocated(device))


def measure(name: str, arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Images/s of each way, and how much faster ours is."""
    ways: dict[str, tuple[Callable[..., Step], bool]] = {"published": (published, False)}
    if device.type == "cuda":
        ways["published, TF32"] = (published, True)
    ways["ours"] = (ours, False)
    steps = {way: make(name, arguments, device) for way, (make, _) in ways.items()}
    memory = {}
    for way, step in steps.items():
        timed(step, arguments.warm_up, device, ways[way][1])
        memory[way] = peak_memory(step, device)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(arguments.rounds):
        order = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for way in order:
            seconds[way].append(timed(steps[way], arguments.steps, device, ways[way][1]))
    images = arguments.steps * arguments.batch
    net = create_model(name, width=arguments.width)
    flops = 6 * count_macs(net, arguments.size)
    peak = arguments.peak or known_peak(device)
    found: dict[str, Any] = {"ways": {}, "faster": {}}
    for way, taken in seconds.items():
        rate = statistics.median(images / one for one in taken)
        found["ways"][way] = {
            "images_per_second": rate,
            "quartiles": quartiles([images / one for one in taken]),
            "peak_bytes": memory[way],
            "utilisation": rate * flops / (peak * 1e12) if peak else None,
        }
        if way != "ours":
            ratios = [one / other for one, other in zip(taken, seconds["ours"], strict=True)]
            found["faster"][way] = {"ratio": statistics.median(ratios), "quartiles": quartiles(ratios)}
    return found


def quartiles(values: list[float]) -> list[float]:
    """The first and third; the extremes of fewer than four."""
    if len(values) < 4:
        return [min(values), max(values)]
    first, _, third = statistics.quantiles(values, n=4)
    return [first, third]


def show(results: dict[str, Any]) -> None:
    table = Table("network", "way", "images/s", "peak memory", "utilisation", "ours is faster")
    for name, found in results.items():
        for way, one in found["ways"].items():
            memory = f"{one['peak_bytes'] / 1e9:.1f} GB" if one["peak_bytes"] else ""
            used = f"{100 * one['utilisation']:.1f} %" if one["utilisation"] else ""
            faster = f"{found['faster'][way]['ratio']:.2f} x" if way in found["faster"] else ""
            table.add_row(name, way, f"{one['images_per_second']:.1f}", memory, used, faster)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["cornet_z", "cornet_rt", "cornet_s"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="in a round")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--peak", type=float, help="dense bf16 TFLOP/s of the device")
    parser.add_argument("--beside", default="", help="what else ran on the machine, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    device = device_named(arguments.device)
    results = {}
    for name in arguments.networks:
        results[name] = measure(name, arguments, device)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    show(results)
    write_record(
        arguments.out,
        device,
        arguments.beside,
        settings={
            key: getattr(arguments, key) for key in ("batch", "size", "width", "rounds", "steps", "compile")
        },
        results=results,
    )


if __name__ == "__main__":
    main()
