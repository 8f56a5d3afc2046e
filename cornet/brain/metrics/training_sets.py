"""X'X and X'Y of many training sets of the same stimuli, from the totals less the few stimuli left out."""

import torch
from torch import Tensor

__all__ = ["TrainingSets"]


class TrainingSets:
    """Stimuli from which training sets are drawn.

    X: (stimulus, feature), centred over about these stimuli, so that subtracting loses no digits. Y: (stimulus,
    neuroid), any values at stimuli that are not present. present: (stimulus,) mask of those with responses.
    """

    def __init__(self, X: Tensor, Y: Tensor, present: Tensor) -> None:
        self.X, self.present, self.number = X, present, int(present.sum())
        chosen = X if self.number == len(X) else X[present]
        self.Y = Y - Y[present].mean(dim=0)
        self.gram, self.cross, self.sum = chosen.T @ chosen, chosen.T @ self.Y[present], chosen.sum(dim=0)

    def products(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """X'X, X'Y of these neuroids (mask), both centred on the training set `rows`, and the mean of its X."""
        mask = self.present.clone()
        mask[rows] = False
        rest = self.X[mask]
        known = self.Y[rows][:, columns]
        mean = known.mean(dim=0)
        if len(rest) + len(rows) != self.number or len(rest) > len(
            rows
        ):  # rows twice, or a small training set
            X = self.X[rows]
            center = X.mean(dim=0)
            X -= center
            return X.T @ X, X.T @ (known - mean), center
        center = (self.sum - rest.sum(dim=0)) / len(rows)
        G = self.gram - rest.T @ rest - len(rows) * torch.outer(center, center)
        left_out = self.Y[mask][:, columns] - mean
        S = self.cross[:, columns] - torch.outer(self.sum, mean) - rest.T @ left_out
        return G, S, center
