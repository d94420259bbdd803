"""A blend of recommenders: their scores made comparable, and how much each of them is to say.

B users · N items · R recommenders · X rows (a user and a candidate, a user's next to each other) · G groups (users)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Pulls weights towards 0, so weakly that it decides only where people's choices do not.
_RIDGE = 1e-3
#: What scores differ by through rounding, as a share of their size: who differs by no more tells nothing apart.
_ROUNDING = 1e-6


def standardise(
    scores_BN: npt.NDArray[np.floating[Any]], is_allowed_BN: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Each user's scores with mean 0 and deviation 1 over the items that may be shown, the tails drawn in by asinh.

    asinh keeps the order and is a logarithm far out: one item that everybody takes would else outvote all recommenders.

    Returns:
        The scores, 0 where all of a user's are equal; and of each user whether they tell any items apart.
    """
    count_B1 = np.maximum(is_allowed_BN.sum(axis=1, keepdims=True), 1)
    mean_B1 = scores_BN.sum(axis=1, keepdims=True, where=is_allowed_BN, dtype=np.float64) / count_B1
    # Half as wide as they come, since this runs over the whole catalogue for everybody.
    apart_BN = np.subtract(scores_BN, mean_B1, dtype=np.float32, casting="same_kind")
    square_B1 = np.square(apart_BN).sum(axis=1, keepdims=True, where=is_allowed_BN, dtype=np.float64)
    spread_B1 = np.sqrt(square_B1 / count_B1)
    tells_B1 = spread_B1 > _ROUNDING * np.abs(mean_B1)
    apart_BN *= (tells_B1 / np.where(tells_B1, spread_B1, 1.0)).astype(np.float32)
    return np.arcsinh(apart_BN, out=apart_BN), tells_B1.ravel()


def fit_weights(
    scores_XR: npt.NDArray[np.floating[Any]],
    offsets_G: npt.NDArray[np.integer[Any]],
    is_wanted_X: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Weights of recommenders, none below 0 and 1 together, under which what people chose is most likely.

    A user chooses among the candidates c as in the conditional logit (McFadden, 1974), P(c) = exp(w·s_c) / Σ exp(w·s):

        L(w) = -1/G Σ_g 1/T_g Σ_wanted (w·s_t - log Σ_c exp(w·s_c)) + ridge/2 · |w|²,  w >= 0

    which is convex, so that there is one answer and no seed. No weight is negative (Breiman, *Stacked regressions*, 1996):
    recommenders resemble each other, and without the bound some would be subtracted to mend what is noise.
    All are 0 where none of them helps.

    Args:
        scores_XR: standardised; rows offsets[g] … offsets[g+1]-1 are the candidates of user g.

    Raises:
        ValueError: the parts do not fit together, or no user wanted some of the candidates and not others.
    """
    from scipy.optimize import minimize  # takes most of a second, which no list needs

    scores_XR = np.asarray(scores_XR, np.float64)
    if scores_XR.ndim != 2 or len(is_wanted_X) != len(scores_XR) or offsets_G[-1] != len(scores_XR):
        raise ValueError(
            f"scores have shape {scores_XR.shape} for {len(is_wanted_X)} rows in groups up to {offsets_G[-1]}"
        )
    if not np.isfinite(scores_XR).all():
        raise ValueError("a score is not finite; standardise what the recommenders say")
    group_X = np.repeat(np.arange(len(offsets_G) - 1), np.diff(offsets_G))
    num_wanted_G = np.bincount(group_X, is_wanted_X, len(offsets_G) - 1)
    is_choice_G = (num_wanted_G > 0) & (num_wanted_G < np.diff(offsets_G))
    if not is_choice_G.any():
        raise ValueError(
            "no user wanted some of the candidates and not others; there is no choice to learn from"
        )
    rows = is_choice_G[group_X]
    scores_XR, group_X = scores_XR[rows], np.unique(group_X[rows], return_inverse=True)[1]
    chosen_X = is_wanted_X[rows] / num_wanted_G[is_choice_G][group_X]
    starts_G = np.flatnonzero(np.diff(group_X, prepend=-1))

    def loss(weights_R: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        sums_X = scores_XR @ weights_R
        sums_X -= np.maximum.reduceat(sums_X, starts_G)[group_X]
        likely_X = np.exp(sums_X)
        total_G = np.add.reduceat(likely_X, starts_G)
        likely_X /= total_G[group_X]
        lost = float((np.log(total_G).sum() - chosen_X @ sums_X) / len(starts_G))
        slope_R = (likely_X - chosen_X) @ scores_XR / len(starts_G)
        return lost + _RIDGE / 2 * float(weights_R @ weights_R), slope_R + _RIDGE * weights_R

    num_recommenders = scores_XR.shape[1]
    found = minimize(
        loss, np.zeros(num_recommenders), jac=True, method="L-BFGS-B", bounds=[(0, None)] * num_recommenders
    )
    weights_R = np.asarray(found.x, np.float64)
    return weights_R / weights_R.sum() if weights_R.any() else weights_R
