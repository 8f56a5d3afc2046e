"""What gpu.py measures, one function a part. Each runs in a process of its own and returns rows of a table.

A row has the names `what`, `value` and `unit`, and where there is one a `target` such as [">=", 3500].
"""

import argparse
import json
import os
import statistics
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from PIL import Image
from torch import Tensor
from torch.autograd import DeviceType

from cornet import brain
from cornet.models import create_model
from cornet.stimuli.objects import draw_latents, render
from cornet.training.build import build
from cornet.training.run import quieten, set_precision

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
NETWORKS = ("cornet_s", "cornet_z", "cornet_rt", "cornet_r")
COPIES = 100
"""Of each photograph in the folder that is trained on: 10,000 files of a hundred photographs."""


class Skipped(Exception):
    """A part that cannot run here, and why."""


@dataclass(frozen=True)
class Setting:
    """Where and how large. work: a folder for files that parts share. photographs: a zip with train/<class>/, or None
    for made-up ones. started: when the part's process was started, in seconds as of time.time."""

    device: torch.device
    small: bool
    work: Path
    photographs: Path | None
    started: float

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def compiler(self) -> dict[str, str]:
        """Options of `CORnet.compile`: the small sizes are not worth minutes of a C++ compiler."""
        return {"backend": "aot_eager"} if self.small else {}

    def steps(self, **changes: Any) -> argparse.Namespace:
        """What train_throughput.py takes."""
        sizes = {"batch": 4, "size": 32, "width": 0.125, "rounds": 2, "steps": 1, "warm_up": 1}
        if not self.small:
            sizes = {"batch": 256, "size": 224, "width": 1.0, "rounds": 5, "steps": 8, "warm_up": 3}
        return argparse.Namespace(**(sizes | {"compile": not self.small, "peak": None} | changes))


def training(s: Setting) -> list[Row]:
    """Training steps: the published way in strict fp32 and in TF32, ours in bf16, channels-last and compiled."""
    from train_throughput import measure

    rows = []
    for name in NETWORKS[:1] if s.small else NETWORKS:
        torch.compiler.reset()
        found = measure(name, s.steps(), s.device)
        for way, one in found["ways"].items():
            own = name == "cornet_s" and way == "ours" and not s.small
            rows.append(
                row(f"{name}, {way}", one["images_per_second"], "images/s", (">=", 3500) if own else None)
            )
            if one["peak_bytes"]:
                rows.append(row(f"{name}, {way}: peak memory", one["peak_bytes"] / 1e9, "GB"))
            if one["utilisation"]:
                share = 100 * one["utilisation"]
                rows.append(row(f"{name}, {way}: of the bf16 peak", share, "%", (">=", 35) if own else None))
        for way, one in found["faster"].items():
            least = (
                {"published": 4, "published, TF32": 2}[way] if name == "cornet_s" and not s.small else None
            )
            rows.append(
                row(f"{name}: faster than {way}", one["ratio"], "x", (">=", least) if least else None)
            )
        if s.gpu:
            torch.cuda.empty_cache()
    return rows


