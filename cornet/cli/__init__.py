"""The `cornet` command: one file for each of its commands."""

from cornet.cli.command import app, main

__all__ = ["app", "main"]
