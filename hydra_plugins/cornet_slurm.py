"""Launcher of `trainer=slurm`: submit the unfinished runs of a sweep as a job array."""

import shutil
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

__all__ = ["MissingOnSlurm"]

MOST = 4
"""Maximum number of folders in the printed command that compares seeds."""


class MissingOnSlurm(Launcher):
    """Submits unfinished runs with hydra-submitit-launcher; takes its keys."""

    def __init__(self, **params: Any) -> None:
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

        # A separate object, because it is pickled into the jobs, whose Python may lack this file.
        self.submitting = SlurmLauncher(**params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config
        self.submitting.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from cornet.errors import CornetError
        from cornet.report.seeds.report import print_seeds_summary
        from cornet.training.sweeps.jobs import count_jobs, find_jobs, seed_groups, unique

        absent = next((name for name in ("srun", "sbatch") if shutil.which(name) is None), None)
        if absent:
            raise CornetError(
                f"trainer=slurm submits jobs, but there is no {absent} on this machine; repeat the command on the "
                "login node of a SLURM cluster, or choose trainer=auto to train here."
            )
        jobs = unique(find_jobs(self.loader, self.config, job_overrides))
        seeds = seed_groups(jobs)
        print(count_jobs(jobs))
        if seeds:
            named = " ".join(str(runs[0].parent) for runs in seeds[:MOST])
            more = f" (and {len(seeds) - MOST} more)" if len(seeds) > MOST else ""
            print(f"When the jobs have ended, `cornet report {named}`{more} shows the seeds together.")
        missing = [job.overrides for job in jobs if not job.finished]
        try:
            return self.submitting.launch(missing, initial_job_idx) if missing else []
        finally:
            print_seeds_summary(seeds)