class Clock(pl.Callback):
    """When the first training step was done, and how long the later ones waited for data."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.ended: float | None = None
        self.waits: list[float] = []
        self.images = 0
        self.begun = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.ended is not None:
            self.waits.append(time.perf_counter() - self.ended)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.first is None:
            wait_for(pl_module.device)
            self.first, self.begun = time.time(), time.perf_counter()
        else:
            self.images += len(batch.images)
        self.ended = time.perf_counter()


def start_up(s: Setting) -> list[Row]:
    """train.py's own training on photographs: from its start to the end of the first step, then the wait for data."""
    folder = photograph_folder(s)
    overrides = [
        "experiment=imagenet_s_fast",
        "data=imagefolder",
        f"data.folder={folder}",
        f"data.size={32 if s.small else 224}",
        f"recipe.batch_size={8 if s.small else 256}",
        "recipe.epochs=3",
    ]
    if s.small:
        overrides += ["model.width=0.125", "trainer=cpu", "recipe.compile=false", "recipe.precision=32-true"]
    quieten()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides)
    with open_dict(config):
        config.run_folder, config.run_id, config.name = str(s.work / "run"), "gpu", "gpu"
        config.trainer.max_steps = 3 if s.small else 35
        config.trainer.limit_val_batches = 0
    made = build(config)
    set_precision(made)
    clock = Clock()
    made.trainer.callbacks.append(clock)
    made.trainer.fit(made.module, datamodule=made.data)
    wait_for(s.device)
    seconds = time.perf_counter() - clock.begun
    assert clock.first is not None
    told = "photographs" if s.photographs else "made-up photographs"
    if s.gpu and not getattr(made.module.net, "compiled", False):
        raise RuntimeError("the network was not compiled, as told above")
    return [
        row(
            "start to the first step, compilation included",
            clock.first - s.started,
            "s",
            None if s.small else ("<", 90),
        ),
        row(f"CORnet-S on {told}, {os.cpu_count()} cores", clock.images / seconds, "images/s"),
        row("share of the time that waits for data", 100 * sum(clock.waits) / seconds, "%"),
    ]


def photograph_folder(s: Setting) -> Path:
    """train/ and val/ with many copies (hard links) of each photograph, made once."""
    folder = s.work / "photographs"
    if folder.exists():
        return folder
    making = s.work / "photographs.making"
    source = s.work / "originals"
    if s.photographs:
        with zipfile.ZipFile(s.photographs) as archive:
            for name in archive.namelist():
                parts = Path(name).parts
                if parts[0] == "train" and len(parts) == 3 and ".." not in parts:
                    path = source.joinpath(*parts)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.read(name))
    else:
        images = render(draw_latents(16, seed=0), 96 if s.small else 400)
        for number, image in enumerate(images):
            path = source / "train" / f"class{number % 4}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, quality=95)
    for path in sorted((source / "train").rglob("*.*")):
        for part, count in (("train", 3 if s.small else COPIES), ("val", 1)):
            target = making / part / path.parent.name
            target.mkdir(parents=True, exist_ok=True)
            for copy in range(count):
                os.link(path, target / f"{copy}_{path.name}")
    making.rename(folder)
    return folder


def equivalence(s: Setting) -> list[Row]:
    """One training step of CORnet-S: distance of gradients and running statistics from those in float64."""
    batch, size, width = (4, 32, 0.125) if s.small else (64, 224, 1.0)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, size, size, generator=generator).to(s.device)
    labels = torch.randint(0, 1000, (batch,), generator=generator).to(s.device)

    def step(
        dtype: torch.dtype, last: bool, mixed: bool, tf32: bool, compiled: bool
    ) -> tuple[Tensor, Tensor]:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        torch.manual_seed(0)
        net = create_model("cornet_s", width=width).to(s.device, dtype).train()
        if last:
            net.to(memory_format=torch.channels_last)
        if compiled:
            net.compile(**s.compiler)
        with torch.autocast(s.device.type, torch.bfloat16, enabled=mixed):
            loss = F.cross_entropy(net(images.to(dtype)), labels)
        loss.backward()
        if compiled and not net.compiled:
            raise RuntimeError("the network was not compiled, as told above")
        gradients = torch.cat([p.grad.double().flatten() for p in net.parameters() if p.grad is not None])
        statistics = [b.double().flatten() for name, b in net.named_buffers() if "running" in name]
        return gradients, torch.cat(statistics)

    exact = step(torch.float64, False, False, False, False)
    ways = {
        "strict fp32": (torch.float32, False, False, False, False),
        "TF32": (torch.float32, False, False, True, False),
        "fp32, channels-last, compiled": (torch.float32, True, False, False, True),
        "bf16, channels-last": (torch.float32, True, True, True, False),
        "bf16, channels-last, compiled": (torch.float32, True, True, True, True),
    }
    rows = []
    for way, choice in ways.items():
        if way == "TF32" and not s.gpu:
            continue
        for what, mine, true in zip(("gradients", "running statistics"), step(*choice), exact, strict=True):
            distance = float((mine - true).norm() / true.norm())
            rows.append(row(f"{way}: distance of {what}, over their norm", distance, ""))
    return rows


