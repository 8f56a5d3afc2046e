"""A page of a report, taken apart."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "br", "source", "hr", "wbr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text, of a page's file or a part of a page; all are closed in order."""

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(path.read_text() if isinstance(path, Path) else path)
        assert self.stack == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]
