"""Malformed artefacts for the fuzz tests: whole ones, mutated in their structure or in their bytes (hypothesis).

Mutations of whole artefacts come much deeper into a reader than random bytes do. The default tests feed few examples,
the longest ones (`-m longest`) MANY times as many, the same ones at every run, so that no commit fails for another's
defect; with CORNET_FUZZ=k these are new ones every time, and k times as many.
"""

import csv
import functools
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.faults.watched import Watched

MANY = 20
"""Times as many examples as by default, in the longest tests."""

EFFORT = pytest.mark.parametrize("effort", ["few", pytest.param("many", marks=pytest.mark.longest)])

TEXTS = (
    *(
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "NA",
        "None",
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "-1e-999",
        "0x10",
    ),
    *(
        "1" * 400,
        "9223372036854775808",
        "1.5",
        "1_000",
        "1e5",
        "١٢",
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
    ),
    *(
        "../../../../etc/passwd",
        "/etc/passwd",
        "C:\\x",
        "..\\x",
        "a/b",
        ".",
        "..",
        "~",
        "~root",
        "${x}",
        "{0}",
        "%s",
    ),
    *(
        "a\0b",
        "\0",
        "a\nb",
        "a\rb",
        "\u2028",
        "\x1b[31mred",
        "\u202egnp.exe",
        "\ufeff",
        "é",
        "日本",
        "\U0001f600",
    ),
    *('"', '""', "'", ",", ";", "\\", "<script>alert(1)</script>", "&amp;", "x" * 3000, "im00", "im00.png"),
)
NUMBERS = (0, -1, 1, 2, 7, 2**31, 2**63, 2**64, -(2**63), 10**12, 10**400, 0.5, -0.0, 1e308, -1e308)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
BOMB, BOMB_BYTES = -1, 300_000_000


def fuzz(
    effort: str,
    count: int,
    cases: st.SearchStrategy[Any],
    watched: Watched,
    reader: Callable[[Path], Any],
    folder: Path,
    write: Callable[[Any, Path], None],
) -> None:
    """Each case, written into a folder that holds no other file than `write` makes there, is read, or refused well."""
    many = effort == "many"
    times = MANY * int(os.environ.get("CORNET_FUZZ", "1")) if many else 1

    @settings(
        max_examples=count * times,
        derandomize="CORNET_FUZZ" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # to make a failing case smaller would take as long again many times
    )
    @given(case=told_short(cases))
    def feed(case: Case) -> None:
        clear(folder)
        write(case.content, folder)
        watched.read(reader, folder).check(repr(case))

    feed()


class Case:
    """What is fed, told in bounded length: hypothesis would write out all of it, and some is deeper than it reaches."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __repr__(self) -> str:
        try:
            return f"Case({repr(self.content)[:3000]})"
        except RecursionError:
            return "Case(too deep to be shown)"


@st.composite
def told_short(draw: Any, cases: st.SearchStrategy[Any]) -> Case:
    """Not `cases.map(Case)`, which hypothesis tells of by the content itself."""
    return Case(draw(cases))


def clear(folder: Path) -> None:
    """Remove what a folder holds."""
    if folder.is_dir() and not folder.is_symlink():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                clear(path)
                path.rmdir()
            else:
                path.unlink()
    folder.mkdir(parents=True, exist_ok=True)


@st.composite
def damaged(draw: Any, whole: bytes) -> bytes:
    """Bytes with one to three kinds of damage: bits, runs, cuts, insertions, repetitions."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from((1, 2, 4, 8, 64, 1000)))
        kind = draw(
            st.sampled_from(("bit", "bits", "zeros", "ones", "cut", "gone", "twice", "noise", "number"))
        )
        if kind == "bit" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "bits" and data:
            for k in range(place, min(len(data), place + 20 * length), 20):
                data[k] ^= draw(st.integers(1, 255))
        elif kind in ("zeros", "ones"):
            end = min(len(data), place + length)
            data[place:end] = (b"\0" if kind == "zeros" else b"\xff") * (end - place)
        elif kind == "cut":
            del data[place:]
        elif kind == "gone":
            del data[place : place + length]
        elif kind == "twice":
            data[place:place] = data[place : place + length]
        elif kind == "noise":
            data[place:place] = draw(st.binary(min_size=1, max_size=32))
        elif kind == "number":  # a size or a place, huge
            width = draw(st.sampled_from((2, 4, 8)))
            value = draw(st.sampled_from((0, 1, 10**12, 2**31 - 1, 2**63, 2**64 - 1, 2**16 - 1, 2**32 - 1)))
            data[place : place + width] = (value % 256**width).to_bytes(width, "little")
    return bytes(data)


