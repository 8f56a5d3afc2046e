"""Sentences for a methods section, from what the run's folder records."""

import math
from collections.abc import Mapping
from typing import Any

from cornet.report.card.blocks import MISSING, Section, Texts, told
from cornet.report.card.model import Architecture, configured, initial_weights
from cornet.report.card.read import Recorded, part_of
from cornet.report.card.results import last_rows
from cornet.report.card.training import commit, hardware, optimiser_of, schedule
from cornet.report.render import interval_text, number
from cornet.report.seeds.measures import Measure
from cornet.report.statistics import Estimate

__all__ = ["methods_section"]


def methods_section(recorded: Recorded, built: Architecture) -> Section:
    """Render sentences to paste; a value that is not recorded says so."""
    texts = [_training(recorded, built), _machine(recorded), _accuracy(recorded)]
    real = [one for one in recorded.measures if one.benchmark and not one.simulated]
    made_up = [one for one in recorded.measures if one.benchmark and one.simulated]
    texts += [_scores(recorded, real, simulated=False)] if real else []
    texts += [_scores(recorded, made_up, simulated=True)] if made_up else []
    return Section("Sentences for a methods section", [Texts([text for text in texts if text])])


def _training(recorded: Recorded, built: Architecture) -> str:
    summary, recipe = recorded.summary, part_of(recorded.config, "recipe")
    data, losses = part_of(recorded.config, "data"), part_of(recorded.config, "losses")
    steps = "/".join(row[2] for row in built.areas)
    areas = "/".join(row[0] for row in built.areas)
    paper = f"{built.paper}; " if built.paper else ""
    network = (
        f"{told(recorded.network)} ({paper}{told(summary.get('parameters', built.parameters))} parameters"
    )
    network += f"; {steps} time steps in {areas})" if steps else ")"
    if built.as_published is False:
        network += f", not the published architecture ({configured(recorded)}),"
    images = (
        f"{told(recorded.data)} ({told(summary.get('train_images'))} training and {told(summary.get('val_images'))} "
        f"validation images of {told(summary.get('classes'))} classes, {_size(data)})"
    )
    optimiser = told(optimiser_of(recipe))
    momentum = f"{told(recipe.get('momentum'))}{' with Nesterov' if recipe.get('nesterov') else ''}"
    clip = f", gradients clipped at a norm of {told(recipe['clip'])}" if recipe.get("clip") else ""
    beside = f" Losses beside that of the task: {', '.join(losses)}." if losses else ""
    seeds = (
        f" It was trained {len(recorded.runs)} times, with the {recorded.seeds}." if recorded.several else ""
    )
    epochs = told(summary.get("epochs", recipe.get("epochs")))
    return (
        f"We trained {network} on {images} for {epochs} epochs with {optimiser} "
        f"(batches of {told(recipe.get('batch_size'))} images, learning rate {told(recipe.get('learning_rate'))}, "
        f"schedule: {schedule(recipe)}; momentum {momentum}, weight decay {told(recipe.get('weight_decay'))}, "
        f"label smoothing {told(_smoothing(recorded))}{clip}, precision {told(recipe.get('precision'))}). "
        f"Initial weights: {initial_weights(recorded)}.{beside}{seeds}"
    )


def _machine(recorded: Recorded) -> str:
    versions = recorded.versions
    return (
        f"Training and evaluation used cornet {told(versions.get('cornet-ventral'))} (commit {commit(versions)}), "
        f"PyTorch {told(versions.get('torch'))} and Python {told(versions.get('python'))} on {hardware(versions)}."
    )


def _accuracy(recorded: Recorded) -> str:
    plain = [one for one in recorded.measures if one.is_task and one.final.n]
    parts = [f"{one.label} {_value(one.final, recorded.several)}" for one in plain]
    if not parts:
        return ""
    seeds = f" (mean over {len(recorded.runs)} seeds and its 95 % interval)" if recorded.several else ""
    return (
        f"After the last epoch, the network reached on the validation images: {', '.join(parts)}{seeds}; chance is "
        f"{told(recorded.summary.get('chance'))}."
    )


def _scores(recorded: Recorded, measures: list[Measure], simulated: bool) -> str:
    parts = []
    for one in measures:
        rows = last_rows(recorded, one)
        if one.incomparable or not one.final.n or rows.empty:
            continue
        error = float(rows["value_error"].iloc[0])
        spread = f" +- {number(error)}" if not recorded.several and math.isfinite(error) else ""
        facts = [
            f"ceiling {number(one.ceiling)}" if math.isfinite(one.ceiling) else "",
            f"n = {rows['n'].iloc[-1]:,.0f} stimuli" if rows["n"].iloc[-1] > 0 else "",
            f"{rows['neuroids'].iloc[-1]:,.0f} neuroids" if rows["neuroids"].iloc[-1] > 0 else "",
            f"scale {one.scale}" if one.scale else "",
            str(rows["metric"].iloc[-1]),
            f"data {rows['brain_data'].iloc[-1] or MISSING}",
        ]
        parts.append(
            f"{one.label} {_value(one.final, recorded.several)}{spread} ({', '.join(filter(None, facts))})"
        )
    if not parts:
        return ""
    how = "means over seeds and their 95 % intervals" if recorded.several else "with the standard error"
    if simulated:
        start = "Against a simulated brain, which no animal or person was recorded for, the network scored"
    else:
        start = "Compared with recordings or behaviour, the network scored"
    return f"{start} ({how}, last evaluation): {'; '.join(parts)}."


def _value(estimate: Estimate, several: bool) -> str:
    interval = f" ({interval_text(estimate)})" if several and math.isfinite(estimate.low) else ""
    return f"{number(estimate.mean)}{interval}"


def _size(data: Mapping[str, Any]) -> str:
    return f"{told(data['size'])} x {told(data['size'])} pixels" if data.get("size") else f"size {MISSING}"


def _smoothing(recorded: Recorded) -> Any:
    task, recipe = part_of(recorded.config, "task"), part_of(recorded.config, "recipe")
    return task["label_smoothing"] if "label_smoothing" in task else recipe.get("label_smoothing")
