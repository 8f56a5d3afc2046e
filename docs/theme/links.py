"""MkDocs hook: links to files of the repository that are not pages of the site, and pages that are such files.

Pages are also read on a code host, where [a test](../tests/x.py) works. On the site such a link leads to the repository
if mkdocs.yml has `repo_url`; otherwise its text stays, with the path. A page that says `--8<-- "CHANGELOG.md"` is that
file, whose links count from the repository's top.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s:]+)\)")
INCLUDED = re.compile(r'^--8<-- "([^"/]+\.md)"$', re.MULTILINE)
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
PAGES |= {"README.md": "index.md", "docs": "index.md"}
"""Files of the repository, and the pages that hold them."""


def replaced(text: str, here: str, page: str, repository: str | None) -> str:
    """Return Markdown with its links replaced.

    here: the folder that they count from, page: that of the page, both from the repository's top. repository: its URL.
    """

    def one(link: re.Match[str]) -> str:
        words, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if not path:
            return link[0]
        path = posixpath.normpath(posixpath.join(here, path))
        path = f"docs/{PAGES[path]}" if path in PAGES else path
        if path.startswith("docs/"):
            return f"[{words}]({posixpath.relpath(path, page)}{hash_}{anchor})"
        if repository:
            return f"[{words}]({repository.rstrip('/')}/blob/main/{path}{hash_}{anchor})"
        same = words.strip("`") in (path, posixpath.basename(path))
        return f"`{path}`" if same else f"{words} (`{path}`)"

    return LINK.sub(one, text)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the page's Markdown, with the files that it includes and links that work on the site."""
    folder = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri)))
    text = replaced(markdown, folder, folder, config.repo_url)

    def content(line: re.Match[str]) -> str:
        return replaced((ROOT / line[1]).read_text(), ".", folder, config.repo_url)

    return INCLUDED.sub(content, text)
