"""Define the error for invalid user input, and escape control characters in messages."""

import unicodedata
from collections.abc import Iterable

__all__ = ["CornetError", "check_choice", "own_error", "printable"]

MAX_LENGTH = 1500
"""Maximum number of characters in a message. A longer message is shortened in the middle."""


class CornetError(Exception):
    """Invalid user input. Entry points print it as one line without a traceback and exit with status 2.

    The message is one sentence: the value, the rule, and the remedy. It may quote an untrusted file, so control
    characters are escaped and the length is limited.
    """

    def __str__(self) -> str:
        return _plain(super().__str__())


def check_choice(word: str, value: object, known: Iterable[str]) -> None:
    """Raise CornetError unless `value`, of the argument `word`, is one of the known ones."""
    if value not in (choices := list(known)):
        raise CornetError(f"{word}={value!r} is unknown; choose one of {', '.join(choices)}.")


def own_error(error: BaseException) -> CornetError | None:
    """Find a CornetError in the chain of causes: Hydra and OmegaConf wrap it. Return None if the chain has none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, CornetError):
        cause = cause.__cause__ or cause.__context__
    return cause


def printable(text: str, keep: str = "") -> str:
    """Escape control characters, which could overwrite a terminal, and replace line breaks by spaces.

    keep: characters that are not escaped.
    """
    return text if text.isprintable() else "".join(c if c in keep else _escape(c) for c in text)


def _plain(text: str) -> str:
    text = printable(text.strip())
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 500]} ... {text[-495:]}"


def _escape(character: str) -> str:
    """Escape control characters, direction marks, lone surrogates and line separators; return others unchanged."""
    if character in "\n\r":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return character.encode("unicode_escape").decode() if hidden else character
