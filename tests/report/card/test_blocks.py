"""Markdown of a card: nothing in it becomes markup."""

import pytest

from cornet.report.card.blocks import Cell, Code, Facts, Items, Section, Table, Texts, markdown, told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not recorded"),
        ([], "not recorded"),
        (True, "yes"),
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (0.0001, "0.0001"),
        ({"V4": 2, "IT": [1, 2]}, "V4 2, IT 1, 2"),
    ],
)
def test_values(value, text):
    assert told(value) == text


def test_all_blocks():
    table = Table(["a", "b"], [[Cell("x|y", "small", simulated=True), Cell("1")]], "a note")
    blocks = [Facts([("name", "*bold*")]), Items(["<script>"]), Texts(["careful"], warning=True), table]
    text = markdown("T_1 _x_", [Section("One", blocks), Section("", [Code("```\n@a{b}")])])
    assert text.splitlines()[0] == "# T_1 \\_x\\_"
    assert "* name: \\*bold\\*" in text
    assert "* \\<script\\>" in text
    assert "> careful" in text
    assert "| x\\|y (simulated)<br>small | 1 |" in text
    assert text.endswith("```\n'''\n@a{b}\n```\n")


def test_line_breaks_and_control_characters_stay_in_their_line():
    text = markdown("a\n# b", [Section("", [Items(["one\n\n# two\x1b[2J"])])])
    assert text == "# a \\# b\n\n* one \\# two\\\\x1b\\[2J\n" or "\x1b" not in text
    assert len(text.splitlines()) == 3
