"""Hydra's default sweeper and launcher: all combinations of values, each run a process on this machine."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from cornet.errors import CornetError

__all__ = ["GridSweeper", "LocalLauncher"]


class GridSweeper(BasicSweeper):
    """Hydra's basic sweeper without two of its steps.

    It does not write multirun.yaml, which would contain passwords from the command line. It does not compose the runs:
    the launchers do that before any run starts.
    """

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None
        assert self.launcher is not None
        if self.max_batch_size is not None:
            raise CornetError(
                f"hydra.sweeper.max_batch_size={self.max_batch_size} would have no effect; set sweep.at_once to the "
                "number of runs at the same time."
            )
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (runs,) = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)
        results = self.launcher.launch(runs, initial_job_idx=0)
        return [result.return_value for result in results]  # reading it raises the error of a failed run


class LocalLauncher(BasicLauncher):
    """Starts this program once for each unfinished run.

    Plans, and sweeps on several ranks, run in this process, as with Hydra's basic launcher.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from cornet.report.seeds.report import print_seeds_summary
        from cornet.training.ranks.processes import find_ranks
        from cornet.training.sweeps.jobs import find_jobs, seed_groups
        from cornet.training.sweeps.local import LocalSweep, saved_epochs

        assert self.config is not None
        assert self.hydra_context is not None
        if self.config.get("plan"):
            return super().launch(job_overrides, initial_job_idx)
        at_once = self.config.sweep.at_once
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise CornetError(f"sweep.at_once={at_once} must be a whole number of runs, 1 or more.")
        jobs = find_jobs(self.hydra_context.config_loader, self.config, job_overrides)
        ranks = find_ranks()
        if ranks.world > 1:
            results, code = super().launch(job_overrides, initial_job_idx), 0
        else:
            code = LocalSweep(jobs, self.command(), at_once).run()
            results = [JobReturn(job.overrides, status=JobStatus.COMPLETED) for job in jobs]
            for result, job in zip(results, jobs, strict=True):
                result.return_value = best_of(job.folder)
            if saved := saved_epochs({job.folder for job in jobs}):
                print(saved)
        if ranks.rank == 0 and code in (0, 1):  # after a signal, the program exits at once
            print_seeds_summary(seed_groups(jobs))
        if code:
            sys.exit(code)
        return results

    def command(self) -> list[str]:
        """Return the command that starts a single run, without that run's overrides."""
        from cornet.cli.program import start_command

        assert self.config is not None
        given = {name: value for name, value in vars(get_args_parser().parse_args()).items() if value}
        folders = ("config_path", "config_name", "config_dir")
        flags = [f"--{name.replace('_', '-')}={given[name]}" for name in folders if name in given]
        hydra = [one for one in self.config.hydra.overrides.hydra if not one.startswith("hydra.mode=")]
        return [*start_command(), *flags, *hydra, "hydra.mode=RUN"]


def best_of(folder: Path) -> float | None:
    """Return the best monitored value of a finished run, for sweepers that choose the next runs by it."""
    from cornet.runs.folder import RunFolder

    with contextlib.suppress(CornetError):
        return (RunFolder(folder).finished or {}).get("best")
    return None
