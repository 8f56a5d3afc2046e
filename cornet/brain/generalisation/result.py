"""The result of `generalise`: all rows, what is missing, and the agreement over models."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cornet.brain.generalisation.rows import KINDS, ORDINARY, Row

__all__ = ["Generalisation"]

MIN_MODELS = 3


@dataclass(frozen=True, eq=False)
class Generalisation:
    """rows: the measured rows. missing: (model, benchmark, kind, reason) of what could not be measured."""

    rows: list[Row] = field(default_factory=list)
    missing: list[tuple[str, str, str, str]] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """One row per model, benchmark and kind, with the columns of `Row`."""
        return pd.DataFrame([one.as_dict() for one in self.rows])

    def agreement(self) -> pd.DataFrame:
        """Pearson's r over models between the ordinary values and those of another kind.

        Columns: benchmark, kind, fitted ("" unless it tells rows of one kind apart), tested, models, r. Kinds with
        fewer than three models are left out.
        """
        ordinary = {(one.model, one.benchmark): one.value for one in self.rows if one.kind == ORDINARY}
        pairs: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
        for one in self.rows:
            first = ordinary.get((one.model, one.benchmark), np.nan)
            if one.kind not in (ORDINARY, "session predicts session") and np.isfinite(first + one.value):
                source = one.fitted if one.kind.startswith("new session") or one.kind == "new kind" else ""
                pairs.setdefault((one.benchmark, one.kind, source, one.tested), []).append((first, one.value))
        found = []
        for place, values in pairs.items():
            x, y = np.array(values).T
            if len(x) >= MIN_MODELS and np.ptp(x) > 0 and np.ptp(y) > 0:
                found.append((*place, len(x), float(np.corrcoef(x, y)[0, 1])))
        return pd.DataFrame(found, columns=["benchmark", "kind", "fitted", "tested", "models", "r"])

    def arrange(self, models: list[str], benchmarks: list[str]) -> None:
        """Sort the rows by model, benchmark and kind, and fill in `from_ordinary`."""
        kinds = list(KINDS)
        self.rows.sort(
            key=lambda one: (models.index(one.model), benchmarks.index(one.benchmark), kinds.index(one.kind))
        )
        values = {(one.model, one.benchmark): one.value for one in self.rows if one.kind == ORDINARY}
        for place, one in enumerate(self.rows):
            if one.kind != ORDINARY:
                lower = values[one.model, one.benchmark] - one.value
                self.rows[place] = dataclasses.replace(one, from_ordinary=lower)
