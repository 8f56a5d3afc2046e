"""What the public brain scores cost a training, in seconds per evaluation.

    python benchmarks/battery_cost.py                                          # CORnet-S at 224 px; best on a GPU
    python benchmarks/battery_cost.py --width 0.25 --size 64 --threads 1       # one core: four minutes
    python benchmarks/battery_cost.py --fraction 0.05 --threads 1              # full width, few of the stimuli
    python benchmarks/battery_cost.py --made-up-features --threads 1           # comparisons alone, at full size
    python benchmarks/battery_cost.py --images-per-second 2500                 # the share of an ImageNet epoch

Writes made-up data of the real sizes (see made_up_public.py) to a temporary cache folder, opens the benchmarks by their
public names, and runs what the callback BrainScore runs: `evaluate` of a SharedNetwork, all from those files. Between
evaluations the weights are moved, so that nothing recorded before can answer.

The first evaluation also reads the data: opening the files, hashing the stimuli, decoding them (their screens are kept,
up to 2 GB), averaging responses, splits and ceilings. Later ones are what an epoch pays; of these the medians are
shown: recording by stimulus set (with the images a second), comparison by benchmark, and the rest. "pictures alone" is
a pass that decodes the stimuli without the network, as fast as it can be. The files were written just before, so that
the first evaluation finds them in the page cache. Memory is the process's peak. Processor time is told beside the time
on the clock: on a machine that others use too it says more. Where the network is slow, --made-up-features leaves it
out: rectified random features of its sizes are compared.

Targets, for CORnet-S at 224 px on a GPU: 15 s per evaluation, and 4 % of an epoch of ImageNet. Adds its figures to
results/battery_cost.json, one entry for each choice of device and sizes.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_up_public import make_public
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cornet import create_model
from cornet.brain.benchmarks import (
    Benchmark,
    I2nBenchmark,
    NeuralBenchmark,
    Result,
    TimesBenchmark,
    open_benchmarks,
)
from cornet.brain.benchmarks.registry import GROUPS
from cornet.brain.subjects.record.recording import Screen, _screens
from cornet.brain.subjects.record.screen_cache import ScreenCache
from cornet.brain.subjects.subject import Recording, Site
from cornet.files import atomic_write
from cornet.runs.provenance import versions
from cornet.stimuli.normalisation import normalise
from cornet.stimuli.stimulus_set import StimulusSet
from cornet.training.callbacks.brain.checks import check_benchmark
from cornet.training.callbacks.brain.evaluation import evaluate as evaluate_benchmarks
from cornet.training.callbacks.brain.shared_subject import SharedNetwork

RESULTS = Path(__file__).parent / "results" / "battery_cost.json"
IMAGENET = 1_281_167
TARGET_S, TARGET_SHARE = 15.0, 0.04


class TimedSubject(SharedNetwork):
    """Notes how long each recording took: (stimulus set, stimuli, seconds).

    made_up: None, or the seed of features that are returned instead of the network's.
    """

    def __init__(self, *arguments: Any, made_up: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made_up = made_up
        self.recorded: list[tuple[str, int, float]] = []

    def record(
        self,
        stimuli: StimulusSet,
        sites: Sequence[Site],
        degrees: float | None = None,
        label: str = "",
        **options: Any,
    ) -> Recording:
        start = time.perf_counter()
        if self.made_up is None:
            recording = super().record(stimuli, sites, degrees, label, **options)
        else:
            rng = np.random.default_rng(self.made_up)
            recording = Recording(stimuli.ids, made_up_features(len(stimuli), self.widths(sites), rng))
        self.recorded.append((stimuli.name, len(stimuli), time.perf_counter() - start))
        return recording


def made_up_features(
    stimuli: int, widths: dict[Site, int], rng: np.random.Generator
) -> dict[Site, NDArray[np.float32]]:
    """By site, rectified features (stimulus, feature) that share 60 latent variables of falling strength."""
    strength = 1 / np.sqrt(np.arange(1, 61, dtype=np.float32))
    latents = rng.standard_normal((stimuli, 60), np.float32) * strength
    found = {}
    for site, width in widths.items():
        features = latents @ rng.standard_normal((60, width), np.float32)
        features += 0.3 * rng.standard_normal((stimuli, width), np.float32)
        found[site] = np.maximum(features, 0, out=features)
    return found


def evaluate(
    net: Any, benchmarks: Sequence[Benchmark[Any]], size: int, made_up: int | None, screens: ScreenCache
) -> dict[str, Any]:
    """One evaluation as BrainScore.score_now makes it, by part. Raises where a benchmark fails."""
    start, cpu = time.perf_counter(), time.process_time()
    subject = TimedSubject(net, "network", size=size, made_up=made_up)
    subject.screen_cache = screens
    results: list[Result] = evaluate_benchmarks(subject, benchmarks, strict=True)
    seconds = time.perf_counter() - start
    recording = {name: taken for name, _, taken in subject.recorded}
    comparison = {result.benchmark.name: result.seconds for result in results}
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "recording": recording,
        "comparison": comparison,
        "rest": seconds - sum(recording.values()) - sum(comparison.values()),
        "stimuli": {name: count for name, count, _ in subject.recorded},
        "raw": {result.benchmark.name: float(result.score.raw) for result in results},
        "ceiling": {result.benchmark.name: float(result.score.ceiling) for result in results},
        "notes": {
            result.benchmark.name: list(result.score.notes) for result in results if result.score.notes
        },
    }


def prepare(
    names: Sequence[str], net: Any, size: int, device: torch.device
) -> tuple[list[Any], dict[str, float]]:
    """The benchmarks with all that is made once, and the seconds of each part; as the first evaluation makes them."""
    parts: dict[str, float] = {}

    def timed(part: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        parts[part] = parts.get(part, 0.0) + time.perf_counter() - start
        return result

    benchmarks = timed("open", lambda: open_benchmarks(names, device=device))
    subject = SharedNetwork(net, "network", size=size)
    for one in benchmarks:
        timed("open", lambda one=one: check_benchmark(one, subject))
    for one in benchmarks:
        timed(f"hash stimuli: {one.stimuli.name}", lambda one=one: one.stimuli.identity)
        if isinstance(one, NeuralBenchmark):
            timed(f"responses: {one.name}", lambda one=one: one.responses)
            timed("splits", lambda one=one: one.splits)
        if isinstance(one, NeuralBenchmark | I2nBenchmark):
            timed(f"ceiling: {one.name}", lambda one=one: one.ceiling)
    return benchmarks, parts


def pictures_alone(benchmarks: Sequence[Benchmark[Any]], size: int) -> dict[str, float]:
    """Seconds by stimulus set of reading, decoding and placing, with the threads that a recording has."""
    seconds: dict[str, float] = {}
    for one in benchmarks:
        if one.stimuli.name not in seconds:
            start = time.perf_counter()
            with _screens(one.stimuli, Screen(size, 8.0), one.degrees or 8.0, 64) as batches:
                for _ in batches:
                    pass
            seconds[one.stimuli.name] = time.perf_counter() - start
    return seconds


def settled(net: Any, stimuli: StimulusSet, size: int, device: torch.device) -> None:
    """Batch statistics of 16 of the stimuli, so that activity is neither 0 nor infinite without training."""
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    some = np.linspace(0, len(stimuli) - 1, 16).astype(int)
    pictures = [torch.from_numpy(stimuli.pictures[i]).permute(2, 0, 1) for i in some]
    images = torch.nn.functional.interpolate(torch.stack(pictures).float(), (size, size)).to(torch.uint8)
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(normalise(images.to(device), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for norm in norms:
        norm.momentum = 0.1


def moved(net: Any) -> None:
    """A small step of every weight, as an epoch would make one."""
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.01 * weight.abs().mean() * torch.randn_like(weight)


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each part over the rounds; raw scores and ceilings are those of the last."""
    last = dict(rounds[-1])
    for part in ("recording", "comparison"):
        last[part] = {name: statistics.median(r[part][name] for r in rounds) for name in last[part]}
    for part in ("seconds", "cpu_seconds", "rest"):
        last[part] = statistics.median(r[part] for r in rounds)
    return last


