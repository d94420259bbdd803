"""Train a challenger as of a day: fit, judge on the last days, refit with the same settings, register.

With h = judge_days and g half of it (``jobs/features/cutoffs.py``), a retraining of day D
1. fits a transformer up to D - h - g and a ranker on what followed until D - h; the number of epochs is
   chosen there, by the same days' outcomes;
2. fits a transformer up to D - h and judges it with that ranker on D - h + 1 … D, against the champion
   given the same histories and against recent popularity, EASE and ALS;
3. does the same again h days later: a ranker on what followed D - g, over a transformer fitted up to there, and a
   transformer fitted up to D. That model is registered; what was judged is its twin.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from contracts import names
from contracts.errors import GateRefused
from jobs.features.cutoffs import cutoffs
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.model_files import load_model, save_model
from jobs.io.registry import model_folder, open_registry
from jobs.io.state import PROMOTIONS, RETRAININGS
from jobs.judge import as_record, judge
from jobs.ranking.next_item import FEATURES, Candidates, NextItemModel, Proposer, allowed_items
from jobs.ranking.world import IntArray, World, cut, each_index_of, load_world, steps_by_user
from jobs.runs import StepContext, manifest_of
from models.als import ALS
from models.ease import EASE
from models.metrics import coverage, hit_rate_at, ndcg_at, recall_at
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.recommender import history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.topk import top_k
from models.training import TrainConfig, Validation, fit

log = logging.getLogger("foretaste.train")

K = 10
#: Above this many items a full cross-entropy costs more than shared negatives.
_FULL_SOFTMAX_ITEMS = 5000
_NUM_NEGATIVES = 1024
#: Users that the ranker learns from: more make it slower and not better.
_RANKER_USERS = 4000
#: Users that a challenger is judged by: more make the interval no narrower than anybody needs.
_JUDGED_USERS = 20_000
_BLOCK = 1024  # users whose scores are in memory at once


@dataclass(frozen=True)
class Sequences:
    """The training set of a day: S steps of U users, each user's in order."""

    user_ids: npt.NDArray[np.object_]  # sorted
    users_S: IntArray  # index into user_ids, never falling
    items_S: npt.NDArray[np.object_]
    days_S: npt.NDArray[np.datetime64]

    def between(self, after: date | None, until: date) -> dict[str, npt.NDArray[np.object_]]:
        """Each user's items later than ``after`` and not later than ``until``; users without any are left out."""
        is_inside_S = self.days_S <= np.datetime64(until)
        if after is not None:
            is_inside_S &= self.days_S > np.datetime64(after)
        users, items = self.users_S[is_inside_S], self.items_S[is_inside_S]
        starts = np.flatnonzero(np.diff(users, prepend=-1))
        of_each = cut(items, np.append(starts[1:], len(items))) if len(starts) else []
        return dict(zip(self.user_ids[users[starts]], of_each, strict=True))


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Train, judge and register a challenger; promotes nothing."""
    settings, lake = context.settings, context.lake
    manifest = manifest_of(context.state, names.RETRAIN, day)
    chosen = manifest["settings"]
    torch.set_num_threads(chosen["threads"])
    repeats_allowed = bool(manifest["feed"]["repeats_allowed"])
    sequences = read_sequences(lake, day)
    ends = cutoffs(day, chosen["judge_days"])
    for table in names.BY_FEATURE_DAY:
        lake.files(table, ends)  # hours of training end at no missing partition
    early, late = load_world(lake, ends.end_of_fit, day), load_world(lake, ends.end_of_rank, day)
    recent = late if ends.end_of_refit == ends.end_of_rank else load_world(lake, ends.end_of_refit, day)
    trainer = Trainer(chosen, repeats_allowed)

    rank_outcomes = sequences.between(early.cutoff, late.cutoff)
    champion = _champion_model(context, manifest["champion"])
    # Days that the champion was trained on judge nobody.
    unseen_after = max(late.cutoff, champion[1]) if champion else late.cutoff
    refit_outcomes = sequences.between(recent.cutoff, day)
    trainer.refuse_unless_wanted(early, rank_outcomes, until=late.cutoff)
    trainer.refuse_unless_wanted(recent, refit_outcomes, until=day)
    fitted, curve = trainer.fit_transformer(early, sequences, validate_on=rank_outcomes)
    ranker = trainer.fit_ranker(fitted, early, rank_outcomes)
    twin, _ = trainer.fit_transformer(late, sequences, num_epochs=curve.best_epoch)

    ndcg, metrics, num_users = _evaluate(
        NextItemModel(twin.item_ids, twin.sasrec, ranker),
        champion[0] if champion else None,
        late,
        sequences,
        sequences.between(unseen_after, day),
        trainer,
    )
    rng = np.random.default_rng(chosen["seed"])
    verdict = judge(ndcg, margin=settings.promote_margin, min_users=settings.promote_min_users, rng=rng)

    if recent is not late:
        twin, _ = trainer.fit_transformer(recent, sequences, num_epochs=curve.best_epoch)
    ranker = trainer.fit_ranker(twin, recent, refit_outcomes)
    final, _ = trainer.fit_transformer(load_world(lake, day, day), sequences, num_epochs=curve.best_epoch)
    model = NextItemModel(final.item_ids, final.sasrec, ranker)
    facts = {
        "day": day.isoformat(),
        "data": _data_digest(context, day),
        "settings": chosen,
        "repeats_allowed": repeats_allowed,
    }
    folder, digest = save_model(model, facts, settings.home / "models")
    flat = {
        f"judge.{name}.{metric}": value
        for name, values in metrics.items()
        for metric, value in values.items()
    }
    with open_registry(settings) as registry:
        version, page = registry.log_challenger(
            folder,
            digest,
            day=day.isoformat(),
            params={"day": day, "data": facts["data"], "best_epoch": curve.best_epoch, **chosen},
            metrics={**flat, "judge.num_users": num_users},
            curves={"fit.loss": curve.losses, "validation.ndcg_at_10": curve.ndcg},
        )
        registry.log_verdict(version, as_record(verdict))
    record = dict(context.state.get(RETRAININGS, day.isoformat()) or {})
    record |= {
        "day": day.isoformat(),
        "judged_from": (unseen_after + timedelta(days=1)).isoformat(),
        "champion": manifest["champion"],
        "challenger": version,
        "sha256": digest,
        "mlflow_url": page,
        "num_users": num_users,
        "metrics": metrics,
        "verdict": as_record(verdict),
    }
    context.state.put(RETRAININGS, day.isoformat(), record)
    return {
        "version": version,
        "is_promotable": verdict.is_promoted,
        "reasons": list(verdict.reasons),
        "users": num_users,
        "mlflow_url": page,
    }


def read_sequences(lake: Lake, day: date) -> Sequences:
    """The training set that Spark has built for a day."""
    import pyarrow.compute as pc

    users, lists, days = steps_by_user(lake, day)
    lengths_U = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    items_S = lists.flatten().to_numpy(zero_copy_only=False)
    return Sequences(users, np.repeat(np.arange(len(users)), lengths_U), items_S, days)


@dataclass(frozen=True)
class Fitted:
    """A transformer and the vocabulary that its indices mean."""

    item_ids: npt.NDArray[np.object_]
    sasrec: SASRec


@dataclass(frozen=True)
class Curve:
    """How a training went: loss and validation NDCG@10 by epoch."""

    losses: list[float]
    ndcg: list[float]
    best_epoch: int


@dataclass(frozen=True)
class Trainer:
    """The settings of one retraining; every fit uses the same ones."""

    chosen: dict[str, Any]
    repeats_allowed: bool

    def fit_transformer(
        self,
        world: World,
        sequences: Sequences,
        *,
        num_epochs: int | None = None,
        validate_on: dict[str, npt.NDArray[np.object_]] | None = None,
    ) -> tuple[Fitted, Curve]:
        """Fit a transformer on everything up to the world's cut-off, over the items that occur there."""
        taken = self.sampled(sequences.between(None, world.cutoff))
        vocabulary = np.array(sorted({item for items in taken.values() for item in items}), dtype=object)
        histories = dict(zip(taken, each_index_of(list(taken.values()), vocabulary), strict=True))
        config = SASRecConfig(
            num_items=len(vocabulary),
            width=self.chosen["sasrec_width"],
            blocks=self.chosen["sasrec_blocks"],
            heads=self.chosen["sasrec_heads"],
            dropout=self.chosen["sasrec_dropout"],
            max_length=self.chosen["history_length"],
        )
        model = SASRec(config, seed=self.chosen["seed"])
        training = TrainConfig(
            epochs=num_epochs or self.chosen["sasrec_epochs"],
            learning_rate=self.chosen["sasrec_learning_rate"],
            horizon=self.chosen["sasrec_horizon"],
            seed=self.chosen["seed"],
            num_negatives=None if len(vocabulary) <= _FULL_SOFTMAX_ITEMS else _NUM_NEGATIVES,
            threads=self.chosen["threads"],
        )
        validation = self._validation(histories, validate_on, vocabulary) if validate_on else None
        losses, ndcg, best = [], [], 0
        begun = time.perf_counter()
        for epoch in fit(model, list(histories.values()), training, validation):
            losses.append(epoch.loss)
            ndcg.append(epoch.ndcg_at_10 or 0.0)
            best = epoch.number if epoch.is_best else best
            rate = epoch.num_positions * epoch.number / (time.perf_counter() - begun)
            told = "" if epoch.ndcg_at_10 is None else f" ndcg_at_10={epoch.ndcg_at_10:.4f}"
            log.info(
                "epoch_ended until=%s number=%d/%d loss=%.4f%s positions_per_second=%.0f",
                world.cutoff, epoch.number, training.epochs, epoch.loss, told, rate,
            )  # fmt: skip
        return Fitted(vocabulary, model), Curve(losses, ndcg, max(best, 1))

    def fit_ranker(
        self, fitted: Fitted, world: World, outcomes: dict[str, npt.NDArray[np.object_]]
    ) -> MLPRanker:
        """Fit the ranker on the candidates of users whose next items are known."""
        users, targets = self.sample(*_targets(world, outcomes, self.repeats_allowed), _RANKER_USERS)
        wanted = dict(zip(users.tolist(), targets, strict=True))
        features, labels, sizes = [], [], []
        for candidates in self.propose(fitted, world, users):
            users_R = candidates.block[candidates.rows_R]
            starts = np.flatnonzero(np.diff(users_R, prepend=-1))
            stops = np.append(starts[1:], len(users_R))
            for start, stop in zip(starts, stops, strict=True):
                items = wanted[int(users_R[start])]
                labels.append(np.isin(candidates.items_R[start:stop], items))
            features.append(candidates.features(world))
            sizes.append(stops - starts)
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
        config = MLPRankerConfig(seed=self.chosen["seed"])
        found = np.concatenate(labels)
        if not found.any():
            raise GateRefused(
                f"of {len(users)} users after {world.cutoff} nobody wanted one of the candidates: retrain as of a later "
                "day, with more FORETASTE_JUDGE_DAYS or FORETASTE_NUM_CANDIDATES. The champion stays"
            )
        ranker, losses = MLPRanker.fit(config, FEATURES, np.concatenate(features), offsets, found)
        log.info(
            "ranker_fitted until=%s users=%d candidates=%d loss=%.4f",
            world.cutoff,
            len(users),
            offsets[-1],
            losses[-1],
        )
        return ranker

    def refuse_unless_wanted(
        self, world: World, outcomes: dict[str, npt.NDArray[np.object_]], *, until: date
    ) -> None:
        """Refuse days on which nobody whom the world knows wanted anything that could have been recommended.

        Raises:
            GateRefused: there is nothing for a ranker to learn from.
        """
        if not len(_targets(world, outcomes, self.repeats_allowed)[0]):
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

    def propose(self, fitted: Fitted, world: World, users: IntArray) -> Iterator[Candidates]:
        proposer = Proposer(
            fitted.sasrec,
            fitted.item_ids,
            world,
            num_candidates=self.chosen["num_candidates"],
            length=self.chosen["list_length"],
            repeats_allowed=self.repeats_allowed,
        )
        return proposer.propose(users)

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
                items = np.setdiff1d(items, histories[user])
            if len(items):
                users.append(histories[user])
                targets.append(set(items.tolist()))
        return Validation(users, targets, is_seen_excluded=not self.repeats_allowed) if users else None