def pls(s: Setting) -> list[Row]:
    """V4 and IT of CORnet-S by PLS, 10 splits: the comparison alone, of features that are on the device."""
    from score_speed import NEUROIDS, population

    v4, it = (500, 400) if s.small else (50_176, 25_088)
    areas = []
    for features, neuroids, seed in ((v4, 88, 0), (it, NEUROIDS, 1)):
        X, Y = population(features, neuroids, seed=seed)
        areas.append((torch.from_numpy(X).to(s.device), Y))

    def both() -> None:
        for X, Y in areas:
            brain.neural_predictivity(X, Y, device=s.device)

    seconds = repeated(both, s, 2 if s.small else 4)
    return [row("V4 and IT by PLS", seconds, "s", None if s.small else ("<", 3))]


def solution_times(s: Setting) -> list[Row]:
    """Object solution times of 1,318 images, 25,088 features, 18 bins, with both decoders."""
    from ost_speed import made_up

    data = made_up(*((150, 200) if s.small else (1318, 25_088)))
    rows = []
    for decoder in ("reference", "optimum"):
        work = partial(brain.object_solution_times, **data, decoder=decoder, device=str(s.device))
        rows.append(
            row(f"solution times, {decoder}", repeated(work, s, 2), "s", None if s.small else ("<", 10))
        )
    return rows


def comparisons(s: Setting) -> list[Row]:
    """Ridge with a chosen penalty and reverse PLS at the sizes of the benchmarks of 2025 and 2026."""
    from comparisons import groups_of, last_rows, made_up, random_splits

    static, laion, tvsd = (2560, 25_088, 168), (6204, 25_088, 10_000), (22_348, 25_088, 1355)
    if s.small:
        static, laion, tvsd = (90, 120, 20), (120, 130, 40), (150, 130, 20)
    rows = []

    def ridge(what: str, size: tuple[int, int, int], splits: Any, groups: int, limit: float) -> None:
        X, Y = made_up(*size)
        options: Any = {"alpha_per": "subject", "subjects": groups_of(Y, groups), "splits": splits(size[0])}
        work = partial(brain.neural_predictivity, X, Y, "ridgecv", device=s.device, **options)
        target = None if s.small else ("<", limit)
        rows.append(row(f"ridgecv, {what}", repeated(work, s, 2), "s", target))

    ridge("2,560 stimuli, one split", static, partial(random_splits, 1), 1, 1)
    ridge("2,560 stimuli, ten splits", static, partial(random_splits, 10), 1, 2)
    ridge("5,833 stimuli, five subjects", laion, partial(last_rows, 371), 5, 15)
    ridge("22,248 stimuli, two subjects", tvsd, partial(last_rows, 100), 2, 90)
    X, Y = made_up(*static)
    work = partial(brain.reverse_predictivity, X, Y, device=s.device)
    rows.append(row("reverse PLS, ten splits", repeated(work, s, 2), "s", None if s.small else ("<", 2)))
    return rows


