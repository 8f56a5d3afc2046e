"""The factorisation of a training set for ridge regression, and its errors of left-out stimuli for any penalty.

X: centred training features. Y: centred responses. a: the penalty. l, V: eigenvalues and eigenvectors (directions k) of
K = X X', without the constant vector. The error of left-out stimulus i is

    e_i = (V diag(1 / (l + a)) V' Y)_i / sum_k V_ik^2 / (l_k + a)

With fewer features than stimuli, V has only the directions with variance; the rest of Y cannot be predicted and is
added to the numerator unchanged. The code multiplies numerator and denominator by a, so that a small a is safe.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BLOCK", "GroupErrors", "Spectrum"]

BLOCK = 1 << 25
"""Bytes of the responses, or of the products for a few penalties, at a time."""

ROWS = 256
"""Rows of a block of a symmetric matrix."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The factorisation of a training set.

    vectors: (stimulus, direction), orthonormal, and orthogonal to the constant vector. eigenvalues: (direction,).
    right: (feature, direction), right singular vectors if there are fewer features than stimuli; else None.
    """

    vectors: Tensor = field(repr=False)
    eigenvalues: Tensor = field(repr=False)
    right: Tensor | None = field(default=None, repr=False)

    @classmethod
    def of_gram(cls, K: Tensor) -> "Spectrum":
        """From X X' of a training set, (stimulus, stimulus), of features with any mean. `K` is overwritten."""
        n = len(K)
        # A reflection that maps the constant vector to the first axis: the rest of the matrix is the complement.
        w = torch.full((n,), 1 / math.sqrt(n), dtype=K.dtype, device=K.device)
        w[0] += 1
        w /= w.norm()
        Kw = K @ w
        v = Kw - w * (w @ Kw)
        K.addr_(w, v, alpha=-2).addr_(v, w, alpha=-2)
        # H K H = K - 2 (w Kw' + Kw w') + 4 w (w'Kw) w', with v = Kw - (w'Kw) w
        values, inner = torch.linalg.eigh(K[1:, 1:])
        del K
        vectors = torch.zeros(n, n - 1, dtype=w.dtype, device=w.device)
        vectors[1:] = inner
        vectors.addr_(w, w[1:] @ inner, alpha=-2)
        return cls(vectors, values.clamp(min=0))

    @classmethod
    def of_features(cls, X: Tensor) -> "Spectrum":
        """From centred features (stimulus, feature), fewer features than stimuli."""
        U, s, Vh = torch.linalg.svd(X, full_matrices=False)
        keep = s > s[0] * max(X.shape) * torch.finfo(s.dtype).eps if len(s) else s > 0
        return cls(U[:, keep], s[keep].square(), Vh[keep].T)

    @property
    def complete(self) -> bool:
        """Whether the vectors span the complement of the constant vector."""
        return self.vectors.shape[1] == len(self.vectors) - 1

    def left_out_errors(self, Y: Tensor, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared errors of left-out stimuli, summed over stimuli: (penalty, neuroid). Y: centred."""
        V, n = self.vectors, len(self.vectors)
        T = V.T @ Y
        rest = None if self.complete else Y - V @ T
        errors = np.empty((len(alphas), Y.shape[1]))
        step = max(1, BLOCK // (8 * 2 * n * Y.shape[1]))
        for start in range(0, len(alphas), step):
            part = torch.from_numpy(alphas[start : start + step]).to(Y)
            weights = part[:, None] / (self.eigenvalues + part[:, None])  # (penalty, direction)
            left = (V @ (weights.T[:, :, None] * T[:, None, :]).reshape(len(T), -1)).reshape(n, len(part), -1)
            if rest is not None:
                left += rest[:, None, :]
            left /= self.own_shares(weights)[:, :, None]
            errors[start : start + step] = left.square_().sum(dim=0).cpu().numpy()
            del left
        return errors

    def own_shares(self, weights: Tensor) -> Tensor:
        """sum_k V_ik^2 w_k of each stimulus i, (stimulus, penalty). weights: (penalty, direction)."""
        found = []
        for V in self.vectors.split(256):  # a copy of all would need as much memory as the vectors
            squares = V.square()
            rest = 0 if self.complete else 1 - 1 / len(self.vectors) - squares.sum(dim=1, keepdim=True)
            found.append(squares @ weights.T + rest)
        return torch.cat(found)

    def coefficients(self, Y: Tensor, alphas: Tensor) -> Tensor:
        """Weights of the features (feature, neuroid), or of the training stimuli (stimulus, neuroid).

        Y: centred. alphas: (neuroid,), the penalty of each.
        """
        T = self.vectors.T @ Y
        shrunk = T / (self.eigenvalues[:, None] + alphas)
        if self.right is not None:
            return self.right @ (shrunk * self.eigenvalues.sqrt()[:, None])
        return self.vectors @ shrunk


class GroupErrors:
    """Squared errors of left-out stimuli, summed over the neuroids j of each group, such as a subject.

    Only for a spectrum with all n - 1 directions. With T = V' Y, w = a / (l + a) and d_i = sum_k V_ik^2 w_k, the sum is

        sum_ij (e_ij)^2 = sum_kl  w_k w_l (T T')_kl (V' diag(1 / d^2) V)_kl

    whose last factor is the same for all groups. For n stimuli and q neuroids a penalty takes about n^3 operations
    instead of 2 n^2 q. The matrices are symmetric: only blocks on and below the diagonal are computed and stored.
    """

    def __init__(self, spectrum: Spectrum, parts: Iterable[tuple[int, Tensor]], groups: int) -> None:
        """parts: pairs of a group's number and centred responses (stimulus, neuroid); a group may come in several."""
        self.spectrum, self.groups = spectrum, groups
        directions = spectrum.vectors.shape[1]
        self.spans = [
            (start, min(start + ROWS, directions)) for start in range(0, directions, ROWS)
        ]  # rows of a block; its columns end with them
        new = spectrum.vectors.new_zeros
        self.forms = [new(groups, stop - start, stop) for start, stop in self.spans]
        for group, Y in parts:
            T = spectrum.vectors.T @ Y
            for (start, stop), form in zip(self.spans, self.forms, strict=True):
                form[group].addmm_(T[start:stop], T[:stop].T)
        for (start, _), form in zip(self.spans, self.forms, strict=True):
            form[:, :, :start] *= 2  # and what is above the diagonal

    def left_out_errors(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared errors, (penalty, group)."""
        V = self.spectrum.vectors
        errors = np.zeros((len(alphas), self.groups))
        step = max(1, BLOCK // (8 * V.numel()))
        for first in range(0, len(alphas), step):
            part = torch.from_numpy(alphas[first : first + step]).to(V)
            weights = part[:, None] / (self.spectrum.eigenvalues + part[:, None])  # (penalty, direction)
            scale = 1 / self.spectrum.own_shares(weights)  # (stimulus, penalty)
            total = V.new_zeros(len(part), self.groups)
            scaled = [V * scale[:, k : k + 1] for k in range(len(part))]
            for (start, stop), form in zip(self.spans, self.forms, strict=True):
                products = V.new_empty(len(part), stop - start, stop)
                for k, one in enumerate(scaled):
                    torch.mm(one[:, start:stop].T, one[:, :stop], out=products[k])
                    products[k] *= weights[k, start:stop, None]
                    products[k] *= weights[k, :stop]
                total += products.flatten(1) @ form.flatten(1).T
            errors[first : first + step] = total.cpu().numpy()
        return errors
