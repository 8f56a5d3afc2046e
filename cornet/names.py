"""Names of files and folders, which may be any bytes: how they are written down, and which are not meant for us."""

import unicodedata
from pathlib import Path
from typing import Any

__all__ = ["composed", "encodable", "escaped", "left_behind", "set_aside"]

LEFT_BEHIND = {
    *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
    *("recycler", "system volume information", "@eadir", "@tmp", "#recycle", "#snapshot", "lost+found"),
    "__pycache__",
}
"""In lower case. Everything that begins with a dot belongs here, too: .DS_Store, ._*, .ipynb_checkpoints, .Trash-*,
.nfs*, .snapshot, .git, .~lock.*"""


def left_behind(name: str) -> bool:
    """Whether an operating system, a storage system or a tool leaves files or folders of this name behind."""
    return (name.startswith((".", "~$")) and name not in (".", "..")) or name.lower() in LEFT_BEHIND


def set_aside(run: Path) -> bool:
    """Whether a run's folder is one that fresh=true moved aside (seed0.old1), or a repetition (seed0.rerun)."""
    return ".old" in run.name or run.name.endswith(".rerun")


def composed(name: str) -> str:
    """One spelling of a name: macOS writes accents as code points of their own (NFD), other systems do not (NFC)."""
    return unicodedata.normalize("NFC", name)


def escaped(name: str) -> str:
    r"""A name as printable UTF-8 on one line, one to one.

    Bytes that are not UTF-8 become \xe9, control characters \n, \x1b, \x85 as \u0085, line separators \u2028; a
    backslash is doubled.
    """
    return "".join(map(_escape, name)) if not name.isprintable() or "\\" in name else name


def encodable(value: Any) -> Any:
    """The same nested dictionaries, lists and texts, with texts that are not UTF-8 `escaped`."""
    if isinstance(value, str):
        return escaped(value) if any("\ud800" <= character <= "\udfff" for character in value) else value
    if isinstance(value, dict):
        return {encodable(key): encodable(one) for key, one in value.items()}
    return [encodable(one) for one in value] if isinstance(value, list) else value


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character != "\\" and unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"):
        return character
    return f"\\u{code:04x}" if 0x80 <= code <= 0x9F else character.encode("unicode_escape").decode()