def toward_brains(s: Setting) -> list[Row]:
    """What losses add to a step of CORnet-S, and images made through it: metamers, and images that drive neuroids."""
    import argparse

    from loss_cost import measure

    from cornet.brain.subjects.networks import NetworkSubject
    from cornet.models import create_model
    from cornet.synthesis.driving import drive, start_images
    from cornet.synthesis.metamers import metamers, noise_images, step_lengths
    from cornet.synthesis.stage import Stage, stage_site

    size, batch, width = (32, 4, 0.125) if s.small else (224, 64, 1.0)
    rows = []
    for compiled in (False,) if s.small else (False, True):  # compiling takes minutes on a CPU
        options = argparse.Namespace(size=size, batch=batch, rounds=2 if s.small else 7, compile=compiled)
        for name, one in measure("cornet_s", width, options, s.device).items():
            what = f"{name}, plain step {'compiled' if compiled else 'uncompiled'}"
            target = ("<", 3.0) if name == "harmonisation" and not s.small else None
            rows.append(row(f"step with {what}", one["ratio"], "x", None if name == "plain" else target))
    net = create_model("cornet_s", num_classes=1000, width=width).to(s.device)
    subject = NetworkSubject(net, size=size, device=s.device)
    stage = Stage(subject, stage_site(subject, "V4"), identity_relu=True)
    targets = torch.rand(8, 3, size, size, device=s.device)
    start = noise_images(8, size).to(s.device)
    steps = step_lengths(4.0, 2 if s.small else 20, 8)
    rows.append(
        row(
            "8 metamers of V4, 160 steps", repeated(lambda: metamers(stage, targets, start, steps), s, 2), "s"
        )
    )
    v1 = Stage(subject, stage_site(subject, "V1"))
    with torch.no_grad():
        width_v1 = v1(start[:1] * 2 - 1).flatten(1).shape[1]
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(width_v1, 20, generator=generator).to(s.device) / width_v1**0.5
    noise, neuroids = start_images(100, size).to(s.device), torch.arange(100, device=s.device) % 20
    work = partial(
        drive,
        lambda images: v1((images + 1) / 2).flatten(1) @ weights,
        noise,
        neuroids,
        steps=4 if s.small else 200,
    )
    rows.append(row("20 neuroids x 5 starts driven, 200 steps", repeated(work, s, 2), "s"))
    return rows


def make_battery(s: Setting) -> list[Row]:
    """Made-up files of the public benchmarks' sizes: minutes of one core, no GPU."""
    from battery_cost import make_data, parsed

    start = time.perf_counter()
    making = s.work / "battery.making"
    made = make_data(parsed(["--fraction", "0.02"] if s.small else []), making)
    (making / "made.json").write_text(json.dumps(made))
    making.rename(s.work / "battery")
    return [row("writing the battery's made-up files", time.perf_counter() - start, "s")]


def battery(s: Setting) -> list[Row]:
    """An evaluation of all public benchmarks with CORnet-S, on those files."""
    from battery_cost import measure, parsed

    folder = s.work / "battery"
    if not folder.exists():
        raise Skipped("its files are not made yet; run the part make_battery")
    os.environ["CORNET_CACHE"] = str(folder)
    small = ["--width", "0.125", "--size", "32", "--rounds", "1"] if s.small else ["--rounds", "2"]
    arguments = parsed([*small, "--device", s.device.type])
    found = measure(arguments, json.loads((folder / "made.json").read_text()))
    later = found["later"]
    rows = [row("an evaluation of the battery", later["seconds"], "s", None if s.small else ("<", 15))]
    rows.append(row("the first evaluation, which reads the data", found["first"]["seconds"], "s"))
    for part, unit in (("recording", "s"), ("comparison", "s")):
        rows += [row(f"{part}: {name}", seconds, unit) for name, seconds in later[part].items()]
    return rows


def deterministic(s: Setting) -> list[Row]:
    """Whether two trainings give the same bits, and what deterministic=true costs."""
    from train_throughput import ours, timed

    rows, rates = [], {}
    for wanted in (False, True):
        torch.use_deterministic_algorithms(wanted)
        torch.backends.cudnn.deterministic = wanted
        torch.compiler.reset()
        losses = []
        arguments = s.steps()
        for _ in range(2):
            torch.manual_seed(0)
            step = ours("cornet_s", arguments, s.device)
            losses.append([step().item() for _ in range(5)])
        taken = [timed(step, arguments.steps, s.device) for _ in range(arguments.rounds)]
        rates[wanted] = arguments.steps * arguments.batch / statistics.median(taken)
        name = f"deterministic={str(wanted).lower()}"
        rows.append(
            row(f"{name}: five losses the same in two trainings", float(losses[0] == losses[1]), "1 is yes")
        )
        rows.append(row(name, rates[wanted], "images/s"))
    torch.use_deterministic_algorithms(False)
    return [*rows, row("deterministic=true: slower by", rates[False] / rates[True], "x")]


