"""The fits of one retraining: networks and rankers, all with the same settings."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from contracts.errors import GateRefused
from jobs.io.checkpoints import Checkpoints
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import Candidates, Proposer
from jobs.ranking.world import IntArray, World, each_index_of, index_of
from jobs.training.described import Described
from jobs.training.impressions import Impressions, evidence_of
from jobs.training.lessons import Lessons
from jobs.training.network_training import NetworkTraining, Watch
from jobs.training.networks import Network, transformer
from jobs.training.overfitting import Gap, measure_gap
from jobs.training.processes import run_together
from jobs.training.sequences import Sequences, targets_of
from models.events import events_of, items_of
from models.gru4rec import GRU4Rec
from models.mlp_ranker import MLPRanker
from models.sasrec import SASRec
from models.training import Validation

log = logging.getLogger("foretaste.train")

#: Users that the ranker learns from: more make it slower and not better.
_RANKER_USERS = 4000


@dataclass(frozen=True)
class Fitted:
    """A transformer and the vocabulary that its indices mean."""

    item_ids: npt.NDArray[np.object_]
    sasrec: SASRec


@dataclass(frozen=True)
class Curve:
    """How a training went: loss and validation NDCG@10 by epoch; how much is known by heart at the best one."""

    losses: list[float]
    ndcg: list[float]
    best_epoch: int
    gap: Gap | None = None  # None without validation


@dataclass(frozen=True)
class Trainer:
    """The settings of one retraining; every fit uses the same ones."""

    chosen: dict[str, Any]
    repeats_allowed: bool
    checkpoints: Checkpoints | None = None  # where a training that was killed goes on from

    def fit_transformer(
        self,
        world: World,
        sequences: Sequences,
        *,
        num_epochs: int | None = None,
        validate_on: dict[str, npt.NDArray[np.object_]] | None = None,
        watch: Watch | None = None,
    ) -> tuple[Fitted, Curve]:
        """The transformer of the settings, as :meth:`fit_network` fits it."""
        item_ids, sasrec, curve = self.fit_network(
            transformer(self.chosen),
            world,
            sequences,
            num_epochs=num_epochs,
            validate_on=validate_on,
            watch=watch,
        )
        assert isinstance(sasrec, SASRec)
        return Fitted(item_ids, sasrec), curve

    def fit_network(
        self,
        network: Network,
        world: World,
        sequences: Sequences,
        *,
        num_epochs: int | None = None,
        validate_on: dict[str, npt.NDArray[np.object_]] | None = None,
        watch: Watch | None = None,
    ) -> tuple[npt.NDArray[np.object_], SASRec | GRU4Rec, Curve]:
        """Fit a network on everything up to the world's cut-off, over the items that occur there: these, itself, its curve.

        Where it learns the items' words, it knows in the end all items of the catalogue that have some.

        Args:
            watch: called after each epoch; a training that is watched is run by this process alone.
        """
        taken = self.sampled(sequences.between(None, world.cutoff))
        vocabulary = np.array(sorted({item for items in taken.values() for item in items}), dtype=object)
        histories = dict(zip(taken, each_index_of(list(taken.values()), vocabulary), strict=True))
        if network.reads_events:
            histories = _told(histories, sequences, world.cutoff)
        described = Described.of(world, vocabulary) if self.chosen["sasrec_item_words"] else None
        validation = self._validation(histories, validate_on, vocabulary) if validate_on else None
        training = NetworkTraining(
            network.name,
            world.cutoff,
            network.kind,
            network.config(num_items=len(vocabulary)),
            described.words_VT if described else None,
            list(histories.values()),
            self.weights_by_age(list(taken), sequences, world.cutoff),
            validation,
            network.trained_over(len(vocabulary), self.chosen, num_epochs),
            self.checkpoints,
        )
        processes = self.chosen["train_processes"]
        if processes > 1 and watch is None:
            model, epochs = run_together(training, processes)
        else:
            model, epochs = training.run(watch)
        best = max((epoch.number for epoch in epochs if epoch.is_best), default=1)
        gap = None
        if validation is not None:
            popularity_N = np.append(world.popularity_N, 0)[index_of(vocabulary, world.item_ids)]
            gap = measure_gap(
                model,
                popularity_N,
                validation.histories,
                cast(list[set[int]], validation.targets),
                repeats_allowed=self.repeats_allowed,
            )
        curve = Curve(
            [epoch.loss for epoch in epochs], [epoch.ndcg_at_10 or 0.0 for epoch in epochs], best, gap
        )
        if described is None:
            return vocabulary, model, curve
        known_ids = np.concatenate([vocabulary, described.further_ids])
        order = np.argsort(known_ids)
        return known_ids[order], model.with_items(described.further_MT).in_order(order), curve

    def fit_ranker(
        self,
        fitted: Fitted,
        world: World,
        outcomes: dict[str, npt.NDArray[np.object_]],
        impressions: Impressions,
    ) -> tuple[MLPRanker, Preparation]:
        """Fit the ranker on the candidates of users whose next items are known, and on what these were shown meanwhile.

        How their features are prepared is learnt from the same candidates.

        What was shown is a candidate as well. Whether it was taken or left, and at what place, makes its mass and its
        weight (:func:`jobs.training.impressions.evidence_of`); without impressions everything counts as one.
        """
        lessons = self.lessons(fitted, world, outcomes, impressions)
        preparation, prepared_RP = lessons.prepare(self.chosen["seed"])
        ranker, losses = lessons.fit(preparation, prepared_RP, self.chosen["seed"])
        log.info(
            "ranker_fitted until=%s users=%d candidates=%d impressions=%d loss=%.4f",
            world.cutoff, len(lessons.offsets) - 1, len(lessons.items_R), len(impressions), losses[-1],
        )  # fmt: skip
        return ranker, preparation

    def lessons(
        self,
        fitted: Fitted,
        world: World,
        outcomes: dict[str, npt.NDArray[np.object_]],
        impressions: Impressions,
    ) -> Lessons:
        """The candidates that the ranker learns from, and what came of them.

        Raises:
            GateRefused: nobody wanted one of them.
        """
        evidence = evidence_of(impressions, world, self.repeats_allowed)
        users, targets = self.sample(*targets_of(world, outcomes, self.repeats_allowed), _RANKER_USERS)
        wanted = dict(zip(users.tolist(), targets, strict=True))
        shown = [evidence.of(user) for user in users.tolist()]
        lessons = Lessons.of(world, self.propose(fitted, world, users, shown), wanted, evidence)
        if not lessons.mass_R.any():
            raise GateRefused(
                f"of {len(users)} users after {world.cutoff} nobody wanted one of the candidates: retrain as of a later "
                "day, with more FORETASTE_JUDGE_DAYS or FORETASTE_NUM_CANDIDATES. The champion stays"
            )
        return lessons

    def weights_by_age(
        self, users: Sequence[str], sequences: Sequences, until: date
    ) -> list[npt.NDArray[np.float64]] | None:
        """Of each item of each user's a weight that halves every ``train_half_life_days``; None where all are alike."""
        half_life = self.chosen["train_half_life_days"]
        if not half_life:
            return None
        days, end = sequences.days_until(until), np.datetime64(until)
        ages = [(end - days[user]).astype("timedelta64[D]").astype(np.float64) for user in users]
        return [0.5 ** (age / half_life) for age in ages]

    def refuse_unless_wanted(
        self, world: World, outcomes: dict[str, npt.NDArray[np.object_]], *, until: date
    ) -> None:
        """Refuse days on which nobody whom the world knows wanted anything that could have been recommended.

        Raises:
            GateRefused: there is nothing for a ranker to learn from.
        """
        if not len(targets_of(world, outcomes, self.repeats_allowed)[0]):
            raise GateRefused(
                f"after {world.cutoff} and up to {until} nobody with a history wanted anything that could have been "
                "recommended: retrain as of a later day, or with more FORETASTE_JUDGE_DAYS. The champion stays"
            )

    def sampled(self, taken: dict[str, npt.NDArray[np.object_]]) -> dict[str, npt.NDArray[np.object_]]:
        """At most ``sasrec_max_users`` of the users, by the seed: training takes as long as they are many."""
        users = sorted(taken)
        kept = self._drawn(len(users), self.chosen["sasrec_max_users"])
        return {users[index]: taken[users[index]] for index in kept}

    def sample(self, users: IntArray, targets: list[IntArray], most: int) -> tuple[IntArray, list[IntArray]]:
        """At most so many of the users, by the seed, in order."""
        kept = self._drawn(len(users), most)
        return users[kept], [targets[index] for index in kept]

    def _drawn(self, count: int, most: int) -> IntArray:
        """The places of all of so many, or of a sample of them, in order."""
        if count <= most:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.chosen["seed"]).choice(count, most, replace=False))

    def propose(
        self, fitted: Fitted, world: World, users: IntArray, also: Sequence[IntArray] | None = None
    ) -> Iterator[Candidates]:
        proposer = Proposer(
            fitted.sasrec,
            fitted.item_ids,
            world,
            num_candidates=self.chosen["num_candidates"],
            length=self.chosen["list_length"],
            repeats_allowed=self.repeats_allowed,
        )
        return proposer.propose(users, also)

    def _validation(
        self,
        histories: dict[str, IntArray],
        outcomes: dict[str, npt.NDArray[np.object_]],
        vocabulary: npt.NDArray[np.object_],
    ) -> Validation | None:
        users, targets = [], []
        known = sorted(set(histories) & set(outcomes))
        wanted = each_index_of([outcomes[user] for user in known], vocabulary)
        for user, items in zip(known, wanted, strict=True):
            items = items[items >= 0]
            if not self.repeats_allowed:
                items = np.setdiff1d(items, items_of(histories[user]))
            if len(items):
                users.append(histories[user])
                targets.append(set(items.tolist()))
        return Validation(users, targets, is_seen_excluded=not self.repeats_allowed) if users else None


def _told(histories: dict[str, IntArray], sequences: Sequences, until: date) -> dict[str, IntArray]:
    """The same histories, of events: how far each went, and on which day."""
    depths, days = sequences.depths_until(until), sequences.days_until(until)
    return {
        user: events_of(items, depths[user], days[user].astype("datetime64[D]").astype(np.int64))
        for user, items in histories.items()
    }
