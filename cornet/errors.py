"""Errors that are the user's to mend: one sentence with the value, the rule and the remedy, and no traceback."""

__all__ = ["CornetError"]


class CornetError(Exception):
    """A mistake in what came in. Entry points print it as one line and exit with status 2."""
