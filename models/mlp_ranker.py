"""A small ranker that puts a user's candidates in order by their features.

R rows (candidates, a user's next to each other) · F features · G groups (users) · C candidates of a group
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.recommender import State, checked_state
from models.scaling import robust_scale

_FAR_OUT = 1e18
_ROWS_AT_ONCE = 1 << 14  # what a layer makes of so many rows stays in the processor's cache


@dataclass(frozen=True)
class MLPRankerConfig:
    """The shape of the ranker and how it is trained."""

    widths: tuple[int, ...] = (32, 16)
    epochs: int = 12  # of a hundred columns and a few hundred people more epochs learn by heart
    groups_per_batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.widths or min((self.epochs, self.groups_per_batch, *self.widths)) < 1:
            raise ValueError(f"{self}: at least one width; widths, epochs and groups_per_batch at least 1")


class MLPRanker(nn.Module):
    """A line plus a small network over standardised features: at its worst it is the linear ranker.

    Feature names and the parameters of standardisation belong to its state: they were learnt on the training
    rows, and a score is only asked for with the same columns in the same order.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, config: MLPRankerConfig, feature_names: Sequence[str]) -> None:
        super().__init__()
        if not feature_names or len(set(feature_names)) != len(feature_names):
            raise ValueError(
                f"feature names are {list(feature_names)}; there has to be at least one, none twice"
            )
        self.config = config
        self.feature_names = tuple(feature_names)
        num_features = len(self.feature_names)
        sizes = [num_features, *config.widths, 1]
        with torch.random.fork_rng(devices=[]):
            self.line = nn.Linear(num_features, 1, bias=False)
            self.layers = nn.ModuleList(nn.Linear(size, after) for size, after in itertools.pairwise(sizes))
        self.register_buffer("middle", torch.zeros(num_features))
        self.register_buffer("spread", torch.ones(num_features))
        generator = torch.Generator().manual_seed(config.seed)
        nn.init.zeros_(self.line.weight)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=math.sqrt(1 / layer.in_features), generator=generator)
            nn.init.zeros_(layer.bias)

    def standardise(self, features_RF: Tensor) -> Tensor:
        """Features about zero, about one apart, tails drawn in.

        asinh is a line in the middle and a logarithm in the tails: counts of millions keep their order
        without drowning the rest.
        """
        return self._standardised(features_RF, list(range(len(self.feature_names))))

    def _standardised(self, features_RF: Tensor, columns: list[int]) -> Tensor:
        standard_RF = (features_RF - self.middle[columns]) / self.spread[columns]
        # asinh, of functions that run over many values at once: the library's own takes them one by one. Squares
        # stay finite.
        square_RF = standard_RF.clamp_(-_FAR_OUT, _FAR_OUT).square()
        root_RF = square_RF.add(1).sqrt_().add_(1)
        return square_RF.div_(root_RF).add_(standard_RF.abs()).log1p_().copysign_(standard_RF)

    def forward(self, standard_RF: Tensor) -> Tensor:
        """One score for each standardised row."""
        inner_RF = standard_RF
        for layer in self.layers[:-1]:
            inner_RF = functional.gelu(layer(inner_RF))
        scores_R1: Tensor = self.line(standard_RF) + self.layers[-1](inner_RF)
        return scores_R1.squeeze(1)

    @classmethod
    def fit(
        cls,
        config: MLPRankerConfig,
        feature_names: Sequence[str],
        features_RF: npt.NDArray[np.float32],
        offsets_G: npt.NDArray[np.integer[Any]],
        masses_R: npt.NDArray[Any],
        weights_R: npt.NDArray[Any] | None = None,
        *,
        scaled: Collection[str] = (),
    ) -> tuple[Self, list[float]]:
        """A new ranker and its loss after each epoch; rows offsets[g] … offsets[g+1]-1 belong to group g.

        Args:
            masses_R: how much each row was wanted; 0 for what was not.
            weights_R: as how many candidates each row counts that a positive is compared with; without: as one.
            scaled: the features that come about zero and about one apart; the scale of the others is learnt.

        Raises:
            ValueError: the parts do not fit together, a feature is not finite, or no group has a positive.
        """
        ranker = cls(config, feature_names)
        features_RF = ranker._checked(features_RF, feature_names)
        groups = _groups(len(features_RF), offsets_G, masses_R)
        unscaled = [place for place, name in enumerate(feature_names) if name not in set(scaled)]
        ranker._learn_scale(features_RF, unscaled)
        masses_R, weights_R = _evidence(masses_R, np.ones(len(masses_R)) if weights_R is None else weights_R)
        mass_R, log_weight_R = torch.from_numpy(masses_R), torch.from_numpy(weights_R).log()
        rows_RF = ranker.standardise(torch.from_numpy(features_RF))
        optimizer = torch.optim.AdamW(
            ranker.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        rng = np.random.default_rng(config.seed)
        losses = []
        for epoch in range(config.epochs):
            shuffled = rng.permutation(len(groups))
            total = 0.0
            for start in range(0, len(groups), config.groups_per_batch):
                chosen = groups[shuffled[start : start + config.groups_per_batch]]
                progress = (epoch + start / len(groups)) / config.epochs
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * (1 - progress)
                rows_GC, is_row_GC = _padded(chosen)
                scores_R = ranker(rows_RF[rows_GC[is_row_GC]])
                loss = listwise_softmax(
                    scores_R, mass_R[rows_GC] * is_row_GC, log_weight_R[rows_GC], is_row_GC
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += loss.item() * len(chosen)
            losses.append(total / len(groups))
        ranker.eval()
        return ranker, losses

    def score(
        self, features_RF: npt.NDArray[np.float32], feature_names: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """One score for each row; only comparable among the candidates of one user.

        Raises:
            ValueError: other columns than those learnt, or in another order, or not finite.
        """
        return self.score_sums(self.project(self._checked(features_RF, feature_names), feature_names))

    @torch.inference_mode()
    def project(
        self, features_XF: npt.NDArray[np.float32], feature_names: Sequence[str]
    ) -> npt.NDArray[np.float32]:
        """What some of the features add to the first layer and to the line: sums_XS.

        A candidate's sums are those of its user, its item and the pair added up, so that what is true of a user
        or an item is computed once and not for each of millions of candidates.

        Raises:
            ValueError: a feature that was not learnt, a wrong number of columns, or values that are not finite.
        """
        unknown = [name for name in feature_names if name not in self.feature_names]
        if unknown:
            raise ValueError(
                f"feature {unknown[0]} was not learnt; the ranker knows {list(self.feature_names)}"
            )
        columns = [self.feature_names.index(name) for name in feature_names]
        features_XF = _finite(features_XF, feature_names)
        assert isinstance(self.layers[0], nn.Linear)
        weight_SF = torch.cat([self.layers[0].weight, self.line.weight])[:, columns]
        parts = [
            functional.linear(self._standardised(chunk_XF, columns), weight_SF).numpy()
            for chunk_XF in torch.split(torch.from_numpy(features_XF), _ROWS_AT_ONCE)
        ]
        return np.concatenate([*parts, np.empty((0, len(weight_SF)), np.float32)])

    @torch.inference_mode()
    def score_sums(self, sums_RS: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The scores of rows whose projections have been added up."""
        first, *inner, last = self.layers
        assert isinstance(first, nn.Linear)
        parts = []
        for chunk_RS in torch.split(torch.from_numpy(sums_RS), _ROWS_AT_ONCE):
            inner_RF = functional.gelu(chunk_RS[:, :-1] + first.bias)
            for layer in inner:
                inner_RF = functional.gelu(layer(inner_RF))
            parts.append((chunk_RS[:, -1] + last(inner_RF).squeeze(1)).numpy())
        return np.concatenate([*parts, np.empty(0)]).astype(np.float64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Every weight, the scale and the feature names (UTF-8, one a line), as copies."""
        names = np.frombuffer("\n".join(self.feature_names).encode(), np.uint8).copy()
        return {name: weight.numpy().copy() for name, weight in self.state_dict().items()} | {
            "feature_names": names
        }

    @classmethod
    def from_state(cls, config: MLPRankerConfig, state: State) -> Self:
        """The inverse of :meth:`state`.

        Raises:
            ValueError: an array is missing, unknown, of another shape or not finite; the message names it.
        """
        if "feature_names" not in state:
            raise ValueError("state has no feature_names; a ranker is useless without them")
        ranker = cls(config, state["feature_names"].tobytes().decode().split("\n"))
        shapes: dict[str, tuple[int | None, ...]] = {
            name: tuple(weight.shape) for name, weight in ranker.state_dict().items()
        }
        arrays = checked_state(state, shapes | {"feature_names": (None,)})
        if not (arrays["spread"] > 0).all():
            raise ValueError("spread is not above zero everywhere")
        ranker.load_state_dict(
            {name: torch.from_numpy(np.array(arrays[name], np.float32)) for name in shapes}
        )
        ranker.eval()
        return ranker

    def _learn_scale(self, features_RF: npt.NDArray[np.float32], columns: list[int]) -> None:
        """Of columns that come unscaled: median and interquartile range, as :func:`robust_scale` says."""
        middle_F, spread_F = robust_scale(features_RF[:, columns])
        self.middle[columns] = torch.from_numpy(middle_F).float()
        self.spread[columns] = torch.from_numpy(np.where(spread_F > 1e-12, spread_F, 1.0)).float()

    def _checked(
        self, features_RF: npt.NDArray[np.float32], feature_names: Sequence[str]
    ) -> npt.NDArray[np.float32]:
        if tuple(feature_names) != self.feature_names:
            raise ValueError(
                f"features are {list(feature_names)}; the ranker knows {list(self.feature_names)}"
            )
        return _finite(features_RF, feature_names)


def _finite(features_RF: npt.NDArray[np.float32], feature_names: Sequence[str]) -> npt.NDArray[np.float32]:
    """The features, contiguous; a value that is not finite is refused by its column's name."""
    if features_RF.shape[1:] != (len(feature_names),):
        raise ValueError(f"features have shape {features_RF.shape}; expected (rows, {len(feature_names)})")
    if not np.isfinite(features_RF).all():
        is_finite_F = np.isfinite(features_RF).all(axis=0)
        raise ValueError(f"feature {feature_names[int(np.argmin(is_finite_F))]} is not finite in some row")
    return np.ascontiguousarray(features_RF, np.float32)


def listwise_softmax(scores_R: Tensor, mass_GC: Tensor, log_weight_GC: Tensor, is_row_GC: Tensor) -> Tensor:
    """Softmax cross-entropy over each group's candidates, the mean over groups (ListNet; Cao et al., ICML 2007).

    L = -1/G Σ_g 1/|pos_g| Σ_{i in pos_g} m_i [ s_i + log w_i - log Σ_{j in g} w_j exp(s_j) ]

    A row of mass m counts as m positives, and one of weight w as w candidates. Where all rows are 1 it is plain
    ListNet; where they are not, it is least where exp(s_i) goes as m_i / w_i, wanted over offered.
    """
    scores_GC = torch.full(is_row_GC.shape, -torch.inf).masked_scatter(is_row_GC, scores_R)
    is_positive_GC = mass_GC > 0
    log_shares_GC = torch.log_softmax(scores_GC + log_weight_GC, dim=1).masked_fill(~is_positive_GC, 0.0)
    return -((log_shares_GC * mass_GC).sum(dim=1) / is_positive_GC.sum(dim=1)).mean()


def _evidence(
    masses_R: npt.NDArray[Any], weights_R: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Masses and weights as the loss takes them."""
    masses_R, weights_R = np.asarray(masses_R, np.float32), np.asarray(weights_R, np.float32)
    if masses_R.shape != weights_R.shape:
        raise ValueError(f"{len(weights_R)} weights for {len(masses_R)} rows")
    if not (np.isfinite(masses_R) & (masses_R >= 0) & np.isfinite(weights_R) & (weights_R > 0)).all():
        raise ValueError("masses have to be finite and not negative, weights finite and above zero")
    return masses_R, weights_R


def _groups(
    num_rows: int, offsets_G: npt.NDArray[np.integer[Any]], masses_R: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """(first row, row after the last) of each group that can teach something: with a positive among others."""
    offsets = np.asarray(offsets_G, np.int64)
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != num_rows or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets have to rise from 0 to the number of rows, {num_rows}")
    if len(masses_R) != num_rows:
        raise ValueError(f"{len(masses_R)} masses for {num_rows} rows")
    before = np.concatenate([[0], np.cumsum(np.asarray(masses_R) > 0)])
    num_positive_G = before[offsets[1:]] - before[offsets[:-1]]
    is_useful_G = (num_positive_G > 0) & (num_positive_G < np.diff(offsets))
    if not is_useful_G.any():
        raise ValueError("no group has both a positive and another candidate; there is no order to learn")
    return np.stack([offsets[:-1][is_useful_G], offsets[1:][is_useful_G]], axis=1)


def _padded(groups: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Row numbers of each group side by side, and which of them are real."""
    sizes_G = groups[:, 1] - groups[:, 0]
    places_C = np.arange(sizes_G.max())
    is_row_GC = places_C < sizes_G[:, None]
    rows_GC = np.where(is_row_GC, groups[:, :1] + places_C, 0)
    return torch.from_numpy(rows_GC), torch.from_numpy(is_row_GC)
