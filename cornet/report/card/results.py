"""Accuracies and brain scores on a card."""

import math

import numpy as np
import pandas as pd

from cornet.report.card.blocks import MISSING, Block, Cell, Section, Table, Texts, told
from cornet.report.card.read import Recorded
from cornet.report.render import interval_text, number
from cornet.report.run.data import is_int, latest
from cornet.report.seeds.measures import Measure
from cornet.report.statistics import Estimate, share_interval

__all__ = ["accuracy_section", "last_rows", "scores_section"]

SIMULATED = (
    "No brain was recorded for the scores that are marked simulated; they check that the pipeline works and say "
    "nothing about brains."
)


def accuracy_section(recorded: Recorded) -> Section:
    """Render the metrics and losses on the validation images: after the last epoch, and at the best checkpoint."""
    plain = [one for one in recorded.measures if one.kind != "brain"]
    if not plain:
        return Section("Accuracy", [Texts([f"Metrics on validation images: {MISSING}."])])
    val_images = recorded.summary.get("val_images")
    images = val_images if is_int(val_images) else 0
    heading = "last epoch: mean, 95 % interval over seeds" if recorded.several else "last epoch"
    at_best = "best checkpoint: mean, 95 % interval" if recorded.several else "best checkpoint"
    rows = []
    for one in plain:
        last = _mean(one, one.final) if recorded.several else _single(one, recorded, images)
        best = (
            _mean(one, one.at_best) if recorded.several else Cell(number(one.at_best.mean), _epoch(recorded))
        )
        spread = [Cell(number(one.final.sd)), Cell(_count(one.last))] if recorded.several else []
        rows.append([Cell(one.label), last, best, *spread])
    columns = ["metric", heading, at_best, *(["sd", "seeds"] if recorded.several else [])]
    chance = recorded.summary.get("chance")
    notes = [f"On {told(recorded.summary.get('val_images'))} validation images; chance {told(chance)}."]
    notes += ["The best of several noisy values is biased upwards."]
    if not recorded.several and any(_is_share(one) for one in plain):
        notes += ["Intervals of accuracies: 95 %, over images (Wilson)."]
    return Section("Accuracy", [Table(columns, rows, " ".join(notes))])


def scores_section(recorded: Recorded) -> Section:
    """Render the brain scores of the last evaluation, with error, ceiling, numbers, and what identifies them."""
    brain = [one for one in recorded.measures if one.kind == "brain"]
    if not brain:
        return Section("Brain scores", [Texts(["None are recorded."])])
    blocks: list[Block] = []
    if any(one.simulated for one in brain):
        every = "All of these scores are simulated. " if all(one.simulated for one in brain) else ""
        blocks.append(Texts([every + SIMULATED], warning=True))
    rows = [_score_row(recorded, one) for one in brain]
    if recorded.several:
        columns = [
            "benchmark",
            "score: mean, 95 % interval",
            "sd",
            "seeds",
            "before training",
            "raw",
            "ceiling",
            "n",
            "data",
        ]
        note = (
            "Of each seed's last evaluation. Intervals of means over seeds by Student's t; they cover other seeds on "
            "the same images and brain data, not other images or brains."
        )
    else:
        columns = [
            "benchmark",
            "score",
            "scale",
            "before training",
            "best checkpoint",
            "raw",
            "ceiling",
            "n",
            "data",
        ]
        note = "Of the last evaluation, +- one standard error. Best checkpoint: by monitored brain score, biased up."
    note += " Raw: before the correction by the ceiling. Data: version of the benchmark, hash of its data."
    return Section("Brain scores", [*blocks, Table(columns, rows, note)])