def odd_values() -> st.SearchStrategy[Any]:
    """Any value that JSON has."""
    plain = (
        st.none()
        | st.booleans()
        | st.sampled_from(NUMBERS)
        | st.sampled_from(NOT_FINITE)
        | st.sampled_from(TEXTS)
    )
    nested = st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3)
        ),
        max_leaves=6,
    )
    return nested | st.integers(2, 3000).map(deep)


def deep(levels: int) -> Any:
    """Lists or dictionaries in one another."""
    value: Any = 1
    for _ in range(levels):
        value = [value] if levels % 2 else {"a": value}
    return value


@st.composite
def odd_tree(draw: Any, whole: Any, odd: st.SearchStrategy[Any] | None = None) -> Any:
    """A tree of dictionaries and lists in which one to three entries are others, gone, added, or in another's place."""
    tree = _copy(whole)
    odd = odd_values() if odd is None else odd
    for _ in range(draw(st.integers(1, 3))):
        node = tree
        steps: list[tuple[Any, Any]] = []
        while isinstance(node, dict | list) and node and (not steps or draw(st.integers(0, 3))):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw(st.sampled_from(list(keys)))
            steps.append((node, key))
            node = node[key]
        if not steps:
            return draw(odd)
        parent, key = steps[-1]
        kind = draw(st.sampled_from(("other", "other", "gone", "more", "swapped", "key", "whole")))
        if kind == "other":
            parent[key] = draw(odd)
        elif kind == "gone":
            del parent[key]
        elif kind == "more" and isinstance(parent, dict):
            parent[draw(st.sampled_from(TEXTS))] = draw(odd)
        elif kind == "more":
            parent.append(draw(odd))
        elif kind == "swapped":
            first, place = steps[0]
            try:
                parent[key] = _copy(first[place]) if parent is not first else draw(odd)
            except RecursionError:  # it is too deep to be copied
                parent[key] = None
        elif kind == "key" and isinstance(parent, dict):
            parent[draw(st.sampled_from(TEXTS))] = parent.pop(key)
        elif kind == "whole" and not draw(st.integers(0, 3)):
            return draw(odd)
    return tree


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return [_copy(value) for value in node] if isinstance(node, list) else node


@st.composite
def odd_json(draw: Any, whole: Any) -> bytes:
    """A JSON file, its content mutated, or its bytes."""
    if draw(st.integers(0, 2)):
        tree = draw(odd_tree(whole))
        try:
            return json.dumps(tree).encode()
        except RecursionError:
            return b"[" * 100_000
    return draw(damaged(json.dumps(whole).encode()))


@st.composite
def odd_table(draw: Any, whole: list[list[str]]) -> bytes:
    """A CSV file: entries, columns and rows mutated; then its dialect, its encoding, or its bytes."""
    rows = [list(row) for row in whole]
    for _ in range(draw(st.integers(1, 3))):
        r = draw(st.integers(0, max(0, len(rows) - 1)))
        kind = draw(
            st.sampled_from(
                (
                    *("entry",) * 4,
                    "head",
                    "head",
                    "column gone",
                    "column twice",
                    "row gone",
                    "row twice",
                    "short",
                    "long",
                    "many columns",
                    "column of",
                    "empty",
                    "only head",
                )
            )
        )
        text = draw(st.sampled_from(TEXTS))
        if not rows or not rows[0]:
            break
        c = draw(st.integers(0, len(rows[0]) - 1))
        if kind == "entry" and c < len(rows[r]):
            rows[r][c] = text
        elif kind == "head":
            rows[0][c] = text
        elif kind == "column gone":
            rows = [row[:c] + row[c + 1 :] for row in rows]
        elif kind == "column twice":
            rows = [[*row, *row[c : c + 1]] for row in rows]
        elif kind == "row gone":
            del rows[r]
        elif kind == "row twice":
            rows.append(list(rows[r]))
        elif kind == "short":
            rows[r] = rows[r][:c]
        elif kind == "long":
            rows[r] = [*rows[r], *[text] * 3]
        elif kind == "many columns":
            rows = [[*row, *(f"c{k}" for k in range(3000))] for row in rows]
        elif kind == "column of":
            rows = [rows[0], *([*row[:c], text, *row[c + 1 :]] for row in rows[1:])]
        elif kind == "empty":
            rows = []
        elif kind == "only head":
            rows = rows[:1]
    return draw(written(rows))


