"""Print tables to a terminal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from cornet.terminal import Terminal, cell, duration

if TYPE_CHECKING:
    from cornet.brain.benchmarks import Benchmark, Result
    from cornet.brain.data.convert.base import Converter
    from cornet.brain.subjects.layer_choice import LayerChoice
    from cornet.models import ModelSummary
    from cornet.runs.comparison import Rerun

__all__ = [
    "facts_table",
    "new_table",
    "print_benchmarks",
    "print_converters",
    "print_intervals",
    "print_layers",
    "print_line",
    "print_models",
    "print_plan",
    "print_public_data",
    "print_rerun",
    "print_scores",
    "print_transfer",
    "simulated_text",
    "with_error",
]

WIDE = 110
"""Minimum columns of a terminal for showing the recorded sites."""

BOTTLENECKS = {
    "compute": "the network itself",
    "gradients": "averaging gradients over devices",
    "decode": "decoding images; use more cores, or a prepared copy (cornet prepare)",
    "storage": "reading images; use faster storage, or a prepared copy (cornet prepare)",
}


def print_models(rows: "list[ModelSummary]") -> None:
    """Print the table of networks and the meaning of its columns."""
    table = new_table()
    table.add_column("model", no_wrap=True, style="bold")
    table.add_column("description")
    for heading in ("parameters", "MACs", "depth", "steps", "top-1"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            row.summary,
            f"{row.parameters:,}",
            f"{row.macs / 1e9:.3f} G" if row.macs >= 1e8 else f"{row.macs / 1e6:.3f} M",
            "-" if row.depth is None else f"{row.depth.layers} ({row.depth.unrolled})",
            "/".join(str(steps) for steps in row.steps.values()),
            "-" if row.top1 is None else f"{row.top1:.1%}",
        )
    console = Terminal(highlight=False)
    console.print(table)
    size = rows[0].size
    areas = dict.fromkeys(", ".join(row.steps) for row in rows)
    steps = "; ".join(
        text
        if len(areas) == 1
        else f"{text} ({', '.join(r.name for r in rows if ', '.join(r.steps) == text)})"
        for text in areas
    )
    console.print(f"MACs: multiply-adds per image of {size} x {size}. Steps: in {steps}.")
    console.print(
        "Depth: convolutions and linear layers from image to logits; in brackets, counted as often as they run."
    )
    console.print("Top-1: published ImageNet accuracy of the unchanged networks.")
    for row in rows:
        if row.top1_note:
            console.print(f"  {row.name}: {row.top1_note}.")
    for paper in dict.fromkeys(row.paper for row in rows):
        console.print(f"{', '.join(row.name for row in rows if row.paper == paper)}: {paper}.")


def print_intervals(name: str, arguments: Mapping[str, Any]) -> None:
    """Print which milliseconds after onset each step of a network represents."""
    import torch

    from cornet.brain.subjects.step_times import network_intervals
    from cornet.models import create_model

    with torch.device("meta"):
        intervals = network_intervals(create_model(name, **arguments).area_table)
    console = Terminal(highlight=False)
    console.print("Milliseconds after stimulus onset that the steps represent:")
    for area, steps in intervals.items():
        text = ", ".join("-" if step is None else f"{step[0]:g}-{step[1]:g}" for step in steps)
        console.print(f"  {area}: {text}")


def print_public_data() -> None:
    """Print the table of public data and the papers to cite."""
    from cornet.brain.data.public.fetching import download_status
    from cornet.brain.data.public.listing import PUBLIC

    table = new_table()
    table.add_column("name", no_wrap=True, style="bold")
    for heading in ("description", "content", "location"):
        table.add_column(heading, overflow="fold")
    for data in PUBLIC.values():
        table.add_row(data.name, data.summary, data.content, download_status(data))
    console = Terminal(highlight=False)
    console.print(table)
    for data in PUBLIC.values():
        console.print(f"{data.name}: {data.citation}.")


def print_converters(converters: "Iterable[Converter]") -> None:
    """Print what can be converted, with licence, access, address and files."""
    console = Terminal(highlight=False, soft_wrap=False)
    for one in converters:
        console.print(f"[bold]{cell(one.name)}[/bold]: {cell(one.summary)}")
        for heading, text in (
            ("files", one.files),
            ("licence", one.licence),
            ("access", one.access),
            ("address", one.address),
            ("paper", one.citation),
        ):
            console.print(f"  {heading}: {cell(text)}")


def print_benchmarks(benchmarks: "Sequence[Benchmark[Any]]", groups: Mapping[str, Sequence[str]]) -> None:
    """Print every named benchmark and the groups."""
    table = new_table()
    table.add_column("benchmark", no_wrap=True, style="bold")
    table.add_column("region", no_wrap=True)
    table.add_column("data and method")
    for benchmark in benchmarks:
        facts = [benchmark.split_rule] if benchmark.split_rule != "none" else []
        if benchmark.time_bin is not None:
            facts.append("-".join(f"{edge:g}" for edge in benchmark.time_bin) + " ms")
        facts += [] if benchmark.degrees is None else [f"{benchmark.degrees:g} degrees"]
        facts.append(f"scale {benchmark.scale}")
        text = f"{cell(benchmark.description)}\n[dim]{cell('; '.join(facts))}[/]"
        table.add_row(cell(benchmark.name), cell(benchmark.region), text)
    console = Terminal(highlight=False)
    console.print(table)
    for group, names in groups.items():
        console.print(f"[bold]{group}[/]: {', '.join(names)}")
    console.print(
        "Any folder with a bundle (stimulus_set.csv, stimuli.zip, assembly.nc) is also a benchmark."
    )


def print_coverage() -> None:
    """Print which neural benchmarks of the reference can be run, by groups of the same protocol."""
    from cornet.brain.benchmarks.coverage import ANSWERS, COVERAGE

    console = Terminal(highlight=False)
    table = new_table()
    for heading in ("benchmarks", "runs", "file", "metric"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "runs")
    for one in COVERAGE:
        names = shortened(one.identifiers)
        about = f"\n[dim]{cell(one.about)}[/]" if one.about else ""
        table.add_row(f"{cell(names)}{about}", cell(one.runs), cell(one.file), cell(one.metric))
    console.print(table)
    counts = {
        answer: sum(len(one.identifiers) for one in COVERAGE if one.runs == answer) for answer in ANSWERS
    }
    for answer, meaning in ANSWERS.items():
        console.print(f"{answer} ({counts[answer]} of {sum(counts.values())}): {meaning}.")
    console.print("Identifiers of brainscore_vision 2.4.2. Each one with --json.")


def shortened(names: Sequence[str]) -> str:
    """Names that differ in region and ending as one: Papale2025.{V1,V4,IT}-{ridgecv,ridge}."""
    starts = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    texts = []
    for start in starts:
        own = [name.removeprefix(start) for name in names if (name.rpartition(".")[0] or name) == start]
        regions = list(dict.fromkeys(name.partition("-")[0] for name in own))
        ends = list(dict.fromkeys(name.partition("-")[2] for name in own))
        if len(own) == 1 or not own[0].startswith("."):
            texts += [start + name for name in own]
            continue
        parts = [region.removeprefix(".") for region in regions]
        texts.append(f"{start}.{_braced(parts)}-{_braced(ends)}")
    return ", ".join(texts) if len(texts) <= 8 else f"{', '.join(texts[:3])} and {len(texts) - 3} more"


def _braced(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{{{','.join(parts)}}}"


def print_scores(results: "Sequence[Result]") -> None:
    """Print scores with errors and ceilings, paired differences from the first model, and all notes."""
    console = Terminal(highlight=False)
    notes: dict[str, int] = {}
    for subject in dict.fromkeys(result.subject for result in results):
        table = new_table()
        table.title, table.title_justify = f"[bold]{cell(subject)}[/]", "left"
        table.add_column("benchmark", overflow="fold")
        further = any(result.score.ood for result in results)
        for heading in ("score", "scale", *["ood"] * further, "raw", "ceiling", "n"):
            table.add_column(heading, justify="left" if heading == "scale" else "right", no_wrap=True)
        wide = console.width >= WIDE
        if wide:
            table.add_column("recorded", overflow="fold")
        table.add_column("", no_wrap=True)
        for result in results:
            if result.subject == subject:
                row = cells(result, notes, further)
                table.add_row(*row[:-2], *(row[-2:] if wide else row[-1:]))
        console.print(table)
    about = "; ood: score on the further test sets" if any(result.score.ood for result in results) else ""
    console.print(f"score, raw: with standard error; n: number of stimuli{about}.")
    for text, mark in notes.items():
        console.print(f"({mark}) {cell(text)}.")
    print_differences(console, results)
    if any(result.benchmark.simulated for result in results):
        console.print(
            "Simulated: a check of the pipeline; no brain was recorded, so the scores say nothing about brains."
        )


def print_layers(choice: "LayerChoice", shown: int = 4) -> None:
    """Print the best candidates of each region, and how stable the choice is over seeds of splits."""
    console = Terminal(highlight=False)
    table = new_table()
    table.add_column("region")
    table.add_column("layer", overflow="fold")
    for heading in ("score", "best in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for region, site in choice.regions.items():
        rows = choice.table[choice.table["region"] == region].sort_values("score", ascending=False)
        for row in rows.head(shown).itertuples():
            name = f"{row.layer}[{row.step}]"
            style = "bold" if name == str(site) else ""
            stable = f"{row.best_in} of {choice.seeds}"
            table.add_row(cell(region), cell(name), with_error(row.score, row.error), stable, style=style)
    console.print(table)
    console.print(
        f"Raw scores of the best candidates on {cell(choice.bundle)} of {len(choice.table)}, with standard error over "
        "splits. best in: the seeds of splits in which a candidate is the best of its region."
    )
    for note in choice.notes:
        console.print(f"{cell(note)}.")


def print_transfer(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the accuracy of read-outs: all training images, and k per class."""
    console = Terminal(highlight=False)
    table = new_table()
    table.title, table.title_justify = f"[bold]{cell(name)}[/]", "left"
    for heading in ("model", "layer"):
        table.add_column(heading, overflow="fold")
    for heading in ("per class", "top-1", "95 %", "C"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        images = "all" if row["k"] is None else str(row["k"])
        table.add_row(
            cell(row["model"]), cell(row["layer"]), images, f"{row['top1']:.3f}", interval, f"{row['C']:g}"
        )
    console.print(table)
    first = rows[0]
    console.print(
        f"Accuracy on {first['images']} test images of {first['classes']} classes (chance "
        f"{1 / first['classes']:.3f}) of a logistic regression on frozen features."
    )
    several = [row for row in rows if row["k"] is not None]
    seeds = f"; for k per class over {several[0]['seeds']} choices of the training images" if several else ""
    console.print(
        f"95 %: over test images{seeds}. C: weight of the cross-entropy, chosen on held-out images."
    )
    for text in dict.fromkeys(row["notes"] for row in rows if row["notes"]):
        console.print(f"{cell(text)}.")


def cells(result: "Result", notes: dict[str, int], further: bool = False) -> list[str]:
    """Return the cells of a score's row. Its notes are added to `notes`, {text: number}. further: with a cell ood."""
    score = result.score
    texts = [result.failure.rstrip(".")] if result.failure else list(score.notes)
    marks = ",".join(map(str, sorted(notes.setdefault(text, len(notes) + 1) for text in texts)))
    return [
        cell(result.benchmark.name),
        with_error(score.value, score.value_error),
        score.scale if math.isfinite(score.raw) else "",
        *[f"{score.ood.value:.3f}" if score.ood else "-"] * further,
        with_error(score.raw, score.error),
        "-" if math.isnan(score.ceiling) else f"{score.ceiling:.3f}",
        str(score.n or "-"),
        cell(" ".join(map(str, result.sites))),
        f"({marks})" if marks else "",
    ]


def print_differences(console: Terminal, results: "Sequence[Result]") -> None:
    """Print the difference of every model from the first, on benchmarks with values per neuroid."""
    from cornet.brain.metrics.difference import paired_difference

    first: dict[str, Result] = {}
    lines: list[str] = []
    for result in results:
        name = result.benchmark.name
        base = first.setdefault(name, result)
        averaged = "by_subject" in result.score.details  # raw is not a median over all neuroids
        if (
            base is result
            or averaged
            or result.score.values.ndim != 2
            or math.isnan(result.score.raw + base.score.raw)
        ):
            continue
        difference = paired_difference(result.score, base.score)
        lines += [f"  {name}: {result.subject} minus {base.subject}:", f"    {difference}"]
    if lines:
        console.print("Differences of raw scores (paired bootstrap over neuroids, 95 %):")
        for line in lines:
            console.print(cell(line))


def new_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)


