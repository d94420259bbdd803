"""How the features of users and items are prepared for the ranker: fitted with it, on the same days, and stored with it.

N items of the catalogue · U users · R rows (user and candidate) · P columns as the ranker gets them · T means
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, FloatArray, IntArray, World
from models.preparation import Numbers, OneHot, TargetMeans

_ITEM, _USER = "item.", "user."
#: Which words of an item become columns of their own; brands are too many.
_ONE_HOT = ("category",)
#: Candidates that scale and flags are learnt from at most.
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class Preparation:
    """What was learnt of the features of users and items, which it knows by their names."""

    items: Numbers
    users: Numbers
    one_hots: tuple[OneHot, ...]
    means: tuple[TargetMeans, ...]

    @classmethod
    def fit(
        cls, world: World, users_R: IntArray, items_R: IntArray, is_wanted_R: npt.NDArray[np.bool_], seed: int
    ) -> tuple[Self, FloatArray]:
        """Learn from candidates, of which each counts once; returns their prepared columns as well.

        In these the means are of what others than the candidate's own user wanted.
        """
        some = slice(None, None, 1 + len(items_R) // _MOST_ROWS)  # a scale asks for no more, and takes memory
        items, users = items_R[some], users_R[some]
        fits = [
            TargetMeans.fit(words_N, name, items_R, is_wanted_R, users_R, seed)
            for name, words_N in world.item_words.items()
        ]
        told = [fit for fit in fits if fit is not None]
        one_hots = (OneHot.fit(world.item_words[name][items], name) for name in _ONE_HOT)
        preparation = cls(
            items=Numbers.fit(world.item_features_NF[items], ITEM_FEATURES),
            users=Numbers.fit(world.user_features_UF[users], USER_FEATURES),
            one_hots=tuple(one_hot for one_hot in one_hots if one_hot.columns),
            means=tuple(means for means, _ in told),
        )
        of_item_RP = preparation.of_items(world)[items_R]
        for place, (_, means_R) in enumerate(told, start=of_item_RP.shape[1] - len(told)):
            of_item_RP[:, place] = means_R
        return preparation, np.concatenate([of_item_RP, preparation.of_users(world)[users_R]], axis=1)

    @classmethod
    def as_they_are(cls, columns: Sequence[str]) -> Self:
        """For a ranker of these columns that scales by itself what it reads, as rankers did before there was a preparation."""
        items, users = (
            Numbers.as_they_are([name.removeprefix(side) for name in columns if name.startswith(side)])
            for side in (_ITEM, _USER)
        )
        return cls(items, users, (), ())

    @property
    def item_columns(self) -> tuple[str, ...]:
        words = [column for one_hot in self.one_hots for column in one_hot.columns]
        words += [means.column for means in self.means]
        return tuple(f"{_ITEM}{column}" for column in (*self.items.columns, *words))

    @property
    def user_columns(self) -> tuple[str, ...]:
        return tuple(f"{_USER}{column}" for column in self.users.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a candidate: its item's and its user's."""
        return self.item_columns + self.user_columns

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that have to be there."""
        words = [*(one_hot.feature for one_hot in self.one_hots), *(means.feature for means in self.means)]
        items = [f"{_ITEM}{name}" for name in dict.fromkeys((*self.items.reads, *words))]
        return (*items, *(f"{_USER}{name}" for name in self.users.reads))

    def of_items(self, world: World) -> FloatArray:
        """``item_columns`` of every item of the catalogue."""
        words = [one_hot.prepare(world.item_words[one_hot.feature]) for one_hot in self.one_hots]
        words += [means.prepare(world.item_words[means.feature])[:, None] for means in self.means]
        return np.concatenate([self.items.prepare(world.item_features_NF, ITEM_FEATURES), *words], axis=1)

    def of_users(self, world: World) -> FloatArray:
        """``user_columns`` of every user."""
        return self.users.prepare(world.user_features_UF, USER_FEATURES)

    def state(self) -> dict[str, Any]:
        """What was learnt, for JSON: its numbers come back as they are."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`.

        Raises:
            ValueError, TypeError, KeyError: it is none; the message names what is wrong.
        """
        return cls(
            items=Numbers.from_state(state["items"]),
            users=Numbers.from_state(state["users"]),
            one_hots=tuple(OneHot.from_state(each) for each in state["one_hots"]),
            means=tuple(TargetMeans.from_state(each) for each in state["means"]),
        )
