"""The end of a run, for its loggers: pictures, tables and the report go where the metrics went."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from cornet.training.csv_logger import read_metrics
from cornet.training.wandb_logger import ForgivingWandbLogger

__all__ = ["hand_over"]

log = logging.getLogger("cornet")

PICTURES = {
    "curves": "Loss and accuracy against the epoch.",
    "brain_scores": "Each benchmark's score against the epoch; dashed: its ceiling; band: one standard error.",
    "brain_accuracy": "Each benchmark's score against accuracy, from the start of training to its end.",
    "step_matrix": "Raw score of every area and step (rows) on every recorded region (columns).",
    "solution_times": "When the network solves an image, against when the brain does.",
}
"""What each picture shows, by its file's name; samples of stimuli, stimuli/<set>.png, are beside them."""

TABLES = ("scores", "step_matrix")
FILES = ("report.html", "scores.csv", "step_matrix.csv", "solution_times.csv")


def hand_over(folder: Path, loggers: Sequence[Logger]) -> None:
    """Give a finished run's pictures and tables to Weights & Biases and TensorBoard. Missing files are left out.

    folder: the run's. Failures are logged, never raised.
    """
    for logger in loggers:
        try:
            if isinstance(logger, ForgivingWandbLogger):
                files = [folder / name for name in FILES if (folder / name).is_file()]
                logger.hand_over(pictures_of(folder), tables_of(folder), files, read_metrics(folder))
            elif isinstance(logger, TensorBoardLogger):
                to_tensorboard(folder, logger)
        except Exception as error:
            log.warning("pictures and tables did not reach %s (%s)", type(logger).__name__, error)


def pictures_of(folder: Path) -> dict[str, tuple[Path, str]]:
    """The pictures that are there: file and caption by name."""
    pictures = {name: (folder / f"{name}.png", caption) for name, caption in PICTURES.items()}
    for path in sorted((folder / "stimuli").glob("*.png")):
        pictures[f"stimuli_{path.stem}"] = (
            path,
            f"Samples of the stimuli {path.stem}, as the network sees them.",
        )
    return {name: found for name, found in pictures.items() if found[0].is_file()}


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables that are there, by name."""
    return {
        name: pd.read_csv(folder / f"{name}.csv") for name in TABLES if (folder / f"{name}.csv").is_file()
    }


def to_tensorboard(folder: Path, logger: TensorBoardLogger) -> None:
    """Pictures as images, tables as text, at the last step."""
    step = int(read_metrics(folder)["step"].max())
    for name, (path, _) in pictures_of(folder).items():
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        logger.experiment.add_image(f"pictures/{name}", pixels, step, dataformats="HWC")
    for name, table in tables_of(folder).items():
        logger.experiment.add_text(name, markdown(table), step)
    logger.experiment.close()


def markdown(table: pd.DataFrame) -> str:
    """A table as TensorBoard shows it."""
    cells = table.astype(object).where(table.notna(), "").to_numpy().tolist()
    rows = [list(table), ["---"] * len(table.columns), *cells]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
