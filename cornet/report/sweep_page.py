"""sweep.html: the variants of a sweep, their changes against the base, what explains them, what they cost."""

import math
from html import escape

from cornet.opening import read_bytes
from cornet.report.compare_page import STYLE
from cornet.report.page_style import HEAD
from cornet.report.seeds_interval import Estimate
from cornet.report.seeds_table import interval_text, number
from cornet.report.sweep_change_section import change_section
from cornet.report.sweep_changes import FEW, name_of
from cornet.report.sweep_factor_section import factor_section
from cornet.report.sweep_html import broken, sweep_figure
from cornet.report.sweep_plots import draw_accuracy, draw_cost, draw_steps
from cornet.report.sweep_runs import Sweep, Variant
from cornet.report.sweep_table import count_text, left_out_text, seeds_text, time_text

__all__ = ["sweep_page"]

OWN = """<style>
table.sweep { border-collapse: separate; border-spacing: 0; }
.sweep th, .sweep td { padding: .32em .5em; }
.sweep td:first-child, .sweep th:first-child { position: sticky; left: 0;
  background: linear-gradient(#fff, #fff) 0 1px / 100% calc(100% - 2px) no-repeat; white-space: nowrap; }
.sweep th.score { min-width: 6.6em; max-width: 11em; }
.sweep .when { display: block; margin: 0; font-size: .82em; }
.sweep td { white-space: nowrap; }
.sweep td.words, .sweep th.words { text-align: left; white-space: normal; min-width: 9em; }
.chosen td { background: #f3f6f9 !important; }
.sweep th.score, p, h3 { overflow-wrap: anywhere; }
.strong { font-weight: 600; }
</style>"""


def sweep_page(sweep: Sweep, base: Variant) -> str:
    """HTML: the whole page. It needs nothing outside itself."""
    parts = [f"<h1>{escape(sweep.title)}</h1>", _lede(sweep, base), _banner(sweep), _left_out(sweep)]
    parts += ["<h2>Variants</h2>", _variants(sweep, base)]
    parts += ["<h2>Change against the base</h2>", change_section(sweep, base)]
    parts += ["<h2>Which factor explains it</h2>", factor_section(sweep, base)]
    parts += _plots(sweep, base)
    if sweep.notes:
        items = "".join(f"<li>{escape(note.rstrip('.'))}</li>" for note in sweep.notes)
        parts += ["<h2>Notes</h2>", f"<ul>{items}</ul>"]
    parts.append(_configuration(base))
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{HEAD}\n{STYLE}\n{OWN}\n<title>{escape(sweep.title)}</title>\n'
        f"</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _lede(sweep: Sweep, base: Variant) -> str:
    factors = []
    for factor in sweep.factors:
        values = sorted((one.values[factor.key] for one in sweep.variants), key=factor.order)
        also = f" (and {', '.join(factor.same)}, the same in every run)" if factor.same else ""
        factors.append(f"{factor.name}{also}: {', '.join(dict.fromkeys(map(factor.text, values)))}")
    return (
        "<p>Networks that differ in a few factors, each trained from several random numbers: which factors made a "
        "difference, in what, and at what cost.</p>\n"
        f"<p class=facts>{escape('; '.join(factors))}. Base: variant {base.number} ({escape(base.label)}).</p>\n"
        f"<p class='facts path'>Runs: {escape(str(sweep.folder))}</p>"
    )


def _banner(sweep: Sweep) -> str:
    if not sweep.simulated:
        return ""
    brain = [name for name, one in sweep.measures.items() if one.kind == "brain"]
    every = len(sweep.simulated) == len(brain)
    what = "all brain scores on this page" if every else escape(", ".join(sweep.simulated))
    return (
        f'<div class="banner" role="note"><p><strong>Simulated:</strong> {what}. No brain was recorded for '
        "these; they check that the pipeline works, and say nothing about brains.</p></div>"
    )


def _left_out(sweep: Sweep) -> str:
    stopped = sum(len(one.stopped) for one in sweep.variants)
    texts = [left_out_text(sweep)] if sweep.left_out else []
    if stopped:
        texts.append(f"{stopped} run{'s were' if stopped > 1 else ' was'} stopped early, and in no mean.")
    if not texts:
        return ""
    return f'<div class="banner failure" role="note"><p>{escape(" ".join(texts))}</p></div>'


