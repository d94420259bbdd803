"""Columns as a ranker can learn from them: no gaps, one scale, flags, and categories as numbers.

What scikit-learn and numpy fit is kept as plain numbers and words: what was learnt is applied with them alone, so
that a saved model holds no class of anybody's and a score asks for no library that has changed since.

X rows · N things that rows are about · F features as they are read · C categories
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.scaling import robust_scale

FloatArray = npt.NDArray[np.float32]
Words = npt.NDArray[np.object_]

#: A flag that fewer rows carry than this share, or all but this share, teaches a small ranker noise.
_THIN = 0.05
#: So many deviations from the median, by a robust scale, make an outlier.
_FAR_OUT = 3.0
#: Flags of outliers that are kept at most: those that tell most rows from the others. With two of users and two of items
#: rankers were worse than with one each (`make bench ONLY=ranking.preparation`).
_MOST_OUTLIER_FLAGS = 1
#: A category is a column of its own from this share of the rows on; the lesser ones share one.
_FREQUENT = 0.02
_MOST_CATEGORIES = 12
_FOLDS = 5


@dataclass(frozen=True)
class Numbers:
    """Numbers of users or of items: gaps filled with the median, scaled, with flags for what was missing or far out."""

    features: tuple[str, ...]  # those that are not the same for everybody
    medians: tuple[float, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    missing: tuple[
        str, ...
    ]  # the features whose absence is told; one stands for all that are absent together
    outlying: tuple[str, ...]  # the features that are told to be far out

    @classmethod
    def fit(cls, values_XF: npt.NDArray[np.floating[Any]], names: Sequence[str]) -> Self:
        """Learn from rows of which each counts the same; NaN is missing."""
        is_there_F = ~np.isnan(values_XF).all(axis=0)
        values_XF = values_XF[:, is_there_F].astype(np.float64)
        names = [name for name, is_there in zip(names, is_there_F, strict=True) if is_there]
        if not names:
            return cls((), (), (), (), (), ())
        is_missing_XF = np.isnan(values_XF)
        median_F = np.nanmedian(values_XF, axis=0)
        filled_XF = np.where(is_missing_XF, median_F, values_XF)
        missing = _telling(is_missing_XF, names)
        varies_F = np.ptp(filled_XF, axis=0) > 0
        varying_XF = filled_XF[:, varies_F]
        features = [name for name, varies in zip(names, varies_F, strict=True) if varies]
        center_F, scale_F = robust_scale(varying_XF)
        is_spread_F = np.ptp(np.quantile(varying_XF, [0.25, 0.75], axis=0), axis=0) > 0
        is_far_XF = (np.abs(varying_XF - center_F) > _FAR_OUT * scale_F) & is_spread_F
        return cls(
            features=tuple(features),
            medians=tuple(median_F[varies_F].tolist()),
            centers=tuple(center_F.tolist()),
            scales=tuple(scale_F.tolist()),
            missing=missing,
            outlying=_telling(is_far_XF, features, _MOST_OUTLIER_FLAGS),
        )

    @classmethod
    def as_they_are(cls, features: Sequence[str]) -> Self:
        """Numbers that nothing is done to but that a gap is zero."""
        none, one = (0.0,) * len(features), (1.0,) * len(features)
        return cls(tuple(features), none, none, one, (), ())

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What ``dataclasses.asdict`` made, read from JSON.

        Raises:
            ValueError: a number is missing, or is none that can be calculated with.
        """
        features = tuple(state["features"])
        medians, centers, scales = (
            _finite(state, name, len(features)) for name in ("medians", "centers", "scales")
        )
        if min(scales, default=1) <= 0:
            raise ValueError(f"scales of {features} are not above zero everywhere")
        if strange := sorted(set(state["outlying"]) - set(features)):
            raise ValueError(f"{strange[0]} is told to be far out and has no scale")
        return cls(features, medians, centers, scales, tuple(state["missing"]), tuple(state["outlying"]))

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that have to be there."""
        return tuple(dict.fromkeys((*self.features, *self.missing)))

    @property
    def columns(self) -> tuple[str, ...]:
        return (
            *self.features,
            *(f"{name}.is_missing" for name in self.missing),
            *(f"{name}.is_outlier" for name in self.outlying),
        )

    def prepare(self, values_XF: FloatArray, names: Sequence[str]) -> FloatArray:
        """The columns of rows; the features are found by their names."""
        place = {name: index for index, name in enumerate(names)}
        read_XF = values_XF[:, [place[name] for name in self.features]]
        filled_XF = np.where(np.isnan(read_XF), np.array(self.medians, np.float32), read_XF)
        scaled_XF = (filled_XF - np.array(self.centers, np.float32)) / np.array(self.scales, np.float32)
        is_missing_XM = np.isnan(values_XF[:, [place[name] for name in self.missing]])
        outlying = [self.features.index(name) for name in self.outlying]
        is_outlier_XO = np.abs(scaled_XF[:, outlying]) > _FAR_OUT
        return np.concatenate([scaled_XF, is_missing_XM, is_outlier_XO], axis=1, dtype=np.float32)


@dataclass(frozen=True)
class OneHot:
    """A column for each frequent category of a feature, and one for the others where there were any."""

    feature: str
    frequent: tuple[str, ...]
    has_others: bool

    @classmethod
    def fit(cls, words_X: Words, feature: str) -> Self:
        from sklearn.preprocessing import OneHotEncoder

        encoder = OneHotEncoder(
            min_frequency=_FREQUENT, max_categories=_MOST_CATEGORIES, handle_unknown="infrequent_if_exist"
        ).fit(words_X[:, None])
        (categories,), (rare,) = encoder.categories_, encoder.infrequent_categories_
        frequent = [word for word in categories if rare is None or word not in set(rare)]
        return cls(feature, tuple(frequent) if len(categories) > 1 else (), rare is not None)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(str(state["feature"]), tuple(state["frequent"]), bool(state["has_others"]))

    @property
    def columns(self) -> tuple[str, ...]:
        others = (f"{self.feature}.is_other",) if self.has_others else ()
        return (*(f"{self.feature}={word}" for word in self.frequent), *others)

    def prepare(self, words_X: Words) -> FloatArray:
        """The columns of rows; a category that was never seen counts among the others, or as none of all."""
        is_word_XC = words_X[:, None] == np.array(self.frequent, dtype=object)
        is_other_X1 = ~is_word_XC.any(axis=1, keepdims=True)
        parts = [is_word_XC, is_other_X1] if self.has_others else [is_word_XC]
        return np.concatenate(parts, axis=1, dtype=np.float32)


@dataclass(frozen=True)
class TargetMeans:
    """How often what has a category was wanted; a category of few rows is drawn to the mean of all."""

    feature: str
    means: Mapping[str, float]
    mean: float  # of a category that was never seen
    center: float
    scale: float

    @classmethod
    def fit(
        cls,
        words_N: Words,
        feature: str,
        places_X: npt.NDArray[np.int64],
        is_wanted_X: npt.NDArray[np.bool_],
        groups_X: npt.NDArray[np.int64],
        seed: int,
    ) -> tuple[Self, FloatArray] | None:
        """The means, and those that each row is to learn from: these are of what others than its own group (user) wanted.

        None where there is nothing to tell: one category, one outcome or one group.

        Args:
            words_N: the category of each of N things.
            places_X: which of them a row is about.
        """
        from sklearn.model_selection import GroupKFold
        from sklearn.preprocessing import TargetEncoder

        words, code_N = np.unique(words_N.astype(str), return_inverse=True)
        code_X = code_N[places_X]  # of many rows numbers are sorted faster than words
        num_folds = min(_FOLDS, len(np.unique(groups_X)))
        if len(np.unique(code_X)) < 2 or num_folds < 2 or is_wanted_X.all() or not is_wanted_X.any():
            return None
        folds = GroupKFold(num_folds, shuffle=True, random_state=seed).split(code_X, groups=groups_X)
        encoder = TargetEncoder(target_type="continuous", cv=list(folds))
        told_X1 = encoder.fit_transform(code_X[:, None], is_wanted_X.astype(np.float64))
        (center,), (scale,) = robust_scale(told_X1)
        (codes,), (encodings,) = encoder.categories_, encoder.encodings_
        means = dict(zip(words[codes].tolist(), encodings.tolist(), strict=True))
        fitted = cls(feature, means, float(encoder.target_mean_), float(center), float(scale))
        return fitted, fitted._scaled(told_X1[:, 0])

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What ``dataclasses.asdict`` made, read from JSON.

        Raises:
            ValueError: a number is none that can be calculated with.
        """
        means = _finite({"means": list(state["means"].values())}, "means", len(state["means"]))
        mean, center, scale = _finite(
            {"scale": [state[name] for name in ("mean", "center", "scale")]}, "scale", 3
        )
        if scale <= 0:
            raise ValueError(f"the scale of {state['feature']} is not above zero")
        return cls(state["feature"], dict(zip(state["means"], means, strict=True)), mean, center, scale)

    @property
    def column(self) -> str:
        return f"{self.feature}.wanted"

    def prepare(self, words_X: Words) -> FloatArray:
        words, code_X = np.unique(words_X.astype(str), return_inverse=True)
        return self._scaled(np.array([self.means.get(word, self.mean) for word in words.tolist()])[code_X])

    def _scaled(self, means_X: npt.NDArray[np.float64]) -> FloatArray:
        return ((means_X - self.center) / self.scale).astype(np.float32)


def _telling(
    is_flagged_XF: npt.NDArray[Any], names: Sequence[str], most: int | None = None
) -> tuple[str, ...]:
    """The flags that tell rows apart: neither thin nor the same as an earlier one; at most so many, the fullest first."""
    share_F = is_flagged_XF.mean(axis=0)
    full = [place for place in range(len(names)) if _THIN <= share_F[place] <= 1 - _THIN]
    if not full:
        return ()
    firsts = {is_flagged_XF[:, place].tobytes(): place for place in reversed(full)}
    fullest = sorted(firsts.values(), key=lambda place: (-share_F[place], place))
    return tuple(names[place] for place in sorted(fullest[:most]))


def _finite(state: Mapping[str, Any], name: str, length: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in state[name])
    if len(values) != length or not np.isfinite(values).all():
        raise ValueError(f"{name} are {values}; expected {length} finite numbers")
    return values
