"""Deviations and warnings on a card: what a reader of the numbers must know, from the files of the runs."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cornet.report.card.blocks import Items, Section, told
from cornet.report.card.read import Recorded, part_of
from cornet.report.card.results import last_rows
from cornet.report.seeds.seed_runs import SeedRun

__all__ = ["remarks_section"]

MACHINE = ("platform", "cpu", "cpus", "threads", "ranks", "gpus")
LIMITS = ("limit_train_batches", "limit_val_batches", "max_steps", "overfit_batches", "fast_dev_run")
"""Keys of the trainer that leave a part of the training or of the images out."""


def remarks_section(recorded: Recorded) -> Section:
    """Render the deviations and warnings."""
    texts = [*recorded.problems, *recorded.notes, *_of_configuration(recorded)]
    for run, images, start in zip(recorded.runs, recorded.images, recorded.started_from, strict=True):
        name = f"seed {run.seed}: " if recorded.several else ""
        texts += [f"{name}{text}" for text in _of_run(run, images, start)]
    texts += _of_scores(recorded)
    shown = [f"{_capital(text).rstrip('.')}." for text in dict.fromkeys(texts)]
    return Section("Deviations and warnings", [Items(shown or ["None are recorded."])])


def _of_configuration(recorded: Recorded) -> Iterator[str]:
    model, trainer = part_of(recorded.config, "model"), part_of(recorded.config, "trainer")
    if not recorded.summary:
        yield "the training is not finished, so all numbers are those so far"
    if model.get("freeze"):
        yield f"areas that were not trained: {told(model['freeze'])}"
    for key in LIMITS:
        if trainer.get(key) not in (None, 1.0, -1, 0, False) or (
            key.startswith("limit") and trainer.get(key) == 0
        ):
            yield f"the configuration has trainer.{key}={told(trainer[key])}, which leaves something out"
    if recorded.config.get("sweep") and part_of(part_of(recorded.config, "sweep"), "halving").get("first"):
        yield "the run belongs to a sweep in which successive halving stops weak runs early"


def _of_run(run: SeedRun, images: Mapping[str, Any], start: Mapping[str, Any]) -> Iterator[str]:
    summary, versions = run.summary, run.versions
    if early := summary.get("stopped_early"):
        yield f"stopped early, after {told(early)} of {told(summary.get('epochs'))} epochs, by successive halving"
    if start:
        yield (
            f"the training began at epoch {told(start.get('epochs'))} from the checkpoint "
            f"{told(start.get('checkpoint'))} (SHA-256 {str(start.get('sha256'))[:16]}) of another run"
        )
    if versions.get("dirty"):
        yield "cornet had uncommitted changes, so the commit does not tell the code"
    later = versions.get("continued_with")
    for one in later if isinstance(later, list) else []:
        if isinstance(one, Mapping) and (changed := _changed(versions, one)):
            yield f"resumed with another setting of the machine or its packages: {changed}"
    if (prints := images.get("continued_with")) and isinstance(prints, list):
        yield f"resumed with other training images (fingerprints {told([images.get('fingerprint'), *prints])})"
    if summary.get("bad_files") is True or (run.path / "bad_files.csv").is_file():
        yield "some images could not be read and were replaced (bad_files.csv lists them)"
    if (run.path / "checkpoints" / "damaged.ckpt").is_file():
        yield "a damaged checkpoint was moved aside, and the training resumed from the one before it"
    if any(run.path.glob("scores-*.csv")):
        yield "scores of an earlier evaluation were moved aside (scores-1.csv)"
    yield from _gaps(run)


def _gaps(run: SeedRun) -> Iterator[str]:
    """Say which epochs have a validation loss that is not a number."""
    if run.metrics is None or "val/loss" not in run.metrics:
        return
    logged = run.metrics.dropna(subset=["epoch"])
    epochs = logged["epoch"][np.isinf(logged["val/loss"])]
    if len(epochs):
        yield f"the validation loss was infinite after {len(epochs)} evaluations"


def _of_scores(recorded: Recorded) -> Iterator[str]:
    """Yield failures and notes of the scores that are shown, such as excluded neuroids, with the number of seeds."""
    for one in recorded.measures:
        rows = last_rows(recorded, one)
        if rows.empty:
            continue
        texts: Counter[str] = Counter()
        for row in rows.to_dict("records"):
            if row["failure"]:
                texts[f"the score failed: {row['failure']}"] += 1
            elif not math.isfinite(row["value"]):
                texts[f"the score is undefined: {row['notes'] or 'no reason was recorded'}"] += 1
            elif row["notes"]:
                texts[str(row["notes"])] += 1
        for text, count in texts.items():
            seeds = f" ({count} of {len(rows)} seeds)" if len(rows) > 1 else ""
            yield f"{one.label}: {text.rstrip('.')}{seeds}"


def _capital(text: str) -> str:
    """Begin with a capital, unless the first word is a name, such as simulated.IT or config.yaml."""
    first = text.split(" ", 1)[0].rstrip(":")
    return text[:1].upper() + text[1:] if first.isalpha() else text


def _changed(first: Mapping[str, Any], later: Mapping[str, Any]) -> str:
    keys = [
        key
        for key in {**first, **later}
        if key not in ("continued_with", "dirty") and first.get(key) != later.get(key)
    ]
    ordered = sorted(keys, key=lambda key: key in MACHINE)
    return ", ".join(f"{key} {_short(first.get(key))} to {_short(later.get(key))}" for key in ordered)


def _short(value: Any) -> str:
    text = told(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
