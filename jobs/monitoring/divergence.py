"""How far two distributions lie apart, and how far chance alone would put them apart.

Jensen–Shannon divergence in bits for shares (Lin, 1991), the Wasserstein distance divided by the
reference's standard deviation for numbers. Both are positive for two samples of one distribution, the
more so the smaller the samples and the more values there are: :class:`Noise` is that part.

K distinct values · C clusters · R draws
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Numbers with more distinct values are put on a grid of this many before noise is drawn.
_GRID = 512
_LEAST_SPREAD = 0.001  # below it Evidently divides by this instead


@dataclass(frozen=True)
class Noise:
    """What a measure is between two samples that do not differ."""

    mean: float
    sd: float


def js_bits(counts_K: npt.NDArray[np.generic], other_K: npt.NDArray[np.generic]) -> float:
    """Jensen–Shannon divergence of two vectors of counts, in bits: 0 for equal shares, 1 for nothing in common."""
    return float(_js_bits_rows(np.asarray(counts_K, float)[None, :], np.asarray(other_K, float)[None, :])[0])


def _js_bits_rows(counts_RK: FloatArray, other_RK: FloatArray) -> FloatArray:
    p_RK = counts_RK / np.maximum(counts_RK.sum(axis=1, keepdims=True), 1e-300)
    q_RK = other_RK / np.maximum(other_RK.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray(_entropy_rows((p_RK + q_RK) / 2) - (_entropy_rows(p_RK) + _entropy_rows(q_RK)) / 2)


def _entropy_rows(p_RK: FloatArray) -> FloatArray:
    return np.asarray(-(p_RK * np.log2(np.where(p_RK > 0, p_RK, 1.0))).sum(axis=1))


def share_noise(
    clusters: IntArray, values: IntArray, num_other_clusters: float, num_draws: int, rng: np.random.Generator
) -> Noise:
    """The divergence between two samples of one crowd, the second with ``num_other_clusters`` clusters.

    Whole clusters are drawn (a user's day, say), since what lies in one cluster resembles itself: drawing
    single events would make the noise look smaller than it is.

    Args:
        clusters: the cluster of each of the reference's rows, 0 … C - 1.
        values: the value of each row, 0 … K - 1.
    """
    num_clusters, num_values = int(clusters.max()) + 1, int(values.max()) + 1
    rows_CK = csr_matrix((np.ones(len(values)), (clusters, values)), shape=(num_clusters, num_values))
    first_RK = _drawn(rows_CK, 1.0, num_draws, rng)
    second_RK = _drawn(rows_CK, num_other_clusters / num_clusters, num_draws, rng)
    return _noise(_js_bits_rows(first_RK, second_RK))


def _drawn(rows_CK: csr_matrix, rate: float, num_draws: int, rng: np.random.Generator) -> FloatArray:
    """Counts of values in samples that hold each cluster a Poisson number of times."""
    times_RC = rng.poisson(rate, size=(num_draws, rows_CK.shape[0])).astype(np.float64)
    return np.asarray((rows_CK.T @ times_RC.T).T)


def wasserstein(reference: FloatArray, current: FloatArray) -> float:
    """The area between two distribution functions, in standard deviations of the reference."""
    support, counts_K, other_K = _on_support(reference, current)
    return float(_wasserstein_rows(support, counts_K[None, :], other_K[None, :])[0]) / _spread(reference)


def wasserstein_noise(
    reference: FloatArray, num_current: int, num_draws: int, rng: np.random.Generator
) -> Noise:
    """The normed distance between two samples of the reference, the second with ``num_current`` rows."""
    support, counts = np.unique(reference, return_counts=True)
    if len(support) > _GRID:
        support = np.quantile(reference, np.linspace(0, 1, _GRID))
        counts = np.full(_GRID, 1.0)
    share_K = counts / counts.sum()
    first_RK = rng.multinomial(len(reference), share_K, size=num_draws).astype(np.float64)
    second_RK = rng.multinomial(max(num_current, 1), share_K, size=num_draws).astype(np.float64)
    return _noise(_wasserstein_rows(support, first_RK, second_RK) / _spread(reference))


def _on_support(reference: FloatArray, current: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    support, places = np.unique(np.concatenate([reference, current]), return_inverse=True)
    counts = np.bincount(places[: len(reference)], minlength=len(support)).astype(np.float64)
    other = np.bincount(places[len(reference) :], minlength=len(support)).astype(np.float64)
    return support, counts, other


def _wasserstein_rows(support: FloatArray, counts_RK: FloatArray, other_RK: FloatArray) -> FloatArray:
    p_RK = counts_RK / counts_RK.sum(axis=1, keepdims=True)
    q_RK = other_RK / other_RK.sum(axis=1, keepdims=True)
    return np.asarray((np.abs(np.cumsum(p_RK - q_RK, axis=1)[:, :-1]) * np.diff(support)).sum(axis=1))


def _spread(reference: FloatArray) -> float:
    return max(float(np.std(reference)), _LEAST_SPREAD)


def _noise(values_R: FloatArray) -> Noise:
    return Noise(float(values_R.mean()), float(values_R.std(ddof=1)))
