"""How likely a place of a list is looked at, learnt from what was clicked there.

I impressions · P places
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

#: As many clicks are taken to have been at every place at the overall rate: a place with few rows is an average one.
_PRIOR_CLICKS = 5.0


def examination(
    places_I: npt.NDArray[np.floating[Any]], is_clicked_I: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """For each impression the probability that its place was looked at; a place that is not known (NaN) is.

    e_p = r_p / r_first, with r the click rate by place, never rising down the list

    In the position-based model (Richardson et al., WWW 2007) a click needs a look and a liking, P(click) = e_p · liking,
    so that where the liking is alike the rates by place are the looks but for a factor. Good lists have what is liked
    at their top: the rates then fall faster than the looks, and a low place is held to be seen less than it is.
    """
    seen_I = np.ones(len(places_I))
    is_placed_I = ~np.isnan(places_I)
    if not is_clicked_I[is_placed_I].any():
        return seen_I
    _, place_I, shown_P = np.unique(places_I[is_placed_I], return_inverse=True, return_counts=True)
    clicked_P = np.bincount(place_I, is_clicked_I[is_placed_I])
    overall = clicked_P.sum() / shown_P.sum()
    rate_P = (clicked_P + _PRIOR_CLICKS) / (shown_P + _PRIOR_CLICKS / overall)
    falling_P = isotonic_regression(rate_P, weights=shown_P, increasing=False).x
    seen_I[is_placed_I] = (falling_P / falling_P[0])[place_I]
    return seen_I
