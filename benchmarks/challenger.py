"""What the loop would make the challenger: its own contest, held on validation, and its winner asked the test.

``jobs/training/contest.py`` chooses among what competes in ``expectations/recommenders.toml``, as far as that goes by nothing
but who took what: the ranker learns from features and content from words, which these data lack. Half of the people of
validation teach a blend's weights, the other half compares; then all of them teach the winner's. Every question is a user
of its own to it, with one item that it wants.

N items
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks import simple
from benchmarks.answers import K, places_on
from benchmarks.data_sets import Events
from benchmarks.simple import NUM_RECENT, Options
from contracts.settings import Settings
from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.ranking.score_model import CONTENT
from jobs.ranking.world import ITEM_WORDS, Deeds, World
from jobs.training.choice import Fits
from jobs.training.contest import Contest, Outcomes
from jobs.training.impressions import Impressions
from jobs.training.recommenders import ALS, EASE, RANKER, SASREC, Recommenders, load_recommenders
from jobs.training.sequences import Sequences as Steps
from jobs.training.trainer import Trainer
from models.sasrec import SASRec
from models.splits import Questions, Sequences

_NO_DAY = date.min  # these questions have moments of their own
_NOTHING_SHOWN = Impressions(arrow_schema(TRAINING_IMPRESSIONS).empty_table())
_NO_STEPS = Steps(
    *(np.empty(0, kind) for kind in (object, np.int64, object, np.int32, "datetime64[D]")),
)


@dataclass(frozen=True)
class Moment:
    """What is known when questions are asked."""

    learns: Sequences
    recent: Sequences  # what popularity counts
    asked: Questions


def recommenders(options: Mapping[str, Options]) -> Recommenders:
    """The loop's own file, without what these data cannot tell and with the settings that validation chose for them.

    Args:
        options: those of the simple recommenders, by name.
    """
    given = load_recommenders().model_dump()
    given["compete"] = [name for name in given["compete"] if name not in (RANKER, CONTENT)]
    given["blend"]["of"] = [name for name in given["blend"]["of"] if name != CONTENT]
    given["ease"] |= options["EASE"]
    given["als"] |= options["ALS"]
    given["covisitation"] = {"num_recent": NUM_RECENT, "half_life": options["co-visitation"]["half_life"]}
    return Recommenders.model_validate(given)


@dataclass(frozen=True)
class Challenger:
    """The loop's contest of a seed."""

    events: Events
    chosen: Recommenders
    reach: int  # of co-visitation
    seed: int

    def judged(self, early: Moment, learnt: SASRec, late: Moment, learnt_again: SASRec) -> dict[str, Any]:
        """Choose at the early moment, whose questions are validation, and ask the late one's.

        Args:
            learnt: the transformer of the early moment.
            learnt_again: the one of the late moment.

        Returns:
            The places of the answers, who was chosen, weights, NDCG@10 on validation by name, seconds of this process.
        """
        started = time.process_time()
        contest, world = self._contest, self._world(early)
        fits = self._fits(early, learnt)
        choice = contest.compare(fits, world, *self._halves(early.asked), _NOTHING_SHOWN)
        lesson = contest.learn(choice.name, fits, world, self._outcomes(early.asked), _NOTHING_SHOWN)
        is_same = early.learns is late.learns and learnt is learnt_again
        model = contest.model(choice.name, fits if is_same else self._fits(late, learnt_again), lesson)
        ranked = model.rank(
            self._world(late),
            np.arange(len(late.asked)),
            length=K,
            num_candidates=contest.trainer.chosen["num_candidates"],
            repeats_allowed=self.events.repeats_allowed,
        )
        return {
            "places": places_on(ranked.items_UK, late.asked.targets_Q).tolist(),
            "chosen": choice.name,
            "weights": lesson.weights,
            "ndcg": choice.ndcg,
            "seconds": round(time.process_time() - started, 1),
        }

    @cached_property
    def _contest(self) -> Contest:
        most = Settings.model_fields["num_candidates"].default
        chosen = {"seed": self.seed, "list_length": K, "num_candidates": most}
        return Contest(Trainer(chosen, self.events.repeats_allowed), _NO_STEPS, self.chosen)

    @cached_property
    def _item_ids(self) -> npt.NDArray[np.object_]:
        return np.array([f"{item:08d}" for item in range(self.events.num_items)], dtype=object)

    def _fits(self, moment: Moment, transformer: SASRec) -> Fits:
        names = {SASREC: transformer}
        options = self.chosen.als.model_dump()
        names[ALS] = simple.fitted("ALS", options | {"seed": self.seed}, moment.learns, self.events.num_items)
        if self.events.num_items <= self.chosen.ease.most_items:
            ease = {"regularisation": self.chosen.ease.regularisation}
            names[EASE] = simple.fitted("EASE", ease, moment.learns, self.events.num_items)
        return Fits(self._item_ids, names, {})

    def _outcomes(self, asked: Questions, among: npt.NDArray[np.bool_] | None = None) -> Outcomes:
        """What was wanted, by question, of all of them or of some."""
        places = np.arange(len(asked)) if among is None else np.flatnonzero(among)
        return {_id(place): self._item_ids[asked.targets_Q[[place]]] for place in places.tolist()}

    def _halves(self, asked: Questions) -> tuple[Outcomes, Outcomes]:
        """Who teaches and who compares: of the people who ask, half each, with all that they ask."""
        people = np.random.default_rng(self.seed).permutation(np.unique(asked.users_Q))
        compares_Q = np.isin(asked.users_Q, people[: len(people) // 2])
        return self._outcomes(asked, ~compares_Q), self._outcomes(asked, compares_Q)

    def _world(self, moment: Moment) -> World:
        """The questions as users of a shop that knows nothing of its items but who took them."""
        num_items, num_users = self.events.num_items, len(moment.asked)
        histories = moment.asked.histories
        seen = histories if self.events.repeats_allowed else [np.unique(each) for each in histories]
        no_deeds = Deeds(np.zeros(num_users, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
        nowhere_N, nothing_N = np.full(num_items, -1), np.full(num_items, "", dtype=object)
        return World(
            cutoff=_NO_DAY,
            item_ids=self._item_ids,
            is_available_N=np.ones(num_items, bool),
            category_N=nowhere_N,
            brand_N=nowhere_N,
            titles_N=nothing_N,
            item_words=dict.fromkeys(ITEM_WORDS, nothing_N),
            item_features_NF=np.empty((num_items, 0), np.float32),
            popularity_N=simple.counts(moment.recent, num_items).astype(np.float32),
            neighbours_NN=simple.neighbours(moment.learns, num_items, self.reach),
            bought_with_NN=csr_matrix((num_items, num_items)),
            user_ids=np.array([_id(place) for place in range(num_users)], dtype=object),
            histories=histories,
            steps=no_deeds,
            seen=seen,
            deeds=no_deeds,
            user_features_UF=np.empty((num_users, 0), np.float32),
            affinity_UC=csr_matrix((num_users, 1)),
            brand_affinity_UB=csr_matrix((num_users, 1)),
        )


def _id(place: int) -> str:
    return f"{place:08d}"
