"""Recommenders under one protocol: each learns from the same events and is asked the same questions.

The settings of the simple ones are chosen here, on validation, among a few; the transformer is stopped by validation, or
learns for as many epochs as validation had found best.

Q questions · N items
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks.data_sets import Events
from models.als import ALS, ALSConfig
from models.covisitation import CoVisitation
from models.ease import EASE
from models.popularity import Popularity
from models.recommender import Histories, history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.splits import Questions, Sequences, Split, exclude_seen
from models.topk import top_k
from models.training import Epoch, TrainConfig, Validation, fit

K = 10
_QUESTIONS_AT_ONCE = 1024  # a matrix of all scores would not fit
_VALIDATED = 3_000  # questions that an epoch is judged by, drawn once
Places = npt.NDArray[np.int64]


class Scorer(Protocol):
    """Whatever scores histories."""

    def score(self, histories: Histories) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Shape:
    """The transformer of a contest and how it learns."""

    model: dict[str, Any]  # fields of SASRecConfig
    train: TrainConfig
    stops_by_validation: bool = True  # False: as many epochs as ``train`` says, found on validation before
    tests_refit: bool = False  # does the model that is tested learn from the validation items as well?


def places_of(model: Scorer, questions: Questions, *, repeats_allowed: bool) -> Places:
    """The place, from 1, of each answer on the list of the ten best of all items; 0 where it is not on it."""
    places_Q = np.zeros(len(questions), np.int64)
    for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
        part = slice(start, start + _QUESTIONS_AT_ONCE)
        histories = questions.histories[part]
        scores_QN = model.score(histories)
        if not repeats_allowed:
            exclude_seen(scores_QN, histories)
        lists_QK, _ = top_k(scores_QN, K)
        is_hit_QK = lists_QK == questions.targets_Q[part, None]
        places_Q[part] = np.where(is_hit_QK.any(axis=1), is_hit_QK.argmax(axis=1) + 1, 0)
    return places_Q


def gains(places_Q: Places) -> npt.NDArray[np.float64]:
    """NDCG@10 of each question: with one answer, 1 / log2(place + 1)."""
    return np.where(
        places_Q > 0, 1 / np.log2(places_Q + 1.0, where=places_Q > 0, out=np.ones(len(places_Q))), 0.0
    )


def transformer(events: Events, split: Split, shape: Shape, seed: int) -> dict[str, Any]:
    """Train with a seed and ask the test once: places, epochs, seconds of this process, positions a second."""
    config = replace(shape.train, seed=seed)
    asked = split.validation
    drawn = np.random.default_rng(0).permutation(len(asked))[:_VALIDATED]
    validation = Validation(
        [asked.histories[each] for each in drawn],
        [asked.targets[each] for each in drawn],
        not events.repeats_allowed,
    )
    epochs: list[Epoch] = []
    if shape.stops_by_validation:
        model, epochs = _trained(events, split.fit, shape, config, validation)
        config = replace(config, epochs=max(each.number for each in epochs if each.is_best))
    if shape.tests_refit:
        model, epochs = _trained(events, split.refit, shape, config, None)
    seconds = sum(each.seconds or 0.0 for each in epochs)
    return {
        "places": places_of(model, split.test, repeats_allowed=events.repeats_allowed).tolist(),
        "epochs": config.epochs,
        "seconds": round(seconds, 1),
        "positions_per_second": round(sum(each.num_positions for each in epochs) / seconds),
    }


def _trained(
    events: Events, sequences: Sequences, shape: Shape, config: TrainConfig, validation: Validation | None
) -> tuple[SASRec, list[Epoch]]:
    model = SASRec(SASRecConfig(events.num_items, **shape.model), seed=config.seed)
    # Processor seconds: other programs run on the machine that wrote the page.
    return model, list(fit(model, sequences, config, validation, clock=time.process_time))


def simple(events: Events, split: Split, name: str, learns: Sequences) -> dict[str, Any]:
    """The best of a kind by validation NDCG@10, then fitted to what is learnt from and asked the test.

    Args:
        learns: what the tested model learns from: ``fit``, ``refit`` or, for popularity, what is recent.
    """
    tried = {}
    kinds = list(_kinds(name, events.num_items))
    if len(kinds) > 1:
        asked = split.validation
        drawn = np.random.default_rng(0).permutation(len(asked))[:_VALIDATED]
        few = Questions(
            [asked.histories[each] for each in drawn], asked.targets_Q[drawn], asked.users_Q[drawn]
        )
        for told, make in kinds:
            places_Q = places_of(make(split.fit), few, repeats_allowed=events.repeats_allowed)
            tried[told] = float(gains(places_Q).mean())
    best = max(tried, key=lambda told: tried[told]) if tried else kinds[0][0]
    started = time.process_time()
    model = dict(kinds)[best](learns)
    seconds = time.process_time() - started
    places_Q = places_of(model, split.test, repeats_allowed=events.repeats_allowed)
    return {"places": places_Q.tolist(), "settings": best, "seconds": round(seconds, 2)}


def _kinds(name: str, num_items: int) -> Iterator[tuple[str, Callable[[Sequences], Scorer]]]:
    """The settings among which validation chooses."""
    if name == "popularity":
        yield "", lambda sequences: Popularity().fit(csr_matrix(_counts(sequences, num_items)))
    elif name == "EASE":
        for weight in (100.0, 300.0, 1000.0):
            yield (
                f"λ {weight:g}",
                lambda learns, weight=weight: EASE(weight).fit(history_matrix(learns, num_items)),
            )  # type: ignore[misc]
    elif name == "ALS":
        for config in (
            ALSConfig(),
            ALSConfig(factors=128),
            ALSConfig(factors=64, regularisation=10.0, confidence=3.0),
        ):
            told = f"{config.factors} factors, λ {config.regularisation:g}, α {config.confidence:g}"
            yield told, lambda learns, config=config: ALS(config).fit(history_matrix(learns, num_items))  # type: ignore[misc]
    else:
        for reach, half_life in ((1, 1.0), (5, 1.0), (5, 5.0), (20, 5.0)):
            told = f"within {reach}, half-life {half_life:g} items"
            yield (
                told,
                lambda learns, r=reach, h=half_life: CoVisitation(20, h).fit(
                    neighbours(learns, num_items, r)
                ),
            )  # type: ignore[misc]


def _counts(sequences: Sequences, num_items: int) -> npt.NDArray[np.int64]:
    return np.bincount(np.concatenate(sequences), minlength=num_items)[None, :]


def neighbours(sequences: Sequences, num_items: int, reach: int) -> csr_matrix:
    """How often an item was taken up to ``reach`` places before or after another one of the same user."""
    items = np.concatenate(sequences)
    owners = np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])
    counts_NN = csr_matrix((num_items, num_items))
    for apart in range(1, min(reach, len(items) - 1) + 1):
        is_one = (owners[apart:] == owners[:-apart]) & (items[apart:] != items[:-apart])
        first, second = items[:-apart][is_one], items[apart:][is_one]
        counts_NN = counts_NN + csr_matrix((np.ones(len(first)), (first, second)), shape=counts_NN.shape)
    return csr_matrix(counts_NN + counts_NN.T)