def _variants(sweep: Sweep, base: Variant) -> str:
    factors = sweep.factors
    several = len(factors) > FEW
    heads = ["<th scope=col></th>"]
    heads += (
        ['<th scope=col class="words">differs in</th>']
        if several
        else [f"<th scope=col>{broken(factor.name)}</th>" for factor in factors]
    )
    names = [f'<th scope=col class="score">{broken(name)}</th>' for name in sweep.measures]
    costs = [f"<th scope=col>{name}</th>" for name in ("MACs", "param.", "depth", "training")]
    heads += ["<th scope=col>seeds</th>", names[0], *costs, *names[1:]]
    lines = []
    for one in sweep.variants:
        mark = " <span class=tag>base</span>" if one is base else ""
        stopped = " <span class=tag>stopped early</span>" if one.stopped and not one.seeds else ""
        cells = [f"<strong>{one.number}</strong>{mark}{stopped}"]
        cells += [
            escape(text)
            for text in (
                [name_of(sweep, base, one)]
                if several
                else [factor.text(one.values[factor.key]) for factor in factors]
            )
        ]
        cells.append(escape(seeds_text(one)))
        cost = one.cost
        told = [count_text(value) for value in (cost.macs, cost.parameters, cost.depth)]
        values = [_estimate(one, name) for name in sweep.measures]
        cells += [values[0], *told, time_text(cost.seconds), *values[1:]]
        row = "".join(
            f"<td{' class=words' if several and k == 1 else ''}>{cell}</td>" for k, cell in enumerate(cells)
        )
        lines.append(f"<tr{' class=chosen' if one is base else ''}>{row}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table class="sweep"><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
        "<p class=small>Accuracy at the epoch that a run keeps as its best (which makes it a little too good in all "
        "variants alike), scores at the last evaluation: the mean over seeds and, below, its 95 % interval by "
        "Student's t, which one seed alone does not have. Seeds are the unit: the interval tells how other seeds would "
        "come out on the same images and brain data. MACs: multiply-adds per image; depth: layers on the longest path, "
        "each once; training: images trained on by the measured speed, without "
        "validation and scoring.</p>"
    )


def _estimate(one: Variant, name: str) -> str:
    found = one.measures.get(name)
    if found is None:
        return "-"
    if found.apart:
        return "<span class=none>not averaged</span>"
    estimate: Estimate = one.estimate(name)
    if not estimate.n:
        return "<span class=none>undefined</span>"
    interval = f"<span class=when>{interval_text(estimate)}</span>" if math.isfinite(estimate.low) else ""
    fewer = (
        f"<span class=when>{estimate.n} of {len(one.seeds)} seeds</span>"
        if estimate.n < len(one.seeds)
        else ""
    )
    return f"<strong>{number(estimate.mean)}</strong>{interval}{fewer}"


def _plots(sweep: Sweep, base: Variant) -> list[str]:
    brain = [name for name in sweep.compared if sweep.measures[name].kind == "brain"]
    parts = []
    for heading, key, names, draw, caption in (
        ("Score against accuracy", "a", brain, draw_accuracy, "no other variant is better in both"),
        ("Score and accuracy against cost", "m", sweep.compared, draw_cost, "no cheaper variant is as good"),
    ):
        drawn = [sweep_figure(draw(sweep, base, name, f"{key}{k}"), name) for k, name in enumerate(names)]
        if any(drawn):
            parts += [
                f"<h2>{heading}</h2>",
                "<p class=small>A point is a variant, numbered as in the table and named under the mouse; bars are "
                f"95 % intervals over seeds. Filled, on the line: the Pareto front ({caption}), by the means; "
                "the intervals, which reach further where an edge cuts them, tell how sure these are. A diamond with a "
                "black edge is the base.</p>",
                f"<div class=plots>{''.join(drawn)}</div>",
            ]
    times = [name for name in brain if sweep.measures[name].name.endswith("-ost")]
    if times:
        parts.append("<h2>Solution times against steps</h2>")
    for k, name in enumerate(times):
        plot = sweep_figure(draw_steps(sweep, base, name, f"s{k}"), name)
        parts += [f"<div class=plots>{plot}</div>" if plot else "", _undefined(sweep, name)]
    return parts


def _undefined(sweep: Sweep, name: str) -> str:
    """Which variants have no score of solution times, of those that were asked for one."""
    without = [one for one in sweep.variants if name in one.measures and not one.estimate(name).n]
    some = [one for one in sweep.variants if 0 < one.estimate(name).n < len(one.seeds)]
    texts = []
    if without:
        texts.append(f"undefined in every seed of variant {', '.join(str(one.number) for one in without)}")
    if some:
        texts.append(f"undefined in some seeds of variant {', '.join(str(one.number) for one in some)}")
    if not texts:
        return "<p class=small>Defined in every seed of every variant that was scored.</p>"
    return (
        f"<p class=small>{escape(name)} is {'; '.join(texts)}: too few images were solved at different times to rank "
        "them, which is not a score of zero.</p>"
    )


def _configuration(base: Variant) -> str:
    try:
        config = read_bytes(base.folders[0] / "config.yaml").decode()
    except (OSError, UnicodeDecodeError):
        return ""
    return (
        "<h2>What they were made with</h2>\n"
        f"<details><summary>Configuration of the base, variant {base.number}</summary>"
        f"<pre>{escape(config)}</pre></details>"
    )
