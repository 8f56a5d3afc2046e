"""The site: it builds without a warning, loads nothing from other servers, and has every public name."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import cornet
import cornet.losses
import cornet.models
import cornet.tasks
from cornet import brain
from tests.helpers.command_lines import check
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp")
TEXTS = (".py", ".md", ".yaml", ".yml", ".toml", ".cff")


def pages(nav) -> list[str]:
    """The files of a navigation."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in pages(part)]


def test_every_page_is_in_the_navigation_once():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = pages(config["nav"])
    assert sorted(listed) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("index", cornet),
        ("brain", brain),
        ("models", cornet.models),
        ("losses", cornet.losses),
        ("tasks", cornet.tasks),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_public_name_is_on_its_page(page, module):
    shown = re.findall(r"^::: ([\w.]+)$", (DOCS / "api" / f"{page}.md").read_text(), re.MULTILINE)
    names = {name for name in module.__all__ if not name.startswith("_") and name != "brain"}
    assert {path.rpartition(".")[2] for path in shown} >= names
    assert len(shown) == len(set(shown))


def test_the_gallery_has_what_its_script_makes(monkeypatch):
    """And its commands are right."""
    monkeypatch.syspath_prepend(str(DOCS / "gallery"))
    shots = importlib.import_module("make").SHOTS
    monkeypatch.delitem(sys.modules, "make")
    assert {path.name for path in (DOCS / "gallery").glob("*.jpg")} == {f"{shot.name}.jpg" for shot in shots}
    for shot in shots:
        check(["cornet", *shot.words.split()])


def test_pictures_are_small():
    pictures = [path for path in DOCS.rglob("*") if path.suffix in PICTURES]
    assert len(pictures) > 5
    assert sum(path.stat().st_size for path in pictures) < 2_000_000


def test_pages_that_are_named_anywhere_exist():
    """In the README, docstrings, comments, messages and tests: docs/x.md."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    missing = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix not in TEXTS or not path.is_file() or path == Path(__file__):
            continue
        for found in re.findall(
            r"(?<![\w/.-])docs/[\w./-]+\.(?:md|yaml|png|svg|ipynb|py|js)\b", path.read_text()
        ):
            if not (ROOT / found).is_file():
                missing.append(f"{name}: {found}")
    assert missing == []


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "pip install uv && uv run train.py" in text
    assert "pip install uv && uv run pytest" in text


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is in the group docs; run uv sync --group docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an announcement of Material
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_it_loads_nothing_from_other_servers(site):
    """Links may lead away; what a browser loads by itself may not: scripts, styles, pictures, fonts."""
    loads = re.compile(r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'\s>]+")
    styles = re.compile(
        r"<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|icon|preconnect|prefetch))[^>]*href=[\"']?(?:https?:)?//"
    )
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not loads.search(text), page
        assert not styles.search(text), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text()), style
        assert "@import" not in style.read_text(), style


@pytest.mark.slow
def test_what_the_pages_show(site):
    api = (site / "api/brain.html").read_text()
    assert api.count('class="doc doc-heading"') > 70
    assert re.search(r"<li>\s*(?:<p>)?<strong><code>features</code></strong>: \(stimulus, feature\)", api)
    parts = (site / "own-parts.html").read_text()
    assert "PositionTolerance" in parts
    assert "--8&lt;--" not in parts
    assert "0.2.0" in (site / "changelog.html").read_text()
    assert not (site / "theme/links.py").exists()


def test_docstrings_become_lists_and_code():
    """Parameters in prose, a table of files, lines of code; and brackets mean themselves."""
    sys.path.insert(0, str(DOCS / "theme"))
    try:
        docstrings = pytest.importorskip("docstrings", reason="griffe is in the group docs")
    finally:
        sys.path.remove(str(DOCS / "theme"))
    text = docstrings.as_markdown(
        "Fit a map.\n\nfeatures: (stimulus, unit[, time]). One\n    more line. a, b: numbers. other: no parameter.\n\n"
        "net = make(1)\nuse(net)\n\nconfig.yaml   the configuration\nscores.csv    scores\n\nx: 3 words",
        {"features", "a", "b"},
    )
    assert text == (
        "Fit a map.\n\n* **`features`**: (stimulus, unit\\[, time\\]). One\n    more line.\n"
        "* **`a`, `b`**: numbers. other: no parameter.\n\n```python\nnet = make(1)\nuse(net)\n```\n\n"
        "```text\nconfig.yaml   the configuration\nscores.csv    scores\n```\n\nx: 3 words"
    )