def last_rows(recorded: Recorded, measure: Measure) -> pd.DataFrame:
    """Return the last row of scores.csv of each run for a benchmark; empty for a mean of several."""
    found = []
    for run in recorded.runs:
        if run.scores is not None and measure.benchmark:
            same = run.scores["benchmark"].eq(measure.benchmark) & run.scores["weights"].eq(measure.weights)
            found.append(run.scores[same].tail(1))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _score_row(recorded: Recorded, one: Measure) -> list[Cell]:
    rows = last_rows(recorded, one)
    name = Cell(one.label, _about(rows), one.simulated)
    before = number(
        float(one.curves.loc[0.0].mean()) if 0.0 in one.curves.index and not one.incomparable else math.nan
    )
    if rows.empty:
        facts = [Cell("-"), Cell("-"), Cell("-"), Cell("-")]
    else:
        raw = float(rows["raw"].mean()) if not one.incomparable else math.nan
        facts = [
            _with_error(raw, math.nan if recorded.several else float(rows["error"].iloc[0])),
            Cell("-" if one.incomparable else number(one.ceiling)),
            _numbers(rows),
            _identity(rows),
        ]
    if recorded.several:
        scores = [
            _mean(one, one.final, one.scale),
            Cell(number(one.final.sd)),
            Cell(_count(one.last)),
            Cell(before),
        ]
        return [name, *scores, *facts]
    error = float(rows["value_error"].iloc[0]) if len(rows) else math.nan
    failure = str(rows["failure"].iloc[0]) if len(rows) else ""
    value = one.final.mean
    score = _with_error(value, error) if math.isfinite(value) else Cell("failed" if failure else "undefined")
    return [name, score, Cell(one.scale or "-"), Cell(before), Cell(number(one.at_best.mean)), *facts]


def _single(one: Measure, recorded: Recorded, images: int) -> Cell:
    value = one.final.mean
    low, high = share_interval(value, images) if _is_share(one) else (math.nan, math.nan)
    return Cell(number(value), f"{number(low)} to {number(high)}" if math.isfinite(low) else "")


def _is_share(one: Measure) -> bool:
    """Return whether a metric is a share of images: top1, top1_squash, top5."""
    return one.name.startswith(("val/top1", "val/top5"))


def _epoch(recorded: Recorded) -> str:
    epoch = recorded.summary.get("best_epoch")
    return f"epoch {epoch:g}" if type(epoch) in (int, float) else ""


def _mean(one: Measure, estimate: Estimate, scale: str = "") -> Cell:
    if one.incomparable:
        return Cell("not averaged", one.incomparable)
    interval = interval_text(estimate) if math.isfinite(estimate.low) else ""
    return Cell(
        number(estimate.mean) if estimate.n else "undefined", ", ".join(filter(None, [interval, scale]))
    )


def _count(values: pd.Series) -> str:
    known = int(values.notna().sum())
    return str(known) if known == len(values) else f"{known} of {len(values)}"


def _with_error(value: float, error: float) -> Cell:
    return Cell(
        number(value) + (f" +- {number(error)}" if math.isfinite(value) and math.isfinite(error) else "")
    )


def _about(rows: pd.DataFrame) -> str:
    """Return region, metric, compared sites and split rule."""
    if rows.empty:
        return ""
    last = rows.iloc[-1]
    sites = f"from {last['sites']}" if last["sites"] else ""
    return "; ".join(
        str(text) for text in (last["region"], last["metric"], sites, last["split_rule"]) if text
    )


def _numbers(rows: pd.DataFrame) -> Cell:
    words = {"n": ("stimulus", "stimuli"), "neuroids": ("neuroid", "neuroids"), "splits": ("split", "splits")}
    counts = {column: latest(rows[column]) for column in words}
    texts = [f"{count:,.0f} {words[column][count != 1]}" for column, count in counts.items() if count > 0]
    return Cell(texts[0] if texts else "-", ", ".join(texts[1:]))


def _identity(rows: pd.DataFrame) -> Cell:
    versions = [f"{one:g}" for one in dict.fromkeys(rows["version"][np.isfinite(rows["version"])])]
    hashes = list(dict.fromkeys(str(text) for text in rows["brain_data"] if text))
    return Cell(
        f"version {', '.join(versions)}" if versions else f"version {MISSING}", ", ".join(hashes) or MISSING
    )
