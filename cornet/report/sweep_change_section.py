"""The section of a sweep's page on changes against the base, beside those that were published."""

import math
from html import escape

from cornet.report.compare_tables import p_text
from cornet.report.sweep_changes import change_text, changes_of, published_change
from cornet.report.sweep_html import sweep_figure
from cornet.report.sweep_plots import draw_changes
from cornet.report.sweep_runs import Sweep, Variant

__all__ = ["change_section"]


def change_section(sweep: Sweep, base: Variant) -> str:
    """HTML: every variant that differs from the base in one factor alone, in accuracy and each score."""
    changes = changes_of(sweep, base)
    if not changes:
        return "<p>No variant differs from the base in one factor alone, so that no change can be laid to one.</p>"
    tested = sum(math.isfinite(one.difference.p) for one in changes)
    measures = list(dict.fromkeys(one.measure for one in changes))
    shown = [name for name in measures if sweep.measures[name].name in ("val/top1", "brain/mean")]
    shown = shown if len(shown) > 1 else measures[:2]
    drawn = [
        sweep_figure(draw_changes(sweep, base, changes, name, f"c{k}"), name) for k, name in enumerate(shown)
    ]
    lines = []
    variants = list(dict.fromkeys(one.variant for one in changes))
    published = {one.number: published_change(sweep, base, one) for one in variants}
    for one in changes:
        told, known = one.difference, published[one.variant.number]
        name = (
            f"{escape(change_text(sweep, base, one.variant))} <span class=small>({one.variant.number})</span>"
        )
        interval = "-"
        if math.isfinite(told.low):
            interval = f"{_points(told.low)} to {_points(told.high)}"
        how = "paired" if told.paired else "Welch"
        cells = [name, escape(one.measure), _points(told.mean), interval, p_text(told.p), p_text(one.holm)]
        seeds = str(told.n[0]) if told.paired else f"{told.n[0]}, {told.n[1]}"
        cells += [f"{seeds} {how}" if max(told.n) else "-"]
        beside = "-"
        if known is not None and sweep.measures[one.measure].name == "val/top1":
            beside = f"top-1 {_whole(known.top1)}, Brain-Score {_whole(known.brain_score)}"
        strong = " class=strong" if one.holm < 0.05 else ""
        lines.append(f"<tr{strong}>" + "".join(f"<td>{cell}</td>" for cell in [*cells, beside]) + "</tr>")
    heads = ("variant", "measure", "change", "95 % interval", "p", "p, Holm", "seeds", "published")
    head = "".join(f"<th scope=col>{one}</th>" for one in heads)
    few = ""
    if any(one.difference.n and 0 < min(one.difference.n) < 4 for one in changes):
        few = (
            " With two or three seeds such a test finds only differences that are large against the spread of seeds: "
            "what it does not find may be there."
        )
    beside = (
        " Published, with diamonds in the plot: the change of figure 4 of Kubilius, Schrimpf et al. 2019, in "
        "ImageNet top-1 and in Brain-Score, of CORnet-S at full size on ImageNet; other images, another "
        "size, and brains that were recorded."
        if any(published.values())
        else ""
    )
    return (
        f"<div class=plots>{''.join(drawn)}</div>\n"
        f"<p>Variants that differ from the base, variant {base.number}, in one factor alone: "
        f"{len(variants)} of {len(sweep.variants) - 1}. {tested} comparisons were tested, and p is corrected for all "
        f"of them (Holm).{few}</p>\n"
        f"<details><summary>All {len(changes)} changes</summary>"
        f'<div class="scroll" tabindex="0"><table class="sweep"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>\n"
        "<p class=small>Changes are in points of 100: accuracy and scores times 100. Seed by seed where both variants "
        f"have the same seeds (paired), else by Welch's comparison; p two-sided by Student's t. An "
        f"arrowhead: the interval goes on beyond the edge.{beside} Means over benchmarks that are made of the scores "
        "shown are not tested again, but for the mean score.</p>"
    )


def _points(value: float) -> str:
    """Of 100, with a sign; 0.0 has none."""
    if not math.isfinite(value):
        return "-"
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _whole(points: float) -> str:
    return f"{points:+.0f}" if points else "0"
