"""Data, recipe, hardware and versions on a card, as the run's folder records them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cornet.report.card.blocks import MISSING, Facts, Section, told
from cornet.report.card.read import Recorded, part_of
from cornet.report.render import time_text
from cornet.report.run.data import seconds_of
from cornet.runs.config import flat

__all__ = [
    "augmentation",
    "data_section",
    "hardware",
    "machine_section",
    "recipe_section",
    "training_seconds",
]

RECIPE = "cornet.training.recipe.Recipe"
"""The recipe's class, whose optimiser is SGD with momentum unless its algorithm is another one."""

NOT_AUGMENTATION = (
    *(
        "_target_",
        "name",
        "folder",
        "clickme",
        "cache",
        "cache_gb",
        "storage_options",
        "window",
        "size",
        "mean",
    ),
    *("std", "views", "val_resize", "targets", "maps", "train_images", "val_images", "seed"),
)
"""Keys of the part `data` that say where images are and how they are shown, not how training images are varied."""

PACKAGES = ("python", "torch", "torchvision", "pytorch-lightning", "numpy", "scipy", "scikit-learn")


def data_section(recorded: Recorded) -> Section:
    """Render the images that the network was trained on."""
    data, summary = part_of(recorded.config, "data"), recorded.summary
    prints = dict.fromkeys(str(one["fingerprint"]) for one in recorded.images if one.get("fingerprint"))
    rows = [
        ("images", told(recorded.data)),
        ("read by", told(data.get("_target_"))),
        ("training images", told(summary.get("train_images", data.get("train_images")))),
        ("validation images", told(summary.get("val_images", data.get("val_images")))),
        ("classes", told(summary.get("classes"))),
        ("size", f"{told(data['size'])} pixels per side" if data.get("size") else MISSING),
        (
            "validation views",
            told(data.get("views") or None),
        ),
        ("fingerprint of the training images", told(list(prints))),
        ("augmentation", augmentation(recorded)),
    ]
    if data.get("targets"):
        rows.append(("targets beside the class", told(data["targets"])))
    if recorded.config.get("diet"):
        rows.append(("diet", _keys(part_of(recorded.config, "diet"))))
    return Section("Data", [Facts(rows)])


def augmentation(recorded: Recorded) -> str:
    """Return the recorded settings that vary the training images."""
    data, recipe = part_of(recorded.config, "data"), part_of(recorded.config, "recipe")
    if not data:
        return MISSING
    given = {key: value for key, value in data.items() if key not in NOT_AUGMENTATION and value is not None}
    words = []
    if isinstance(scale := given.pop("crop_scale", None), Sequence) and len(scale) == 2:
        words.append(f"random crops of {told(scale[0])} to {told(scale[1])} of the area")
    if isinstance(ratio := given.pop("crop_ratio", None), Sequence) and len(ratio) == 2:
        words.append(f"width / height {told(ratio[0])} to {told(ratio[1])}")
    if "flip" in given:
        words.append("half of the images mirrored" if given.pop("flip") else "no mirroring")
    words += [f"{key.replace('_', ' ')} {told(value)}" for key, value in given.items()]
    if recipe.get("sizes"):
        words.append(f"smaller images at first ({_sizes(recipe['sizes'])})")
    target = str(data.get("_target_", "the image source")).rpartition(".")[2]
    return "; ".join(words) + (", otherwise " if words else "") + f"the defaults of {target} in this version"


def recipe_section(recorded: Recorded) -> Section:
    """Render optimiser, schedule, precision, task and losses."""
    recipe, config = part_of(recorded.config, "recipe"), recorded.config
    optimiser = optimiser_of(recipe)
    rows = [
        ("optimiser", told(optimiser)),
        ("learning rate", told(recipe.get("learning_rate"))),
        ("schedule", schedule(recipe)),
        ("momentum", _momentum(recipe)),
        ("weight decay", _decay(recipe)),
        ("epochs", told(recorded.summary.get("epochs", recipe.get("epochs")))),
        ("batch size", _batch(recipe)),
        ("precision", _precision(recipe)),
        ("label smoothing", told(_first(part_of(config, "task"), recipe, "label_smoothing"))),
        ("gradient clipping", _or_none(recipe, "clip")),
        ("averaged weights", _or_none(recipe, "average")),
        ("loss of earlier read-outs", told(recipe.get("step_loss"))),
        ("learning-rate factors", _or_none(recipe, "rates")),
        ("task", _named(part_of(config, "task"))),
        ("losses beside the task's", _losses(config)),
        ("best checkpoint by", told(recorded.summary.get("monitor", config.get("monitor")))),
        ("random seeds", recorded.seeds),
    ]
    return Section("Recipe", [Facts(rows)])


def optimiser_of(recipe: Mapping[str, Any]) -> Any:
    """Return the name of the optimiser: SGD, Adam, or the class of another recipe."""
    target = recipe.get("_target_")
    return {"adam": "Adam"}.get(str(recipe.get("algorithm")), "SGD") if target == RECIPE else target


def schedule(recipe: Mapping[str, Any]) -> str:
    """Return the schedule of the learning rate in words."""
    kind = recipe.get("schedule")
    if kind is None:
        return MISSING
    text = str(kind)
    if kind == "divide":
        at = recipe.get("divide_at")
        text = (
            f"divided by 10 after epochs {told(at)}"
            if at
            else f"divided by 10 every {told(recipe.get('divide_every'))} epochs"
        )
    elif kind == "cosine":
        text = "cosine to 0"
    warmup = recipe.get("warmup")
    return text + (f", after {told(warmup)} epochs of linear warm-up" if warmup else ", no warm-up")


