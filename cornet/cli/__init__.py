"""The `cornet` command, with one module per subcommand."""

from cornet.cli.command import app, main

__all__ = ["app", "main"]
