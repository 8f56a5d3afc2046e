"""Similarity of images of several heads in several views: idealised structures, and how much of each a code has.

structures = view_structures(view, identity)                  # (image, image) each, from the labels of the images
similarity = similarity_matrix(features)                      # Pearson's r between images
shares = decompose(similarity, structures)                    # {"view": .36, "mirror": .01, "identity": .33, ...}

After Yildirim, Belledonne, Freiwald & Tenenbaum (2020), Science Advances 6, eaax5979, for the responses of three face
patches to 25 heads in 7 views (Freiwald & Tsao 2010). The labels `view` and `identity` say which image is which: the
order of the images does not matter. Values equal those of the public code (CNCLgithub/EIG-faces).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from cornet.brain.metrics.similarity import rdm
from cornet.errors import CornetError, check_choice

__all__ = [
    "STRUCTURES",
    "VIEWS",
    "decompose",
    "resample",
    "similarity_correlation",
    "similarity_matrix",
    "view_structures",
]

VIEWS = ("profile left", "half left", "front", "half right", "profile right", "down", "up")
"""The seven views of the stimuli, named by where the head looks in the image."""

STRUCTURES = ("view", "mirror", "identity", "background")
"""The idealised structures. background: .5 for all pairs."""

NEIGHBOURS = {
    *(("profile left", "half left"), ("half left", "front"), ("front", "half right")),
    *(("half right", "profile right"), ("front", "down"), ("front", "up")),
}
"""Pairs of views whose similarity is .5 in the structure of views."""

MIRRORED = {
    ("profile left", "profile right"): 1.0,
    ("half left", "half right"): 1.0,
    ("profile left", "half right"): 0.5,
    ("half left", "profile right"): 0.5,
}
"""Similarity of views of the two sides in the structure of mirror symmetry; 0 for all other pairs."""

Matrix = NDArray[np.float64]


def view_blocks() -> Matrix:
    """Similarity of views in the structure of views, (view, view) in the order of VIEWS."""
    both = NEIGHBOURS | {(b, a) for a, b in NEIGHBOURS}
    return np.array([[1.0 if a == b else 0.5 * ((a, b) in both) for b in VIEWS] for a in VIEWS])


def mirror_blocks() -> Matrix:
    """Similarity of views in the structure of mirror symmetry, (view, view) in the order of VIEWS."""
    return np.array([[MIRRORED.get((a, b), MIRRORED.get((b, a), 0.0)) for b in VIEWS] for a in VIEWS])


def view_structures(view: Sequence[str] | ArrayLike, identity: ArrayLike) -> dict[str, Matrix]:
    """The idealised similarity of images, (image, image), by the names of STRUCTURES.

    view: (image,), names of VIEWS. identity: (image,), any labels.

    view: 1 for the same view, .5 for its neighbours. mirror: 1 for the view from the other side, .5 for its
    neighbour. identity: 1 for the same head. background: .5. Raises CornetError for unknown views, labels of different
    lengths, and fewer than two images.
    """
    names, heads = np.asarray(view).astype(str), np.asarray(identity)
    if names.ndim != 1 or names.shape != heads.shape or len(names) < 2:
        raise CornetError(
            f"view of shape {names.shape} and identity of shape {heads.shape} must be labels (image,) of the same two "
            "or more images."
        )
    for name in np.unique(names):
        check_choice("view", str(name), VIEWS)
    place = np.array([VIEWS.index(str(name)) for name in names])
    pairs = np.ix_(place, place)
    return {
        "view": view_blocks()[pairs],
        "mirror": mirror_blocks()[pairs],
        "identity": (heads[:, None] == heads).astype(float),
        "background": np.full((len(names),) * 2, 0.5),
    }


def similarity_matrix(features: Any) -> Matrix:
    """Pearson's correlation between images, (image, image), of features (image, feature); NaN for constant features."""
    return 1.0 - rdm(features)


def resample(n: int, draws: int, seed: int = 0) -> NDArray[np.int64]:
    """Bootstrap samples of n images, (draw, n)."""
    return np.random.default_rng(seed).integers(0, n, (draws, n))


def pairs_of(
    matrix: Matrix, sample: NDArray[np.int64] | None, published: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The images of each pair; in a bootstrap sample without pairs of an image with itself."""
    rows, columns = np.triu_indices(len(matrix) if sample is None else len(sample), 1)
    if sample is None:
        return rows, columns
    first, second = sample[rows], sample[columns]
    used = matrix[first, second] != 1 if published else first != second
    return first[used], second[used]


def decompose(
    similarity: ArrayLike,
    structures: Mapping[str, ArrayLike],
    sample: NDArray[np.int64] | None = None,
    *,
    published: bool = False,
) -> dict[str, float]:
    """Write a similarity matrix as a sum of structures with coefficients of at least 0 (non-negative least squares).

    similarity: (image, image); only pairs of different images are used. structures: the same, by name. sample: rows of
    a bootstrap sample; pairs of an image with itself are left out. published: leave out similarities of exactly 1
    instead, as the public code does, which keeps pairs of an image with itself where rounding gives 1 - 1e-16.

    Returns the coefficient of each structure; NaN if a similarity is missing. Raises CornetError for matrices of
    different shapes.
    """
    matrix, parts = np.asarray(similarity, float), [np.asarray(one, float) for one in structures.values()]
    check_matrices(matrix, *parts)
    pairs = pairs_of(matrix, sample, published)
    wanted = matrix[pairs]
    if not np.isfinite(wanted).all():
        return dict.fromkeys(structures, float("nan"))
    found = nnls(np.stack([part[pairs] for part in parts], axis=1), wanted)[0]
    return dict(zip(structures, found.tolist(), strict=True))


def similarity_correlation(
    first: ArrayLike, second: ArrayLike, sample: NDArray[np.int64] | None = None, *, published: bool = False
) -> float:
    """Pearson's correlation of two similarity matrices (image, image), over pairs of different images.

    sample, published: as in `decompose`, where the first matrix is read. NaN if one of them is constant or has missing
    similarities.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    check_matrices(a, b)
    pairs = pairs_of(a, sample, published)
    x, y = a[pairs] - a[pairs].mean(), b[pairs] - b[pairs].mean()
    lengths = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / lengths if lengths > 0 else float("nan")


def check_matrices(*matrices: Matrix) -> None:
    shapes = {matrix.shape for matrix in matrices}
    if len(shapes) != 1 or matrices[0].ndim != 2 or matrices[0].shape[0] != matrices[0].shape[1]:
        raise CornetError(
            f"similarity matrices of shapes {', '.join(map(str, sorted(shapes)))} must all be (image, image) of the "
            "same images; compute them from the same stimuli."
        )
