"""Vectors on a plane: principal components, t-SNE, or UMAP where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from umzoo.errors import ConfigError, DataError, nearest

Method = Literal["pca", "tsne", "umap"]
LEAST = 3
"""Vectors that make a map."""
COMPONENTS = 50
"""Principal components that t-SNE and UMAP see, at most."""
PERPLEXITY, NEIGHBORS = 30.0, 15
"""Settings of t-SNE and UMAP, lower where there are few vectors: the defaults of their libraries."""
_NEAR = "vectors that lie together are alike; distances between groups, their sizes and their density say little"


@dataclass(frozen=True)
class Projection:
    """Where vectors lie on the plane, *places* ``(n, 2)``, and in one sentence what that shows of them."""

    places: NDArray[np.float64]
    note: str


def project(features: NDArray[Any], method: str = "pca") -> Projection:
    """Return a plane of the *features* ``(n, d)``, whose columns are standardized first.

    Equal vectors give equal places: what is drawn at random is drawn by a fixed seed.

    Raises:
        ConfigError: if there is no such method, or its library is missing.
        DataError: if there are too few vectors.
    """
    if method not in get_args(Method):
        raise ConfigError(f"no map '{method}'{nearest(method, get_args(Method))}: give pca, tsne or umap")
    if len(features) < LEAST:
        raise DataError(f"a map needs {LEAST} vectors, got {len(features)}")
    components, shares = _principal(standardized(features), 2 if method == "pca" else COMPONENTS)
    if method == "pca":
        return Projection(
            components,
            f"Principal components of the standardized columns: {shares[0]:.0%} of the variance from left to right,"
            f" {shares[1]:.0%} from bottom to top; the other {1 - shares[:2].sum():.0%} cannot be seen.",
        )
    if method == "tsne":
        perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
        return Projection(_tsne(components, perplexity), f"t-SNE, perplexity {perplexity:.3g}: {_NEAR}.")
    neighbors = min(NEIGHBORS, len(features) - 1)
    return Projection(_umap(components, neighbors), f"UMAP, {neighbors} neighbors: {_NEAR}.")


def standardized(features: NDArray[Any]) -> NDArray[np.float64]:
    """Return *features* ``(n, d)`` with columns of mean 0 and variance 1; a constant column is 0.

    Raises:
        ConfigError: if scikit-learn is missing.
    """
    try:
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise ConfigError("a map of vectors needs scikit-learn: pip install 'umzoo[finetune]'") from None
    return np.asarray(StandardScaler().fit_transform(features.astype(np.float64)))


def _principal(rows: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At least two components ``(n, k)``, and the share of the variance that each holds."""
    from sklearn.decomposition import PCA

    rows = np.pad(rows, ((0, 0), (0, max(0, 2 - rows.shape[1]))))
    if not rows.any():
        return rows[:, :2], np.zeros(2)
    fitted = PCA(min(count, *rows.shape), random_state=0).fit(rows)
    return fitted.transform(rows), fitted.explained_variance_ratio_


def _tsne(rows: NDArray[np.float64], perplexity: float) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(rows), np.float64)


def _umap(rows: NDArray[np.float64], neighbors: int) -> NDArray[np.float64]:
    try:
        from umap import UMAP
    except ImportError:
        raise ConfigError("this map needs UMAP: pip install umap-learn, or take --map tsne") from None
    return np.asarray(UMAP(n_neighbors=neighbors, random_state=0, n_jobs=1).fit_transform(rows), np.float64)
