"""Where metrics go: metrics.csv always, Weights & Biases or TensorBoard where asked for. conf/logger names these."""

import logging
import netrc
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from cornet.errors import CornetError
from cornet.training.csv_logger import CsvLogger

__all__ = ["ForgivingWandbLogger", "csv", "tensorboard", "wandb"]

log = logging.getLogger("cornet")

_START = 60  # seconds that Weights & Biases may take to start


def csv(folder: Path | str) -> CsvLogger:
    """`<folder>/metrics.csv`, continued where there is one. Raises CornetError when it is no table of metrics."""
    return CsvLogger(folder)


def tensorboard(folder: Path | str) -> TensorBoardLogger:
    """Event files in `<folder>/tensorboard`; a resumed run adds a file, which TensorBoard shows as one curve.

    Raises CornetError when the package is not installed.
    """
    if find_spec("tensorboard") is None:
        raise CornetError(
            "logger=tensorboard needs the package tensorboard, which is not installed; "
            "add it with `pip install tensorboard` (in a checkout: `uv sync --extra tensorboard`)."
        )
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def wandb(
    folder: Path | str,
    run_id: str,
    project: str = "cornet",
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    offline: bool | None = None,
    config: Mapping[str, Any] | None = None,
) -> "ForgivingWandbLogger":
    """A run on Weights & Biases, with its files in `<folder>/wandb`.

    run_id: that of the run's folder, so that a resumed run continues its curves. offline: None means offline where
    there is no account (no WANDB_API_KEY, no entry in netrc) and WANDB_MODE does not say otherwise; such a run is
    uploaded later by `wandb sync`. Nothing is started before the first metric, and nothing that goes wrong there stops
    a training.
    """
    mode = os.environ.get("WANDB_MODE") or "online"  # wandb itself reads the environment once a process only
    if offline is not None:
        mode = "offline" if offline else "online"
    elif not os.environ.get("WANDB_MODE") and not _has_account():
        mode = "offline"
        if _rank_zero():
            log.warning(
                "Weights & Biases: no account is set up here, so the run is kept offline; "
                "upload it later with `wandb sync %s/wandb/offline-run-*`",
                folder,
            )
    return ForgivingWandbLogger(
        Path(folder),
        mode=mode,
        id=run_id,
        project=project,
        name=name,
        group=group,
        tags=list(tags),
        config=dict(config or {}),
    )


class ForgivingWandbLogger(WandbLogger):
    """Lightning's logger for Weights & Biases, quiet, with an axis of epochs, and never a reason for a run to fail."""

    def __init__(self, folder: Path, mode: str, **arguments: Any) -> None:
        super().__init__(save_dir=str(folder), resume="allow", **arguments)
        self._wandb_init.pop("anonymous")  # Lightning passes it, wandb warns that it has no effect
        self._mode = mode
        self._failed = False

    @property
    def experiment(self) -> Any:
        """The run; where it cannot be started online it is kept offline, and where that fails too it is a dummy."""
        if self._experiment is None and _rank_zero():
            self._start()
        return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._forgive(super().log_metrics, metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        self._forgive(super().log_hyperparams, params)

    def _forgive(self, action: Any, *arguments: Any) -> None:
        if self._failed:
            return
        try:
            action(*arguments)
        except Exception as error:
            self._failed = True
            log.warning("Weights & Biases stopped (%s); this session goes on without it", _line(error))

    def _start(self) -> None:
        import wandb

        if wandb.run is not None and wandb.run.id != self._id:
            wandb.finish()  # an earlier run of a sweep in this process: Lightning would log into it
        Path(self._save_dir or ".").mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"silent": True, "console": "off", "init_timeout": _START}
        for mode in (self._mode, "offline", "disabled"):
            self._wandb_init["settings"] = wandb.Settings(**settings | {"mode": mode})
            try:
                run = super().experiment
            except Exception as error:
                instead = "without it" if mode == "offline" else "offline"
                log.warning(
                    "Weights & Biases could not start (%s); the run goes on %s", _line(error), instead
                )
                wandb.teardown()  # its service holds the failed run's id as in use
                continue
            run.define_metric("epoch")
            for name in ("val/*", "brain/*"):
                run.define_metric(name, step_metric="epoch")
            return


def _has_account() -> bool:
    """Whether wandb would find a key: in its environment variables, or under its host in netrc."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    given = os.environ.get("NETRC")
    for path in [given] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            return host in netrc.netrc(path).hosts
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _rank_zero() -> bool:
    return getattr(rank_zero_only, "rank", 0) in (0, None)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
