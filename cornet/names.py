"""Escape and classify names of files and folders, which may contain any bytes."""

import unicodedata
from pathlib import Path
from typing import Any

__all__ = ["composed", "encodable", "escaped", "is_old_or_rerun", "left_behind"]

LEFT_BEHIND = {
    *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
    *("recycler", "system volume information", "@eadir", "@tmp", "#recycle", "#snapshot", "lost+found"),
    "__pycache__",
}
"""Names in lower case. All names that begin with a dot count too: .DS_Store, ._*, .ipynb_checkpoints, .Trash-*, .nfs*,
.snapshot, .git, .~lock.*"""


def left_behind(name: str) -> bool:
    """Return whether operating systems, storage systems or tools create files or folders of this name."""
    return (name.startswith((".", "~$")) and name not in (".", "..")) or name.lower() in LEFT_BEHIND


def is_old_or_rerun(run: Path) -> bool:
    """Return whether a run's folder was renamed by fresh=true (seed0.old1) or made by a rerun (seed0.rerun)."""
    return ".old" in run.name or run.name.endswith(".rerun")


def composed(name: str) -> str:
    """Normalise a name to NFC: macOS stores accents as separate code points (NFD), other systems do not."""
    return unicodedata.normalize("NFC", name)


def escaped(name: str) -> str:
    r"""Escape a name to printable UTF-8 on one line; different names give different texts.

    Bytes that are not UTF-8 become \xe9, control characters \n, \x1b, \x85 as \u0085, line separators \u2028; a
    backslash is doubled.
    """
    return "".join(map(_escape, name)) if not name.isprintable() or "\\" in name else name


def encodable(value: Any) -> Any:
    """Return nested dictionaries, lists and texts with each text that is not UTF-8 `escaped`."""
    if isinstance(value, str):
        return escaped(value) if any("\ud800" <= character <= "\udfff" for character in value) else value
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character != "\\" and unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"):
        return character
    return f"\\u{code:04x}" if 0x80 <= code <= 0x9F else character.encode("unicode_escape").decode()