def machine_section(recorded: Recorded, cornet: str) -> Section:
    """Render hardware, versions, commit and time. cornet: the version that writes the card."""
    versions = recorded.versions
    rows = [
        ("hardware", hardware(versions)),
        ("processes, threads", f"{told(versions.get('ranks'))}, {told(versions.get('threads'))}"),
        ("system", told(versions.get("platform"))),
        ("cornet", f"{told(versions.get('cornet-ventral'))}, commit {commit(versions)}"),
        ("packages", ", ".join(f"{name} {told(versions.get(name))}" for name in PACKAGES)),
        ("CUDA of PyTorch", told(versions.get("cuda"))),
        ("training time", _time(recorded)),
        ("scoring time", _scoring(recorded)),
        ("card written by", f"cornet {cornet}"),
    ]
    return Section("Hardware and versions", [Facts(rows)])


def hardware(versions: Mapping[str, Any]) -> str:
    """Return GPUs and processor."""
    gpus = versions.get("gpus")
    if not versions or not isinstance(gpus, list):
        return MISSING
    counted = {name: gpus.count(name) for name in dict.fromkeys(map(str, gpus))}
    cards = ", ".join(f"{count} x {name}" for name, count in counted.items()) or "no GPU"
    return f"{told(versions.get('cpus'))} cores of {told(versions.get('cpu'))}, {cards}"


def commit(versions: Mapping[str, Any]) -> str:
    """Return the commit, and whether there were uncommitted changes."""
    return told(versions.get("commit")) + (" with uncommitted changes" if versions.get("dirty") else "")


def training_seconds(recorded: Recorded) -> float:
    """Return images x epochs / the recorded median speed, on average over seeds; NaN if one of them is unknown."""
    seconds = []
    for run in recorded.runs:
        epochs = run.summary.get("stopped_early") or run.summary.get("epochs")
        images, rate = (_positive(run.summary.get(key)) for key in ("train_images", "images_per_second"))
        seconds.append(images * _positive(epochs) / rate)
    return float(np.mean(seconds))


def _positive(value: Any) -> float:
    """Return a recorded number above 0; NaN for anything else."""
    return float(value) if type(value) in (int, float) and 0 < value < 1e300 else math.nan


def _time(recorded: Recorded) -> str:
    seconds = training_seconds(recorded)
    if not math.isfinite(seconds):
        return MISSING
    rates = [_positive(run.summary["images_per_second"]) for run in recorded.runs]
    each = " per seed" if recorded.several else ""
    return (
        f"about {time_text(seconds)}{each}, without validation and scoring: training images x epochs / "
        f"{np.mean(rates):,.0f} images/s (the recorded median)"
    )


def _scoring(recorded: Recorded) -> str:
    totals = []
    for run in recorded.runs:
        if run.scores is None:
            continue
        seconds, with_recording = seconds_of(run.scores, run.metrics)
        totals.append((sum(seconds.values()), with_recording))
    if not totals:
        return MISSING
    what = "with recording the network" if all(one[1] for one in totals) else "comparisons only"
    return f"{time_text(float(np.mean([one[0] for one in totals])))}{' per seed' if recorded.several else ''}, {what}"


def _momentum(recipe: Mapping[str, Any]) -> str:
    return told(recipe.get("momentum")) + (", Nesterov" if recipe.get("nesterov") else "")


def _decay(recipe: Mapping[str, Any]) -> str:
    also = ""
    if "decay_norms_and_biases" in recipe:
        also = ", of all parameters" if recipe["decay_norms_and_biases"] else ", not of norms and biases"
    return told(recipe.get("weight_decay")) + also


def _batch(recipe: Mapping[str, Any]) -> str:
    parts = recipe.get("accumulate")
    several = isinstance(parts, int) and parts > 1
    return told(recipe.get("batch_size")) + (f", in {parts} parts" if several else "")


def _precision(recipe: Mapping[str, Any]) -> str:
    words = [told(recipe.get("precision"))]
    words += ["TF32 products allowed on a GPU"] if recipe.get("tf32") else []
    words += ["compiled"] if recipe.get("compile") else []
    return ", ".join(words)


def _losses(config: Mapping[str, Any]) -> str:
    if "losses" not in config:
        return MISSING
    losses = part_of(config, "losses")
    return "; ".join(f"{name}: {_named(part_of(losses, name))}" for name in losses) or "none"


def _named(part: Mapping[str, Any]) -> str:
    """Return the class of a part, without its package, and its settings."""
    keys = _keys(part)
    name = str(part.get("_target_", "")).rpartition(".")[2]
    return told(name) + (f" ({keys})" if keys else "")


def _keys(part: Mapping[str, Any]) -> str:
    """Return the settings of a part; paths lose their folders, which are of one machine."""
    return ", ".join(
        f"{key} {told(value.rpartition('/')[2] if isinstance(value, str) else value)}"
        for key, value in flat(part)
        if key != "_target_" and value not in (None, "", [], {})
    )


def _or_none(part: Mapping[str, Any], key: str) -> str:
    return MISSING if key not in part else told(part[key]) if part[key] else "none"


def _first(part: Mapping[str, Any], other: Mapping[str, Any], key: str) -> Any:
    return part[key] if key in part else other.get(key)


def _sizes(sizes: Any) -> str:
    pairs = (
        [one for one in sizes if isinstance(one, Sequence) and len(one) == 2]
        if isinstance(sizes, Sequence)
        else []
    )
    return ", ".join(f"{told(pixels)} pixels for {told(epochs)} epochs" for pixels, epochs in pairs)
