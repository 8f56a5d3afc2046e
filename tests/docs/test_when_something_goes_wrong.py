"""docs/when-something-goes-wrong.md quotes messages: their words are still in the code."""

import re
from pathlib import Path

from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs/when-something-goes-wrong.md").read_text()
ELSEWHERE = {"error: externally-managed-environment", "cornet: command not found"}
"""Of pip and the shell."""


def sources() -> str:
    """All code as one text without quotes and line breaks, so that literals of several lines are joined."""
    files = [*ROOT.glob("cornet/**/*.py"), *ROOT.glob("hydra_plugins/*.py")]
    text = "\n".join(Path(file).read_text() for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def quoted() -> list[str]:
    """The first cells of the tables of messages, and the messages that begin a paragraph."""
    spans = r"``\s?(.+?)\s?``(?!`)|`([^`]+)`"
    starts = re.findall(rf"^(?:\|? ?)(?:{spans})", PAGE, re.M)
    return [one or other for one, other in starts if " " in (one or other)]


def test_the_messages_are_those_of_the_code():
    """Three words in a row of each message are in the code; its values are not."""
    code = sources()
    messages = [one for one in quoted() if one not in ELSEWHERE]
    assert len(messages) > 25
    gone = []
    for message in messages:
        words = message.split()
        runs = (" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2)))
        if not any(run in code for run in runs):
            gone.append(message)
    assert not gone
