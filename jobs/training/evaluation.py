"""How good a challenger's lists are, beside the champion's and those of the baselines, for the same users.

The days that judge are days on which people saw the champion's lists, and took things because they saw them. Counted,
these would be hits that only the champion can have. So what a user took after it had been shown is neither wanted nor a
place of anybody's list: it is left out of both, and lists move up (condensed lists; Sakai, SIGIR 2007).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from jobs.judging.evidence import CHALLENGER, CHAMPION, POPULARITY, Evaluation
from jobs.ranking.next_item import RankedLists
from jobs.ranking.proposer import allowed_items
from jobs.ranking.world import IntArray, World, each_index_of
from jobs.training.impressions import Impressions
from jobs.training.recommenders import load_recommenders
from jobs.training.sequences import Sequences, targets_of
from jobs.training.slices import slices_of, tail_of
from jobs.training.trainer import Trainer
from models.als import ALS
from models.ease import EASE
from models.metrics import accuracy, coverage, diversity, exposure, gini, novelty, popularity_lift
from models.recommender import history_matrix
from models.topk import top_k

K = 10
#: Metrics are told of so many first places, as far as lists are that long.
KS = (5, K, 20, 100)
#: Users that a challenger is judged by: more make the interval no narrower than anybody needs.
_JUDGED_USERS = 20_000
_BLOCK = 1024  # users whose scores are in memory at once
#: Speed is measured on so many users, in turns, and the best of some tries counts: others use the machine as well.
_TIMED_USERS = 1024
_TRIES = 3

#: By attribute: each user's group, -1 without one, and the groups' names.
Groups = Mapping[str, tuple[IntArray, list[str]]]


class Ranks(Protocol):
    """Whatever gives each user a list."""

    def rank(
        self, world: World, users: IntArray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        """The ``length`` best items for each of the users, who are indices into the world's."""


