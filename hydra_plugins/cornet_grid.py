"""The default sweeper: all combinations of the values that are given. Hydra finds it by its place here."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

__all__ = ["GridSweeper"]


class GridSweeper(BasicSweeper):
    """Hydra's own sweeper without two of its steps.

    It writes no multirun.yaml, which would hold passwords of the command line. It does not compose each run, which our
    launchers do before any run begins.
    """

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (runs,) = self.split_arguments(overrides, None)
        results = self.launcher.launch(runs, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises the error of a failed run
        return results
