"""The table of the reference's neural benchmarks: complete rows, and commands that exist."""

import re

from typer.testing import CliRunner

from cornet.brain.benchmarks import list_benchmarks
from cornet.brain.benchmarks.coverage import ANSWERS, COVERAGE, coverage
from cornet.brain.metrics.neural.registry import list_metrics
from cornet.cli import app
from cornet.report.terminal_tables import shortened


def test_every_benchmark_is_listed_once_with_an_answer():
    rows = coverage()
    names = [row["identifier"] for row in rows]
    assert len(names) == len(set(names)) == 145
    assert {row["runs"] for row in rows} == set(ANSWERS)
    for row in rows:
        assert row["file"]
        assert row["about"] or row["runs"] == "yes"


def test_metrics_and_named_benchmarks_exist():
    known = {one.name for one in list_benchmarks()}
    for one in COVERAGE:
        if one.runs in ("yes", "own file"):
            assert {*one.metric.split(", ")} <= {*list_metrics(), "solution times"}, one
        for name in re.findall(r"[a-z]+20\d\d[.\w-]*", one.about):
            plain = name.removesuffix(f"-{one.metric}")
            assert {name, plain} & known, name


def test_names_are_shortened():
    names = ("Papale2025.V1-ridgecv", "Papale2025.V4-ridgecv", "Papale2025.V1-ridge", "Papale2025.V4-ridge")
    assert shortened(names) == "Papale2025.{V1,V4}-{ridgecv,ridge}"
    assert shortened(("Kar2019-ost",)) == "Kar2019-ost"
    assert shortened(tuple(f"a{k}-x" for k in range(12))) == "a0-x, a1-x, a2-x and 9 more"


def test_the_command_prints_the_table():
    result = CliRunner().invoke(app, ["benchmarks", "--coverage"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "Papale2025.{V1,V4,IT}-{ridgecv,ridge}" in result.output
    assert "own file (31 of 145)" in result.output
    result = CliRunner().invoke(app, ["benchmarks", "--coverage", "--json"])
    assert result.exit_code == 0
    assert '"identifier": "Zerbe2026_fmri.IT-ood-ridgecv"' in result.output