def evaluate(
    challenger: Ranks,
    champion: Ranks | None,
    world: World,
    sequences: Sequences,
    outcomes: dict[str, npt.NDArray[np.object_]],
    shown: Impressions,
    trainer: Trainer,
    *,
    registered: Ranks | None = None,
    groups_of: Callable[[npt.NDArray[np.object_]], Groups] = lambda user_ids: {},
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """How good everybody's lists are on the same users, as long as they are served.

    Args:
        outcomes: what each user acted upon on the days that judge.
        shown: what was shown on these days, and what came of it.
        registered: what is registered if the challenger, its twin, is found worthy; it has seen the days that judge.
        groups_of: the groups of users, given their ids.
    """
    prompted = Prompted.of(shown, world)
    users, targets = prompted.without(*targets_of(world, outcomes, trainer.repeats_allowed))
    users, targets = trainer.sample(users, targets, _JUDGED_USERS)
    length = max(K, trainer.chosen["list_length"]) + prompted.most(users)
    judged = _Judged(world, users, trainer, length)
    models = {CHALLENGER: challenger} | ({CHAMPION: champion} if champion else {})
    lists = {CHAMPION: judged.lists_of(champion)} if champion else {}
    lists[CHALLENGER], broken = judged.tried(challenger)
    lists |= _baseline_lists(world, sequences, users, trainer, length)
    of_registered: dict[str, IntArray] = {}
    if registered is not None:
        of_registered["registered"], of_itself = judged.tried(registered)
        broken = broken or of_itself
    most = max(k for k in KS if k <= max(K, trainer.chosen["list_length"]))
    lists, of_registered = (
        {name: prompted.condensed(users, items_UX)[:, :most] for name, items_UX in found.items()}
        for found in (lists, of_registered)
    )
    if not len(users):
        return Evaluation(ndcg={name: np.empty(0) for name in lists}, broken=broken)
    wanted = [set(items.tolist()) for items in targets]
    of_users = {
        name: accuracy(items_UK, wanted, [k for k in KS if k <= most]) for name, items_UK in lists.items()
    }
    ndcg = {name: found[f"ndcg_at_{K}"] for name, found in of_users.items()}
    groups, is_tail_N = groups_of(world.user_ids[users]), tail_of(world)
    return Evaluation(
        ndcg=ndcg,
        metrics={
            name: {metric: float(values_U.mean()) for metric, values_U in found.items()}
            | _beyond_accuracy(lists[name], world, users, [k for k in KS if k <= most])
            for name, found in of_users.items()
        },
        slices=slices_of(world, users, targets, lists, ndcg, groups, K),
        tail_share={name: _share_of(lists[name][:, :K], is_tail_N) for name in models},
        groups={attribute: groups_U for attribute, (groups_U, _) in groups.items()},
        popular_share=_shared(
            lists[CHALLENGER],
            lists[POPULARITY],
            np.minimum(K, prompted.num_choices(world, users, trainer.repeats_allowed) // 2),
        ),
        taken_lift=popularity_lift(
            _side_by_side(targets), [world.histories[user] for user in users], world.popularity_N
        ),
        twin=_mean_ndcg(of_registered.get("registered"), wanted),
        users_per_second={} if broken else judged.speeds(models, clock),
        broken=broken,
    )


@dataclass(frozen=True)
class _Judged:
    """The users that every model gives lists to."""

    world: World
    users: IntArray
    trainer: Trainer
    length: int

    def lists_of(self, model: Ranks, users: IntArray | None = None) -> IntArray:
        ranked = model.rank(
            self.world,
            self.users if users is None else users,
            length=self.length,
            num_candidates=self.trainer.chosen["num_candidates"],
            repeats_allowed=self.trainer.repeats_allowed,
        )
        if not np.isfinite(ranked.scores_UK[ranked.items_UK >= 0]).all():
            raise ValueError("a score is not a number")
        return ranked.items_UK

    def tried(self, model: Ranks) -> tuple[IntArray, str]:
        """The lists, and why there are none where scores cannot be put in order."""
        try:
            return self.lists_of(model), ""
        except ValueError as error:
            nothing = np.full((len(self.users), self.length), -1, np.int64)
            return nothing, f"scores cannot be put in order: {error}"

    def speeds(self, models: Mapping[str, Ranks], clock: Callable[[], float]) -> dict[str, float]:
        """Users a second that each model ranks, all of them in turns."""
        timed = self.users[:_TIMED_USERS]
        least = dict.fromkeys(models, np.inf)
        for _ in range(_TRIES):
            for name, model in models.items():
                begun = clock()
                self.lists_of(model, timed)
                least[name] = min(least[name], clock() - begun)
        return {name: len(timed) / max(seconds, 1e-9) for name, seconds in least.items()}


def _beyond_accuracy(
    lists_UX: IntArray, world: World, users: IntArray, ks: Sequence[int]
) -> dict[str, float]:
    """What lists are like, whether they are right or not."""
    histories = [world.histories[user] for user in users.tolist()]
    found: dict[str, float] = {}
    for k in ks:
        lists_UK = lists_UX[:, :k]
        found[f"coverage_at_{k}"] = coverage(lists_UK, world.num_items)
        found[f"gini_at_{k}"] = gini(exposure(lists_UK, world.num_items)[world.is_available_N])
        found[f"novelty_at_{k}"] = float(novelty(lists_UK, world.popularity_N).mean())
        found[f"popularity_lift_at_{k}"] = popularity_lift(lists_UK, histories, world.popularity_N)
        diversity_U = diversity(lists_UK, world.category_N)
        if not np.isnan(diversity_U).all():  # a catalogue without categories has none
            found[f"diversity_at_{k}"] = float(np.nanmean(diversity_U))
    return found


def _side_by_side(targets: Sequence[IntArray]) -> IntArray:
    """What each user wanted, as a list that -1 fills up."""
    lengths_U = np.array([len(items) for items in targets])
    wanted_UX = np.full((len(targets), int(lengths_U.max(initial=1))), -1, np.int64)
    wanted_UX[np.arange(wanted_UX.shape[1]) < lengths_U[:, None]] = np.concatenate(targets)
    return wanted_UX


def _share_of(lists_UK: IntArray, is_in_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Of each list the share of its places that hold one of some items."""
    is_item_UK = lists_UK >= 0
    is_in_UK = is_in_N[np.maximum(lists_UK, 0)] & is_item_UK
    return np.asarray(is_in_UK.sum(axis=1) / np.maximum(is_item_UK.sum(axis=1), 1))


def _shared(ours_UX: IntArray, theirs_UX: IntArray, first_U: IntArray) -> float | None:
    """The share of each user's so many first places whose item is among as many of the other list; None without a place."""
    is_first_UK = np.arange(K) < first_U[:, None]
    ours_UK, theirs_UK = (
        np.where(is_first_UK, lists_UX[:, :K], nothing)
        for lists_UX, nothing in ((ours_UX, -1), (theirs_UX, -2))
    )
    is_shared_UK = (ours_UK[:, :, None] == theirs_UK[:, None, :]).any(axis=2) & (ours_UK >= 0)
    num_places = int((ours_UK >= 0).sum())
    return float(is_shared_UK.sum() / num_places) if num_places else None


def _mean_ndcg(lists_UK: IntArray | None, wanted: Sequence[set[int]]) -> float | None:
    return None if lists_UK is None else float(accuracy(lists_UK, wanted, [K])[f"ndcg_at_{K}"].mean())


@dataclass(frozen=True)
class Prompted:
    """What users took after it had been shown to them, as user · num_items + item, sorted."""

    num_items: int
    pairs: IntArray

    @classmethod
    def of(cls, shown: Impressions, world: World) -> Self:
        users, items = shown.prompted(world)
        return cls(world.num_items, np.unique(users * world.num_items + items))

    def most(self, users: IntArray) -> int:
        """The most that any of the users took."""
        of_users = self.pairs[np.isin(self.pairs // self.num_items, users)] // self.num_items
        return int(np.bincount(of_users).max(initial=0))

    def num_choices(self, world: World, users: IntArray, repeats_allowed: bool) -> IntArray:
        """How many items each of the users' lists are chosen from."""
        num_available, found = int(world.is_available_N.sum()), []
        for user in users.tolist():
            begin, end = np.searchsorted(self.pairs, [user * self.num_items, (user + 1) * self.num_items])
            out = self.pairs[begin:end] % self.num_items
            out = out if repeats_allowed else np.union1d(out, world.seen[user])
            found.append(num_available - int(world.is_available_N[out].sum()))
        return np.array(found, np.int64)

    def without(self, users: IntArray, targets: list[IntArray]) -> tuple[IntArray, list[IntArray]]:
        """The users and what each of them wanted by itself; who wanted nothing else is left out."""
        left = [
            items[~np.isin(user * self.num_items + items, self.pairs)]
            for user, items in zip(users.tolist(), targets, strict=True)
        ]
        kept = [place for place, items in enumerate(left) if len(items)]
        return users[kept], [left[place] for place in kept]

    def condensed(self, users: IntArray, items_UX: IntArray) -> IntArray:
        """Lists of the users without what each took after it had been shown, moved up; -1 where a list ends."""
        is_out_UX = np.isin(users[:, None] * self.num_items + items_UX, self.pairs) & (items_UX >= 0)
        order_UX = np.argsort(is_out_UX, axis=1, kind="stable")
        return np.take_along_axis(np.where(is_out_UX, -1, items_UX), order_UX, axis=1)


def _baseline_lists(
    world: World, sequences: Sequences, users: IntArray, trainer: Trainer, length: int
) -> dict[str, IntArray]:
    """Recent popularity, ALS and, of a catalogue that it is affordable for, EASE, fitted up to the world's cut-off and held to the same rules."""
    taken = sequences.between(None, world.cutoff)
    rows = each_index_of(list(taken.values()), world.item_ids)
    evidence_UN = history_matrix([items[items >= 0] for items in rows], world.num_items)
    models: dict[str, EASE | ALS] = {"als": ALS().fit(evidence_UN)}
    if world.num_items <= load_recommenders().ease.most_items:  # its memory grows with their square
        models["ease"] = EASE().fit(evidence_UN)
    lists: dict[str, list[IntArray]] = {name: [] for name in ("popularity", *models)}
    for start in range(0, len(users), _BLOCK):  # a matrix of everybody's scores would not fit
        block = users[start : start + _BLOCK]
        allowed_BN = allowed_items(world, block, trainer.repeats_allowed)
        histories = [world.histories[user] for user in block]
        scores = {"popularity": np.tile(world.popularity_N, (len(block), 1))}
        scores |= {name: model.score(histories) for name, model in models.items()}
        for name, scores_BN in scores.items():
            lists[name].append(top_k(np.where(allowed_BN, scores_BN, -np.inf), length)[0])
    return {name: np.concatenate([*parts, np.empty((0, length), np.int64)]) for name, parts in lists.items()}
