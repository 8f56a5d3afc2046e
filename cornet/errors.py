"""Errors that are the user's to mend: one sentence with the value, the rule and the remedy, and no traceback."""

import unicodedata

__all__ = ["CornetError", "own_error", "printable"]

LONGEST = 1500
"""Characters of a message; of a longer one the start and the end are told."""


class CornetError(Exception):
    """A mistake in what came in. Entry points print it as one line and exit with status 2.

    Messages may quote a stranger's file, so they are one short line without control characters.
    """

    def __str__(self) -> str:
        return _plain(super().__str__())


def own_error(error: BaseException) -> CornetError | None:
    """The CornetError that another one wraps, as Hydra and OmegaConf do; None where there is none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, CornetError):
        cause = cause.__cause__ or cause.__context__
    return cause


def printable(text: str, keep: str = "") -> str:
    """The text with escapes in place of control characters, which could write over a terminal; a line break becomes
    a space. keep: characters that stay as they are."""
    return text if text.isprintable() else "".join(c if c in keep else _shown(c) for c in text)


def _plain(text: str) -> str:
    text = printable(text.strip())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 500]} ... {text[-495:]}"


def _shown(character: str) -> str:
    """Itself, or its escape: controls, marks of direction, lone surrogates, and separators of lines but a space."""
    if character in "\n\r":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return character.encode("unicode_escape").decode() if hidden else character