def memory_budget(s: Setting) -> list[Row]:
    """What keeping half of the activations saves in memory and costs in time."""
    return variants(s, {"all activations kept": {}, "memory_budget=0.5": {"memory_budget": 0.5}})


def cuda_graphs(s: Setting) -> list[Row]:
    """Whether CUDA graphs (mode reduce-overhead) help, with few images, where launching kernels takes the time."""
    if not s.gpu:
        raise Skipped("CUDA graphs need a GPU")
    return variants(s, {"compiled": {}, "with CUDA graphs": {"mode": "reduce-overhead"}}, batch=32)


def variants(s: Setting, ways: dict[str, dict[str, Any]], **changes: Any) -> list[Row]:
    from train_throughput import ours, peak_memory, timed

    rows = []
    for name, options in ways.items():
        torch.compiler.reset()
        arguments = s.steps(**({} if s.small else changes))
        step = ours("cornet_s", arguments, s.device, **options)
        timed(step, arguments.warm_up, s.device)
        memory = peak_memory(step, s.device)
        taken = [timed(step, arguments.steps, s.device) for _ in range(arguments.rounds)]
        rate = arguments.steps * arguments.batch / statistics.median(taken)
        rows.append(row(f"CORnet-S, batch {arguments.batch}, {name}", rate, "images/s"))
        if memory:
            rows.append(row(f"CORnet-S, batch {arguments.batch}, {name}: peak memory", memory / 1e9, "GB"))
    return rows


def kernels(s: Setting) -> list[Row]:
    """torch.profiler over ten training steps of CORnet-S; the whole table goes to kernels.txt."""
    from train_throughput import ours, timed

    arguments = s.steps()
    step = ours("cornet_s", arguments, s.device)
    timed(step, arguments.warm_up, s.device)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if s.gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    count = 2 if s.small else 10
    with torch.profiler.profile(activities=activities) as profile:
        seconds = timed(step, count, s.device)
    order = "self_device_time_total" if s.gpu else "self_cpu_time_total"
    averages = profile.key_averages()
    (s.work / "kernels.txt").write_text(averages.table(sort_by=order, row_limit=40, max_name_column_width=90))
    if s.gpu:  # kernels alone: the operations that launch them are given the same time
        times = {e.key: e.self_device_time_total for e in averages if e.device_type == DeviceType.CUDA}
    else:
        times = {e.key: e.self_cpu_time_total for e in averages}
    whole = sum(times.values())
    rows = [row("a step while profiled", 1e3 * seconds / count, "ms")]
    if s.gpu:
        rows.append(row("the GPU works", 100 * whole / 1e6 / seconds, "% of the time"))
    largest = sorted(times.items(), key=lambda pair: -pair[1])[:10]
    return rows + [row(name[:70], 100 * taken / whole, "% of the work") for name, taken in largest]


def row(what: str, value: float, unit: str, target: tuple[str, float] | None = None) -> Row:
    return {"what": what, "value": float(value), "unit": unit, **({"target": list(target)} if target else {})}


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def repeated(work: Callable[[], Any], s: Setting, times: int) -> float:
    """The median of the seconds that it takes after a first time."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        wait_for(s.device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def run_part(name: str, s: Setting) -> dict[str, Any]:
    """What the part found: rows, or why it was skipped."""
    start = time.perf_counter()
    try:
        rows = globals()[name](s)
    except Skipped as reason:
        return {"skipped": str(reason)}
    return {"rows": rows, "seconds": time.perf_counter() - start}
