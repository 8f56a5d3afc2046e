"""`trainer=slurm`: an array of jobs, of the runs of a sweep that are not finished. Hydra finds it by its place here."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

__all__ = ["MissingOnSlurm"]


class MissingOnSlurm(Launcher):
    """Submits through hydra-submitit-launcher, whose keys it takes. A finished run would only wait for a machine."""

    def __init__(self, **params: Any) -> None:
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

        self.submitting = SlurmLauncher(
            **params
        )  # it is what goes to the jobs, whose Python may not know this file

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config
        self.submitting.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        missing = [overrides for overrides in job_overrides if not self.is_finished(overrides)]
        return self.submitting.launch(missing, initial_job_idx) if missing else []

    def is_finished(self, overrides: Sequence[str]) -> bool:
        from cornet.training.sweeps.sweep import job_of, without_hydra

        config = self.loader.load_sweep_config(self.config, list(overrides))
        return job_of(without_hydra(config), tuple(overrides), "", {}).finished
