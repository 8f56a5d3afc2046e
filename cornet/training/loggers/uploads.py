"""Create the Weights & Biases and TensorBoard loggers of conf/logger, and upload a finished run's results."""

import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from cornet.errors import CornetError
from cornet.runs.labels import MAX_TAG_LENGTH
from cornet.runs.metrics import read_metrics
from cornet.training.config_errors import check_installed
from cornet.training.loggers.wandb_run import ForgivingWandbLogger
from cornet.training.ranks.processes import is_first_rank

__all__ = ["tensorboard", "upload_results", "wandb"]

log = logging.getLogger("cornet")

PICTURES = {
    "curves": "Loss and accuracy against the epoch.",
    "brain_scores": "Each benchmark's score against the epoch; dashed: its ceiling; band: one standard error.",
    "brain_accuracy": "Each benchmark's score against accuracy, from the start of training to its end.",
    "step_matrix": "Raw score of every area and step (rows) on every recorded region (columns).",
    "time_matrix": "Raw score of every area and step (rows) in every time bin of the responses (columns).",
    "solution_times": "When the network solves an image, against when the brain does.",
}
"""Captions by file name; samples of stimuli, stimuli/<set>.png, are uploaded, too."""

TABLES = ("scores", "step_matrix", "time_matrix")
FILES = ("report.html", "scores.csv", "step_matrix.csv", "time_matrix.csv", "solution_times.csv")


def tensorboard(folder: Path | str) -> TensorBoardLogger:
    """Log event files to `<folder>/tensorboard`; a resumed run adds a file, which TensorBoard shows as one curve.

    Raises CornetError if the package is not installed, and if the folder's name is not UTF-8.
    """
    check_folder("TensorBoard", folder)
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
    """Log a run to Weights & Biases, with its files in `<folder>/wandb`.

    run_id: of the run's folder, so that a resumed run continues its curves. name, group, tags: None for the values of
    `run_labels` in a run of train.py, otherwise for none. offline: None to log offline without an account (no
    WANDB_API_KEY, no entry in netrc), unless WANDB_MODE is set; `wandb sync` uploads such a run later. Nothing starts
    before the first metric, and no error of Weights & Biases stops a training. Raises CornetError for a tag that
    Weights & Biases would refuse, for a folder whose name is not UTF-8, and if the package is not installed.
    """
    check_folder("Weights & Biases", folder)
    check_installed("logger=wandb", "wandb", "wandb")
    for tag in tags or ():
        if not 1 <= len(tag) <= MAX_TAG_LENGTH:
            raise CornetError(
                f"The tag {tag!r} has {len(tag)} characters, but Weights & Biases accepts 1 to {MAX_TAG_LENGTH}; "
                "change it in logger.wandb.tags."
            )
    mode = os.environ.get("WANDB_MODE") or "online"  # wandb itself reads it only once per process
    if offline is not None:
        mode = "offline" if offline else "online"
    elif not os.environ.get("WANDB_MODE") and not _has_account():
        mode = "offline"
        if is_first_rank():
            log.warning(
                "Weights & Biases: no account is configured, so the run is logged offline; "
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


def check_folder(who: str, folder: Path | str) -> None:
    """Raise CornetError where the name of a folder is not UTF-8, which these loggers cannot write."""
    try:
        str(Path(folder).absolute()).encode()
    except UnicodeEncodeError:
        raise CornetError(
            f"{who} cannot write in {folder}, because that name is not UTF-8; give another root=..., or logger=csv."
        ) from None


def _has_account() -> bool:
    """Return whether wandb would find a key: in environment variables, or for its host in netrc."""
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


def upload_results(folder: Path, loggers: Sequence[Logger]) -> None:
    """Upload a finished run's pictures and tables to Weights & Biases and TensorBoard. Missing files are skipped.

    folder: the run's. Failures are logged, never raised.
    """
    for logger in loggers:
        try:
            if isinstance(logger, ForgivingWandbLogger):
                files = [folder / name for name in FILES if (folder / name).is_file()]
                logger.upload_results(find_pictures(folder), read_tables(folder), files, read_metrics(folder))
            elif isinstance(logger, TensorBoardLogger):
                upload_to_tensorboard(folder, logger)
        except Exception as error:
            log.warning("pictures and tables were not uploaded to %s (%s)", type(logger).__name__, error)


def find_pictures(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return file and caption of the existing pictures, by name."""
    pictures = {name: (folder / f"{name}.png", caption) for name, caption in PICTURES.items()}
    for path in sorted((folder / "stimuli").glob("*.png")):
        caption = f"Samples of the stimuli {path.stem}, as the network sees them."
        pictures[f"stimuli_{path.stem}"] = (path, caption)
    return {name: found for name, found in pictures.items() if found[0].is_file()}


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the existing tables, by name."""
    paths = {name: folder / f"{name}.csv" for name in TABLES}
    return {name: pd.read_csv(path) for name, path in paths.items() if path.is_file()}


def upload_to_tensorboard(folder: Path, logger: TensorBoardLogger) -> None:
    """Log pictures as images and tables as text, at the last step."""
    step = int(read_metrics(folder)["step"].max())
    for name, (path, _) in find_pictures(folder).items():
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        logger.experiment.add_image(f"pictures/{name}", pixels, step, dataformats="HWC")
    for name, table in read_tables(folder).items():
        logger.experiment.add_text(name, to_markdown(table), step)
    logger.experiment.close()


def to_markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown, which TensorBoard renders."""
    cells = table.astype(object).where(table.notna(), "").to_numpy().tolist()
    rows = [list(table), ["---"] * len(table.columns), *cells]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