def _targets(
    world: World, outcomes: dict[str, npt.NDArray[np.object_]], repeats_allowed: bool
) -> tuple[IntArray, list[IntArray]]:
    """Users with a history and, for each, what they then acted on, as far as it could have been recommended."""
    candidates = [
        index for index, user in enumerate(world.user_ids) if user in outcomes and len(world.histories[index])
    ]
    wanted = each_index_of([outcomes[world.user_ids[index]] for index in candidates], world.item_ids)
    users, targets = [], []
    for index, items in zip(candidates, wanted, strict=True):
        items = np.unique(items[items >= 0])
        if not repeats_allowed:
            items = np.setdiff1d(items, world.seen[index])
        if len(items):
            users.append(index)
            targets.append(items)
    return np.array(users, dtype=np.int64), targets


def _evaluate(
    challenger: NextItemModel,
    champion: NextItemModel | None,
    world: World,
    sequences: Sequences,
    outcomes: dict[str, npt.NDArray[np.object_]],
    trainer: Trainer,
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, dict[str, float]], int]:
    """Per-user NDCG@10 by name, all metrics by name, and the number of users: everyone on the same users."""
    users, targets = trainer.sample(*_targets(world, outcomes, trainer.repeats_allowed), _JUDGED_USERS)
    lists = {"challenger": _list_of(challenger, world, users, trainer)}
    if champion is not None:
        lists["champion"] = _list_of(champion, world, users, trainer)
    lists |= _baseline_lists(world, sequences, users, trainer)
    wanted = [set(items.tolist()) for items in targets]
    if not wanted:
        return {name: np.empty(0) for name in lists}, {}, 0
    ndcg = {name: ndcg_at(items_UK, wanted, K) for name, items_UK in lists.items()}
    metrics = {
        name: {
            "ndcg_at_10": float(ndcg[name].mean()),
            "hit_rate_at_10": float(hit_rate_at(items_UK, wanted, K).mean()),
            "recall_at_10": float(recall_at(items_UK, wanted, K).mean()),
            "coverage_at_10": coverage(items_UK, world.num_items),
        }
        for name, items_UK in lists.items()
    }
    return ndcg, metrics, len(users)


