"""Register our networks with timm once timm is imported, before or after cornet. Imports neither timm nor PyTorch."""

import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["watch_timm"]

log = logging.getLogger("cornet")

WATCHED = "timm.models"


def watch_timm() -> None:
    """Register at once if timm is imported already, otherwise when it is."""
    if WATCHED in sys.modules:
        register()
    elif not any(isinstance(finder, TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TimmFinder())


class TimmFinder:
    """Finds timm.models as the other finders do, and has our networks registered when it has been loaded. Once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Register; a timm of another version must not fail to import because of us."""
    try:
        from cornet.models.timm_api.entries import register_all

        register_all()
    except Exception as error:  # names that this version of timm lacks, or registers otherwise
        log.warning("cornet's networks are not in timm (%s: %s).", type(error).__name__, error)
