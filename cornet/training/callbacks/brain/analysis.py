"""Record a network for the stimuli of an analysis during training, and write the table of the analysis."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cornet.brain.subjects.subject import Recording
from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.stimuli.screen import place_on_screen
from cornet.stimuli.stimulus_set import StimulusSet
from cornet.training.callbacks.brain.scored_module import averaged_weights
from cornet.training.callbacks.brain_score import BrainScore
from cornet.training.callbacks.schedule import AfterEpochs

__all__ = ["Analysis", "AnalysisTable"]

log = logging.getLogger("cornet")

BATCH = 64


class Analysis(Protocol):
    """What `AnalysisTable` runs: stimuli, and a table from what a network does with them."""

    name: str
    """Name of the table's file, without .csv."""

    @property
    def stimuli(self) -> StimulusSet: ...

    @property
    def baselines(self) -> pd.DataFrame:
        """Rows that do not depend on the network."""
        ...

    def table(
        self,
        recording: Recording,
        outputs: Mapping[str, NDArray[Any]] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> pd.DataFrame:
        """Rows of a network. outputs: of the task, (stimulus, output) by head. names: of outputs, where known."""
        ...


class AnalysisTable(AfterEpochs):
    """Writes <name>.csv of an analysis: the rows of the network at each evaluation, and of its baselines.

    Before training and after every `every` epochs, with the weights that validation uses, every area and step is
    recorded for the stimuli of the analysis, and the outputs of the task if the module has one. It does not change the
    training. Column epoch: number of epochs trained; empty for baselines.

    analysis: an `Analysis`, such as `cornet.brain.view_structure.ViewStructure`. folder: where to write; None: the
    trainer's. every: epochs.
    """

    def __init__(self, analysis: Analysis, folder: str | Path | None = None, every: int = 1) -> None:
        super().__init__(every)
        self.analysis, self.folder = analysis, folder

    def write(self, trainer: Any, module: Any, epoch: int) -> None:
        """Add the rows of the network as it is now. Every rank records its share, rank 0 writes."""
        with averaged_weights(trainer, module):
            try:
                brain = next(
                    (one for one in trainer.callbacks if isinstance(one, BrainScore)), BrainScore([])
                )
                subject = brain.subject(trainer, module)
                recording = subject.record(self.analysis.stimuli, subject.region_sites())
                if not trainer.is_global_zero:
                    return
                outputs = self.outputs(module, subject.size)
                table = self.analysis.table(recording, outputs, output_names(module))
            except (CornetError, MemoryError) as error:
                log.warning("%s.csv has no rows of epoch %d: %s", self.analysis.name, epoch, error)
                return
        path = Path(self.folder or trainer.log_dir or trainer.default_root_dir) / f"{self.analysis.name}.csv"
        parts = [self.analysis.baselines.assign(epoch=np.nan), table.assign(epoch=epoch)]
        if path.is_file() and epoch > 0:
            known = pd.read_csv(path)
            parts.insert(1, known[known["epoch"] < epoch])
        whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        first = ["epoch", *(column for column in whole if column != "epoch")]
        atomic_write(path, csv_text(whole[first]))

    def outputs(self, module: Any, size: int) -> dict[str, NDArray[Any]] | None:
        """Predictions of the module's task for the stimuli, (stimulus, output) by head; None without a task."""
        if not hasattr(module, "outputs"):
            return None
        training, found = module.training, []
        pictures = self.analysis.stimuli.pictures
        module.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(pictures), BATCH):
                    rows = range(start, min(start + BATCH, len(pictures)))
                    shown = torch.stack([place_on_screen(pictures[k], 1.0, 1.0, size) for k in rows])
                    predicted = module.outputs(shown.to(module.device)).predictions
                    found.append({name: one.float().cpu().numpy() for name, one in predicted.items()})
        finally:
            module.train(training)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def output_names(module: Any) -> dict[str, list[str]]:
    """Names of the outputs of each head, where the module's task has `output_names`."""
    names = getattr(getattr(module, "task", None), "output_names", None)
    return {} if names is None else dict(names())