def peak_mb() -> float:
    """The most memory that the process held since `forget_peak` (Linux; elsewhere since it began), MB."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def named(benchmarks: Sequence[str]) -> tuple[list[str], list[str]]:
    """The benchmarks in these names and groups, and the data sets that they need."""
    names = [name for given in benchmarks for name in GROUPS.get(given, (given,))]
    return names, list(dict.fromkeys(name.replace("-", ".").partition(".")[0] for name in names))


def make_data(arguments: argparse.Namespace, cache: Path) -> dict[str, int]:
    """Write the data to `cache`; the number of stimuli by set."""
    start = time.perf_counter()
    made = make_public(cache, named(arguments.benchmarks)[1], arguments.fraction)
    print(f"wrote the data in {time.perf_counter() - start:.0f} s: {made}", flush=True)
    return made


def measure(arguments: argparse.Namespace, made: dict[str, int]) -> dict[str, Any]:
    """All figures of one run, on the data that `make_data` wrote."""
    device = torch.device(arguments.device)
    names, _ = named(arguments.benchmarks)
    torch.manual_seed(0)
    net = create_model(arguments.model, num_classes=1000, width=arguments.width).to(device)
    forget_peak()
    before = peak_mb()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    benchmarks, parts = prepare(names, net, arguments.size, device)
    prepared = time.perf_counter() - start
    settled(net, benchmarks[0].stimuli, arguments.size, device)
    if arguments.compile:
        net.compile()
    made_up = 0 if arguments.made_up_features else None
    screens = ScreenCache()
    first = evaluate(net, benchmarks, arguments.size, made_up, screens)
    print(f"first: {prepared:.1f} s to prepare, {first['seconds']:.1f} s to evaluate", flush=True)
    rounds = []
    for number in range(arguments.rounds):
        moved(net)
        rounds.append(
            evaluate(net, benchmarks, arguments.size, None if made_up is None else number + 1, screens)
        )
        print(f"round {number + 1}: {rounds[-1]['seconds']:.2f} s", flush=True)
    later = medians(rounds)
    steps = {one.name: [str(site) for site in one.sites(SharedNetwork(net))] for one in benchmarks}
    figures = {
        "made": made,
        "sites": steps,
        "first": {"seconds": prepared + first["seconds"], "prepare": parts, "evaluation": first["seconds"]},
        "later": later | {"each_s": [one["seconds"] for one in rounds]},
        "images_per_second": {
            name: later["stimuli"][name] / s for name, s in later["recording"].items() if made_up is None
        },
        "solution_times": {one.name: one.decoder for one in benchmarks if isinstance(one, TimesBenchmark)},
        "process_mb_before": before,
        "peak_process_mb": peak_mb(),
    }
    if device.type == "cuda":
        figures["peak_gpu_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return figures | {"pictures_alone": pictures_alone(benchmarks, arguments.size)}


def show(figures: dict[str, Any]) -> None:
    later = figures["later"]
    table = Table("part", "s", "", title="an evaluation, medians")
    for name, seconds in later["recording"].items():
        alone = figures["pictures_alone"][name]
        speed = figures["images_per_second"].get(name)
        told = f"{speed:,.0f}/s" if speed else "features made up"
        told = f"{later['stimuli'][name]:,} images, {told}; pictures alone {alone:.2f} s"
        table.add_row(f"record {name}", f"{seconds:.2f}", told)
    for name, seconds in later["comparison"].items():
        table.add_row(f"compare {name}", f"{seconds:.2f}", f"raw {later['raw'][name]:.3f}")
    table.add_row("all recordings", f"{sum(later['recording'].values()):.2f}", "")
    table.add_row("all comparisons", f"{sum(later['comparison'].values()):.2f}", "")
    span = f"{min(later['each_s']):.2f} to {max(later['each_s']):.2f}"
    table.add_row(
        "in all", f"{later['seconds']:.2f}", f"{span}; the processors worked {later['cpu_seconds']:.2f} s"
    )
    console = Console()
    console.print(table)
    table = Table("part", "s", title="once, before")
    for name, seconds in figures["first"]["prepare"].items():
        table.add_row(name, f"{seconds:.2f}")
    console.print(table)
    gpu = f", on the GPU {figures['peak_gpu_mb']:,.0f} MB" if "peak_gpu_mb" in figures else ""
    console.print(f"peak memory {figures['peak_process_mb']:,.0f} MB{gpu}", highlight=False)


def share_of_epoch(seconds: float, epoch: float | None) -> str:
    """What an evaluation is of an epoch; where none was told, how long one must be."""
    if epoch is not None:
        return f"{seconds:.1f} s are {100 * seconds / epoch:.1f} % of an epoch of {epoch:,.0f} s"
    least = seconds / TARGET_SHARE
    return (
        f"{seconds:.1f} s are at most {100 * TARGET_SHARE:g} % of an epoch where that takes at least {least:,.0f} s, "
        f"which on ImageNet is at most {IMAGENET / least:,.0f} images/s; --epoch-seconds tells the share"
    )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parsed(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="cornet-battery-", dir=arguments.folder) as folder:
        os.environ["CORNET_CACHE"] = folder
        figures = measure(arguments, make_data(arguments, Path(folder)))
    show(figures)
    epoch = arguments.epoch_seconds
    if arguments.images_per_second:
        epoch = IMAGENET / arguments.images_per_second
    told = share_of_epoch(figures["later"]["seconds"], epoch)
    if arguments.fraction < 1:
        told += f"; with {arguments.fraction:g} of the stimuli, so this is not what the battery takes"
    if arguments.made_up_features:
        told += "; without the network, so this is not what the battery takes"
    print(told)
    names = ("device", "model", "width", "size", "fraction", "made_up_features", "compile", "benchmarks")
    chosen = {name: getattr(arguments, name) for name in names}
    gpu = {"gpu": torch.cuda.get_device_name()} if arguments.device == "cuda" else {}
    entry = {
        "date": datetime.date.today().isoformat(),
        **chosen,
        **gpu,
        "threads": torch.get_num_threads(),
        "load_average_before": load,
        "beside": arguments.beside,
        "epoch": told,
        "made_with": versions(),
        **figures,
    }
    key = ", ".join(
        f"{name} {value}" for name, value in (chosen | gpu | {"threads": entry["threads"]}).items()
    )
    known = json.loads(arguments.out.read_text())["runs"] if arguments.out.exists() else {}
    content = {
        "what": "seconds of an evaluation of the public benchmarks on made-up data of their sizes",
        "target": f"{TARGET_S:g} s for CORnet-S at 224 px on a GPU, and {TARGET_SHARE:.0%} of an epoch of ImageNet",
        "runs": known | {key: rounded(entry)},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(arguments.out, json.dumps(content, indent=2) + "\n")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--threads", type=int, default=None, help="of torch; default: its own choice")
    add("--model", default="cornet_s")
    add("--width", type=float, default=1.0)
    add("--size", type=int, default=224, help="pixels of the screen")
    add("--rounds", type=int, default=3, help="evaluations after the first")
    add("--benchmarks", nargs="+", default=["public"], help="names or groups of public ones")
    add("--fraction", type=float, default=1.0, help="share of the stimuli, for small machines")
    add("--made-up-features", action="store_true", help="leave the network out: comparisons alone")
    add("--compile", action="store_true", help="compile the network, as recipe.compile=true does")
    add("--folder", type=Path, default=None, help="where the data are made; default: the temporary one")
    add("--beside", default="", help="what else ran on the machine, for the record")
    add("--out", type=Path, default=RESULTS)
    epoch = parser.add_mutually_exclusive_group()
    epoch.add_argument("--epoch-seconds", type=float, default=None, help="of training, to compare with")
    epoch.add_argument("--images-per-second", type=float, default=None, help="of training on ImageNet")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or not 0 < arguments.fraction <= 1:
        parser.error("--rounds must be at least 1, and --fraction above 0 and at most 1")
    if arguments.device == "auto":
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    return arguments


def rounded(value: Any) -> Any:
    """Floats to four places, through dictionaries and lists; None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


if __name__ == "__main__":
    main()
