"""The fenced blocks of Markdown pages, and what stands in HTML comments for the tests that run them.

<!-- set-up           Python that runs before the blocks below it; readers do not see it
...
-->
<!-- slow set-up      the same, for slow blocks
...
-->
<!-- slow -->         the next block runs among the slow tests
<!-- not run: WHY --> the next block does not run
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.helpers.paths import ROOT

__all__ = ["PAGES", "Block", "blocks", "commands", "page_name", "snippet"]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

PARTS = re.compile(
    r"<!-- (?P<comment>.*?)-->|^(?P<fence> *`{3,})(?P<language>\S*)[^\n]*\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
SNIPPET = re.compile(r"\s*--8<--\n(.+)\n--8<--\s*")


@dataclass(frozen=True)
class Block:
    """A block of a page. line: of its first line of code. reason: why it does not run; "": it does."""

    page: Path
    line: int
    language: str
    code: str
    slow: bool = False
    reason: str = ""

    @property
    def place(self) -> str:
        return f"{page_name(self.page)}:{self.line}"


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in order; set-up has the language "set-up". Markers must be known, and be followed."""
    text, marker = page.read_text(), ""
    for part in PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + 2
        if (comment := part["comment"]) is None:
            reason = marker.removeprefix("not run: ") if marker.startswith("not run: ") else ""
            yield Block(page, line, part["language"], dedent(part["code"]), marker == "slow", reason)
            marker = ""
        elif set_up := re.match(r"(slow )?set-up\n", comment):
            yield Block(page, line, "set-up", comment[set_up.end() :], bool(set_up[1]))
        else:
            assert not marker, f"{page_name(page)}:{line}: no block follows the marker {marker!r}"
            marker = comment.strip()
            known = marker == "slow" or re.fullmatch(r"not run: \S.*", marker, re.DOTALL)
            assert known, f"{page_name(page)}:{line}: unknown marker {marker!r}"
    assert not marker, f"{page_name(page)}: no block follows the marker {marker!r}"


def snippet(block: Block) -> Path | None:
    """Return the file that a block includes as a whole, if it does."""
    found = SNIPPET.fullmatch(block.code)
    return ROOT / found[1] if found else None


def commands(block: Block) -> Iterator[tuple[list[str], str]]:
    """Yield the commands of a shell block as words, each with what the page shows that it prints ("": nothing).

    In `console` blocks commands start with "$ ". `A && B` are two commands; comments and set variables are left out.
    """
    code = block.code.replace("\\\n", " ")
    if block.language == "console":
        shown = [part.partition("\n")[::2] for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]]
    else:
        shown = [(line, "") for line in code.splitlines()]
    for line, output in shown:
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield words, output
