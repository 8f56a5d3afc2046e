"""PLS regression that reproduces the reference, including its unconverged power iteration.

scikit-learn's PLSRegression(n_components=25, scale=False) finds each direction w by a power iteration on S S'
(S = X'Y, centred and deflated) that stops once w moves by less than 1e-3; an exact solver gives different results.
With w = S u and M = S'S (neuroid x neuroid), w <- S S'w becomes u <- M u. A component then costs a few products with M
and one with the training data, in one of two spaces:

FeatureSpace   G = X'X and S = X'Y, for fewer features than stimuli; or X itself;
SampleSpace    K = X X', for more features: each direction is a combination X'a of training stimuli, stored as a.

Both raise `PrecisionLoss` if squaring the condition number loses too many digits; the caller then passes X itself, or a
small matrix with the same inner products. Wegelin (2000), section 4.1. Tested against scikit-learn 1.5 to 1.9.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics.mapping.gram import MIN_PRODUCT, PrecisionLoss

__all__ = ["COMPONENTS", "FeatureSpace", "SampleSpace", "pls_coefficients"]

COMPONENTS = 25
MAX_ITERATIONS = 500
TOLERANCE = 1e-6  # of |w_i - w_(i-1)|^2
CONSTANT = 10 * np.finfo(float).eps  # the reference treats smaller deflated responses as fitted
EXHAUSTED = 1e-13  # the same, relative to the original response: the rounding error of an exact fit


class Space(Protocol):
    """The centred training data and the responses, deflated after each component."""

    def cross_products(self) -> Tensor:
        """Recompute M = S'S, (neuroid, neuroid)."""
        ...

    def add_component(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        """Add the component w = S u, with |w| = 1, and deflate.

        Returns q (neuroid,), its loadings on the responses; S'(G r) and |G r|^2, for updating M; and t't.
        Raises PrecisionLoss if t is dominated by rounding.
        """
        ...

    def residuals(self) -> Tensor:
        """Return the deflated responses (stimulus, neuroid)."""
        ...

    def zero_responses(self, columns: Tensor) -> None:
        """Set the deflated responses of these neuroids (mask) to zero."""
        ...


def pls_coefficients(space: "FeatureSpace | SampleSpace", components: int) -> Tensor:
    """Compute the regression coefficients in the representation of the space. Raises PrecisionLoss as the space does.

    They map centred test features, or their products with the centred training features, to centred responses.
    """
    start = space.variances
    remaining = start.clone()
    M = space.cross_products()
    total = initial = float(M.trace())
    for _ in range(components):
        if (remaining <= 1e-9 * start).any():  # the difference is imprecise near 0: compute the residuals
            residual = space.residuals().abs().amax(dim=0)
            exhausted = residual < torch.clamp(EXHAUSTED * space.largest, min=CONSTANT)
            if exhausted.all():
                break
            if exhausted.any():
                space.zero_responses(exhausted)
                M = space.cross_products()
            first = int(torch.nonzero(~exhausted)[0])
        else:
            first = 0
        u = power_iteration(M.cpu().numpy(), first)
        if u is None:
            break
        q, change, length, tt = space.add_component(torch.from_numpy(u).to(M))
        if not tt > 0:
            break
        remaining = remaining - q**2 * tt
        cross = torch.outer(q, change)
        M = M - cross - cross.T + length * torch.outer(q, q)
        if float(M.trace()) < 1e-4 * total:  # recompute before the subtractions lose digits
            M = space.cross_products()
            total = float(M.trace())
            if total <= EXHAUSTED**2 * initial:  # the features are exhausted
                break
    return space.coefficients()


def power_iteration(M: NDArray[np.float64], first: int) -> NDArray[np.float64] | None:
    """Return u of the direction w = S u, |w| = 1, at which the reference stops; None if S is 0.

    Starts from the column `first` of S. Stops at w_i, i >= 2, with |w_i - w_(i-1)|^2 < 1e-6, or after 500 iterations,
    or immediately for a single neuroid.
    """
    if not M[first, first] > 0:
        return None
    u = np.zeros(len(M))
    u[first] = M[first, first] ** -0.5
    if len(M) == 1:
        return u
    image = M[first] * u[first]
    for _ in range(MAX_ITERATIONS - 1):
        next_image = M @ image
        squared = float(image @ next_image)
        if not squared > 0:
            return None
        scale = squared**-0.5
        new, new_image = image * scale, next_image * scale
        moved = float((new - u) @ (new_image - image))
        u, image = new, new_image
        if moved < TOLERANCE:
            break
    return u


class FeatureSpace:
    """PLS in feature space, for fewer features than stimuli.

    features: function that returns the centred training features (stimulus, feature). With products it is called only
    if a response may be fitted exactly. responses: (stimulus, neuroid), centred. products: X'X and X'Y; None: deflate
    the features themselves, which is slower but loses no digits.
    """

    def __init__(
        self, features: Callable[[], Tensor], responses: Tensor, products: tuple[Tensor, Tensor] | None = None
    ):
        self.X, self.Y = features, responses
        if products is None:
            self.deflated: Tensor = features().clone()
            self.G: Tensor | None = None
            self.S = self.deflated.T @ responses
        else:
            self.G, self.S = products[0], products[1].clone()
            self.min_product = MIN_PRODUCT["float64"] * float(self.G.norm())
        self.variances = (responses**2).sum(dim=0)
        self.largest = responses.abs().amax(dim=0)
        self.zeroed = torch.zeros_like(self.variances, dtype=torch.bool)
        self.R: list[Tensor] = []
        self.P: list[Tensor] = []
        self.Q: list[Tensor] = []

    def cross_products(self) -> Tensor:
        return self.S.T @ self.S

    def add_component(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        w = self.S @ u
        r = w
        if self.R:
            r = w - torch.stack(self.R, dim=1) @ (torch.stack(self.P) @ w)
        if self.G is None:
            t = self.deflated @ w
            moved, tt = self.deflated.T @ t, float(t @ t)
            if not tt > 0:
                return u, u, u.sum(), tt
            self.deflated -= torch.outer(t, moved / tt)
        else:
            moved = self.G @ r
            tt = float(r @ moved)
            if not tt > self.min_product * float(r @ r):
                raise PrecisionLoss
        q = (self.S.T @ w) / tt
        change = self.S.T @ moved
        self.S -= torch.outer(moved, q)
        self.R.append(r)
        self.P.append(moved / tt)
        self.Q.append(q)
        return q, change, moved @ moved, tt

    def residuals(self) -> Tensor:
        fitted = self.X() @ self.coefficients() if self.Q else torch.zeros_like(self.Y)
        return (self.Y - fitted).masked_fill(self.zeroed, 0.0)

    def zero_responses(self, columns: Tensor) -> None:
        self.zeroed |= columns
        self.S[:, columns] = 0.0

    def coefficients(self) -> Tensor:
        """B = R Q', (feature, neuroid)."""
        if not self.Q:
            return torch.zeros_like(self.S)
        return torch.stack(self.R, dim=1) @ torch.stack(self.Q)


class SampleSpace:
    """PLS in sample space, for more features than stimuli.

    kernel: X X' of the centred training features, computed in `precision`. responses: centred."""

    def __init__(self, kernel: Tensor, responses: Tensor, precision: str = "float64"):
        self.K, self.Y = kernel, responses.clone()
        self.min_product = MIN_PRODUCT[precision] * float(kernel.norm())
        self.F = kernel @ responses  # X S, kept deflated
        self.variances = (responses**2).sum(dim=0)
        self.largest = responses.abs().amax(dim=0)
        self.C: list[Tensor] = []  # r = X'c
        self.T: list[Tensor] = []  # t = X r, over t't
        self.Q: list[Tensor] = []

    def cross_products(self) -> Tensor:
        return self.Y.T @ self.F

    def add_component(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        c, t = self.Y @ u, self.F @ u
        if self.C:
            along = torch.stack(self.T) @ t
            c = c - torch.stack(self.C, dim=1) @ along
            t = self.K @ c  # recomputed, since subtraction would accumulate rounding errors
        tt = float(t @ t)
        if not tt > self.min_product**2 * float(c @ c):
            raise PrecisionLoss
        q = (self.Y.T @ t) / tt
        moved = self.K @ t
        change = self.F.T @ t
        self.Y -= torch.outer(t, q)
        self.F -= torch.outer(moved, q)
        self.C.append(c)
        self.T.append(t / tt)
        self.Q.append(q)
        return q, change, t @ moved, tt

    def residuals(self) -> Tensor:
        return self.Y

    def zero_responses(self, columns: Tensor) -> None:
        self.Y[:, columns] = 0.0
        self.F[:, columns] = 0.0

    def coefficients(self) -> Tensor:
        """C Q', (training stimulus, neuroid)."""
        if not self.Q:
            return torch.zeros_like(self.Y)
        return torch.stack(self.C, dim=1) @ torch.stack(self.Q)