def facts_table(title: str | None = None) -> Table:
    """Make a table of two columns, name and value."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    return table


def print_line(console: Terminal, text: str) -> None:
    """Print text literally, without rich markup, highlighting or wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def simulated_text(simulated: Sequence[bool]) -> str:
    """Return a sentence if all or some brain scores are simulated, else ""."""
    if not any(simulated):
        return ""
    what = "Brain scores are simulated" if all(simulated) else "Scores marked simulated are simulated"
    return f"{what}: a check of the pipeline; no brain was recorded."


def with_error(value: float, error: float, digits: int = 3) -> str:
    """Format a value and its error: 0.412 ±.013; - for NaN."""
    if math.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return f"{text} ±{error:.{digits}f}".replace("±0.", "±.") if math.isfinite(error) else text


def print_plan(plan: Any, console: Terminal | None = None) -> None:
    """Print a `cornet.training.plan.Plan`."""
    console = console or Terminal()
    measured, hardware = plan.measured, plan.hardware
    table = facts_table(f"Plan: {plan.name}")
    machines = "" if hardware.machines == 1 else f" in {hardware.machines} machines"
    table.add_row("devices", f"{hardware.devices:,}{machines}, {hardware.cores} cores each")
    table.add_row("images, training / validation", f"{plan.train_images:,} / {plan.val_images:,}")
    table.add_row("batch per device / total", f"{measured.batch:,} / {measured.batch * hardware.devices:,}")
    table.add_row("images per second", f"{plan.images_per_second:,.0f}", style="bold")
    for name, seconds in plan.parts.items():
        if seconds:
            table.add_row(f"  {name} per step", f"{1000 * seconds:,.0f} ms")
    for name, share in measured.losses.items():
        times = (
            f"a step takes {1 / (1 - share):.2f} times as long with it"
            if share < 0.999
            else "nearly all of a step"
        )
        table.add_row(f"  loss {name}", times)
    if not math.isnan(measured.memory):
        table.add_row("memory per device", f"{measured.memory / 1e9:,.1f} GB")
    table.add_row("training per epoch", duration(plan.training))
    table.add_row("validation per epoch", duration(plan.validation))
    if plan.brain:
        text = f"{duration(plan.brain)}, {plan.brain_share:.1%}"
        table.add_row(f"brain scores ({plan.evaluations:.3g} per epoch)", text)
    table.add_row("total per epoch", duration(plan.epoch))
    table.add_row(f"total, {plan.epochs} epochs", duration(plan.total), style="bold")
    console.print(table)
    console.print(f"Bottleneck: {BOTTLENECKS[plan.bottleneck]}.")
    if plan.given:
        console.print(f"Given, not measured: {', '.join(plan.given)}.", style="dim")
    console.print(
        "Measured here for a few seconds, without start-up, compilation, checkpoints and stragglers.",
        style="dim",
    )


def print_rerun(rerun: "Rerun") -> None:
    """Print whether the results of two runs are equal, and which versions differ."""
    console = Terminal()
    console.print(f"{cell(rerun.first)}\nand again in {cell(rerun.second)}", soft_wrap=True, highlight=False)
    table = Table(show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for result in rerun.results:
        table.add_row(result.what, result.text if result.same else f"differ: {result.text}")
    console.print(table)
    for key, (then, now) in rerun.made_with.items():
        console.print(cell(f"  different {key}: {then} then, {now} now"), highlight=False, soft_wrap=True)
    console.print(verdict(rerun), soft_wrap=True, highlight=False)


def verdict(rerun: "Rerun") -> str:
    """Return the outcome as one sentence."""
    same = "The results are equal, bit for bit" if rerun.same else "The results differ"
    if rerun.made_with:
        return f"{same}; the two runs differ in {', '.join(rerun.made_with)}."
    if rerun.same:
        return f"{same}, with the same versions, commit, hardware, threads and images."
    return (
        f"{same}, although versions, commit, hardware, threads and images are the same; on a GPU, use "
        "deterministic=true to make runs equal; on a CPU, runs should be equal without it."
    )
