"""Text from files on a terminal and in tables, and standard streams that are closed or know only ASCII."""

import csv
import io
import os
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cornet.csv_cells import csv_text, escape_cell, unescape_cell
from cornet.terminal import Terminal, cell


def test_control_characters_and_markup_mean_nothing():
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, width=80, color_system=None)
    console.print(cell("V4\x1b[2J[red]\x07"), "\x1b]0;title\x07", highlight=False)
    assert out.getvalue() == "V4\\x1b[2J[red]\\x07 \\x1b]0;title\\x07\n"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@sum", "\tx", "\rx", "'=x", "''-0.1", "-"])
def test_formulas_get_an_apostrophe_and_come_back(text):
    assert escape_cell(text) == f"'{text}"
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("text", ["-0.13", "+1e-3", "V4", "", "'quoted'", "-inf", "r^2/c"])
def test_numbers_and_words_stay(text):
    assert escape_cell(text) == text
    assert unescape_cell(text) == text


@given(st.text(max_size=20))
def test_any_text_comes_back(text):
    assert unescape_cell(escape_cell(text)) == text


def test_tables_for_people():
    table = pd.DataFrame({"=name": ["=cmd()", "-0.5"], "value": [-0.5, 1.0]})
    rows = list(csv.reader(io.StringIO(csv_text(table))))
    assert rows == [["'=name", "value"], ["'=cmd()", "-0.5"], ["-0.5", "1.0"]]


PROGRAM = """
import sys
from cornet.terminal import steady_streams
steady_streams()
for number in range(20000):
    print("caf\\u00e9", number)
open(sys.argv[1], "w").write("done")
"""


@pytest.mark.parametrize("how", ["pipe", "closed", "full", "ascii"])
def test_a_stream_that_cannot_be_written_ends_nothing(tmp_path, how):
    result = tmp_path / "result"
    end = {"pipe": "| head -1", "closed": ">&-", "full": "> /dev/full", "ascii": "| tail -1"}[how]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{sys.executable}" -c \'{PROGRAM}\' "{result}" {end}'],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii" if how == "ascii" else "utf-8"},
        timeout=120,
        check=False,
    )
    assert result.read_text() == "done"
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert ("standard output cannot be written" in done.stderr) == (how == "full")
    if how == "ascii":
        assert done.stdout == "caf? 19999\n"
