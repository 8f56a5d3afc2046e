"""Where metrics go: metrics.csv always, Weights & Biases or TensorBoard where asked for. conf/logger names these."""

import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import TensorBoardLogger

from cornet.errors import CornetError
from cornet.training.overrides import check_installed
from cornet.training.run_path import LONGEST_TAG
from cornet.training.wandb_logger import ForgivingWandbLogger, rank_zero

__all__ = ["tensorboard", "wandb"]

log = logging.getLogger("cornet")


def tensorboard(folder: Path | str) -> TensorBoardLogger:
    """Event files in `<folder>/tensorboard`; a resumed run adds a file, which TensorBoard shows as one curve.

    Raises CornetError when the package is not installed.
    """
    check_installed("logger=tensorboard", "tensorboard", "tensorboard")
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def wandb(
    folder: Path | str,
    run_id: str,
    project: str = "cornet",
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] | None = None,
    offline: bool | None = None,
    config: Mapping[str, Any] | None = None,
) -> ForgivingWandbLogger:
    """A run on Weights & Biases, with its files in `<folder>/wandb`.

    run_id: that of the run's folder, so that a resumed run continues its curves. name, group, tags: None for what
    `run_labels` makes of the folder and the overrides, when `run` trains; else none. offline: None means offline where
    there is no account (no WANDB_API_KEY, no entry in netrc) and WANDB_MODE does not say otherwise; such a run is
    uploaded later by `wandb sync`. Nothing is started before the first metric, and nothing that goes wrong there stops
    a training. Raises CornetError for a tag that Weights & Biases would refuse.
    """
    for tag in tags or ():
        if not 1 <= len(tag) <= LONGEST_TAG:
            raise CornetError(
                f"The tag {tag!r} has {len(tag)} characters, and Weights & Biases takes 1 to {LONGEST_TAG}; "
                "give another one in logger.wandb.tags."
            )
    mode = os.environ.get("WANDB_MODE") or "online"  # wandb itself reads the environment once a process only
    if offline is not None:
        mode = "offline" if offline else "online"
    elif not os.environ.get("WANDB_MODE") and not _has_account():
        mode = "offline"
        if rank_zero():
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
        tags=list(tags or ()),
        config=dict(config or {}),
    )


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