@st.composite
def written(draw: Any, rows: list[list[str]]) -> bytes:
    """Rows as a file of one dialect and encoding or another, whole or damaged."""
    out = io.StringIO()
    usual = draw(st.integers(0, 2))
    ends = "\n" if usual else draw(st.sampled_from(("\r\n", "\r", "\n\n", "\n\r")))
    separator = "," if usual else draw(st.sampled_from(",;\t|"))
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    writer = csv.writer(out, delimiter=separator, lineterminator=ends, quoting=quoting)
    for row in rows:
        writer.writerow(row)
    text = out.getvalue()
    encodings = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-8", "utf-8")
    data = text.encode(draw(st.sampled_from(encodings)), "replace")
    return data if draw(st.integers(0, 2)) else draw(damaged(data))


def members(path_or_bytes: Any) -> dict[str, bytes]:
    """The entries of a zip archive."""
    source = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
    with zipfile.ZipFile(source) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


@st.composite
def odd_zip(draw: Any, whole: dict[str, bytes], names: tuple[str, ...] = TEXTS) -> bytes:
    """An archive with entries mutated, renamed, gone, twice, huge, linked, or packed in another way; or damaged."""
    entries = [[name, data, zipfile.ZIP_STORED, 0o600 << 16] for name, data in whole.items()]
    for _ in range(draw(st.integers(0, 2))):
        if not entries:
            break
        one = draw(st.sampled_from(entries))
        kind = draw(
            st.sampled_from(
                ("damaged", "renamed", "gone", "twice", "bomb", "link", "packed", "folder", "empty")
            )
        )
        if kind == "damaged":
            one[1] = draw(damaged(one[1]))
        elif kind == "renamed":
            one[0] = draw(st.sampled_from(names)).replace("\0", "") or "x"
        elif kind == "gone":
            entries.remove(one)
        elif kind == "twice":
            entries.append(list(one))
        elif kind == "bomb":
            one[2] = BOMB
        elif kind == "link":
            one[1], one[3] = b"/etc/passwd", 0o120777 << 16
        elif kind == "packed":
            one[2] = draw(st.sampled_from((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
        elif kind == "folder":
            one[0] = one[0] + "/"
        elif kind == "empty":
            one[1] = b""
    data = packed(entries)
    return data if draw(st.booleans()) else draw(damaged(data))


def packed(entries: list[list[Any]]) -> bytes:
    """A zip archive of (name, content, method, attributes)."""
    out = io.BytesIO()
    bombs: list[str] = []
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that occurs twice
        for name, content, method, attributes in entries:
            if method == BOMB:
                bombs.append(name)
                content, method = bomb(), zipfile.ZIP_STORED
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = method, attributes
            archive.writestr(info, content)
        headers = [(info.header_offset, info.filename) for info in archive.infolist()]
    data = bytearray(out.getvalue())
    for name in bombs:  # what was stored is called packed, of what it would become
        real = bomb_sum().to_bytes(4, "little") + len(bomb()).to_bytes(4, "little")
        real += BOMB_BYTES.to_bytes(4, "little")
        central = data.rfind(b"PK\x01\x02", 0, data.rfind(name.encode()))
        for place, method in (
            (central, central + 10),
            *((at, at + 8) for at, known in headers if known == name),
        ):
            data[method : method + 2] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")
            first = place + (16 if place == central else 14)
            data[first : first + 12] = real
    return bytes(data)


@functools.cache
def bomb() -> bytes:
    """Zeros, packed by deflate."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(10**6)) for _ in range(BOMB_BYTES // 10**6)) + packer.flush()


@functools.cache
def bomb_sum() -> int:
    """The checksum of what it becomes."""
    total = 0
    for _ in range(BOMB_BYTES // 10**6):
        total = zlib.crc32(bytes(10**6), total)
    return total