def _list_of(model: NextItemModel, world: World, users: IntArray, trainer: Trainer) -> IntArray:
    ranked = model.rank(
        world,
        users,
        length=K,
        num_candidates=trainer.chosen["num_candidates"],
        repeats_allowed=trainer.repeats_allowed,
    )
    return ranked.items_UK


def _baseline_lists(
    world: World, sequences: Sequences, users: IntArray, trainer: Trainer
) -> dict[str, IntArray]:
    """Recent popularity, EASE and ALS, fitted up to the world's cut-off and held to the same rules."""
    taken = sequences.between(None, world.cutoff)
    rows = each_index_of(list(taken.values()), world.item_ids)
    evidence_UN = history_matrix([items[items >= 0] for items in rows], world.num_items)
    models: dict[str, EASE | ALS] = {"ease": EASE().fit(evidence_UN), "als": ALS().fit(evidence_UN)}
    lists: dict[str, list[IntArray]] = {name: [] for name in ("popularity", *models)}
    for start in range(0, len(users), _BLOCK):  # a matrix of everybody's scores would not fit
        block = users[start : start + _BLOCK]
        allowed_BN = allowed_items(world, block, trainer.repeats_allowed)
        histories = [world.histories[user] for user in block]
        scores = {"popularity": np.tile(world.popularity_N, (len(block), 1))}
        scores |= {name: model.score(histories) for name, model in models.items()}
        for name, scores_BN in scores.items():
            lists[name].append(top_k(np.where(allowed_BN, scores_BN, -np.inf), K)[0])
    return {name: np.concatenate([*parts, np.empty((0, K), np.int64)]) for name, parts in lists.items()}


def _champion_model(context: StepContext, version: str | None) -> tuple[NextItemModel, date] | None:
    """The champion and the day it was trained to."""
    if version is None:
        return None
    promoted = context.state.get(PROMOTIONS, version)
    if promoted is None:
        raise GateRefused(
            f"champion version {version} has no record of its promotion; roll back or promote again"
        )
    folder = model_folder(context.settings, version, promoted["sha256"])
    return load_model(folder, promoted["sha256"]), date.fromisoformat(promoted["day"])


def _data_digest(context: StepContext, day: date) -> str:
    """What the model was trained on, as one digest."""
    tables: Sequence[str] = (
        names.SEQUENCES,
        names.TRAINING_COVISITATION,
        names.HISTORIES,
        names.COVISITATION,
        names.FEAT_USER_DAILY,
        names.FEAT_ITEM_DAILY,
    )
    manifests = [context.lake.manifest(table, day) for table in tables]
    return digest_of([manifest.digest for manifest in manifests if manifest])
