"""Where the middle of a feature lies and how far apart its values are, whatever its tails; fitted by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def robust_scale(
    values_XF: npt.NDArray[np.floating[Any]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each column the median, and the interquartile range as the deviation of a normal distribution with the same.

    Where the middle half of a column is one value, its standard deviation takes the place of the range; where the
    whole of it is, 1 does.
    """
    from sklearn.preprocessing import RobustScaler, StandardScaler

    if not values_XF.shape[1]:
        return np.empty(0), np.empty(0)
    values_XF = values_XF.astype(np.float64)
    robust = RobustScaler(unit_variance=True).fit(values_XF)
    low_F, high_F = np.quantile(values_XF, [0.25, 0.75], axis=0)
    scale_F = np.where(high_F > low_F, robust.scale_, StandardScaler().fit(values_XF).scale_)
    return np.asarray(robust.center_, np.float64), np.asarray(scale_F, np.float64)
