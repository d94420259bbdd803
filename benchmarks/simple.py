"""Simple recommenders: each learns from the same as the transformer, with settings that validation chose among a few."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.answers import Scorer, drawn, gains, places_of
from benchmarks.data_sets import Events
from models.als import ALS, ALSConfig
from models.covisitation import CoVisitation
from models.ease import EASE
from models.popularity import Popularity
from models.recommender import history_matrix
from models.splits import Sequences, Split

NUM_RECENT = 20  # items of a history that co-visitation reads
Options = dict[str, Any]
#: Of each the settings among which validation chooses.
KINDS: dict[str, tuple[Options, ...]] = {
    "popularity": ({},),
    "co-visitation": (
        {"reach": 1, "half_life": 1.0},
        {"reach": 5, "half_life": 1.0},
        {"reach": 5, "half_life": 5.0},
        {"reach": 20, "half_life": 5.0},
    ),
    "ALS": (
        {"factors": 64, "regularisation": 0.1, "confidence": 10.0},
        {"factors": 128, "regularisation": 0.1, "confidence": 10.0},
        {"factors": 64, "regularisation": 10.0, "confidence": 3.0},
    ),
    "EASE": ({"regularisation": 100.0}, {"regularisation": 300.0}, {"regularisation": 1000.0}),
}
_TOLD = {
    "popularity": "",
    "co-visitation": "within {reach}, half-life {half_life:g} items",
    "ALS": "{factors} factors, λ {regularisation:g}, α {confidence:g}",
    "EASE": "λ {regularisation:g}",
}


def told(name: str, options: Options) -> str:
    """Settings as a table has them."""
    return _TOLD[name].format(**options)


def simple(events: Events, split: Split, name: str, learns: Sequences) -> dict[str, Any]:
    """The best of a kind by validation NDCG@10, then fitted to what is learnt from and asked the test.

    Args:
        learns: what the tested model learns from: ``fit``, ``refit`` or, for popularity, what is recent.
    """
    kinds = KINDS[name]
    tried = [0.0]
    if len(kinds) > 1:
        few = drawn(split.validation)
        tried = [
            float(gains(_places(fitted(name, kind, split.fit, events.num_items), few, events)).mean())
            for kind in kinds
        ]
    best = kinds[int(np.argmax(tried))]
    started = time.process_time()
    model = fitted(name, best, learns, events.num_items)
    seconds = time.process_time() - started
    places = _places(model, split.test, events).tolist()
    return {"places": places, "options": best, "seconds": round(seconds, 2)}


def _places(model: Scorer, asked: Any, events: Events) -> Any:
    return places_of(model, asked, repeats_allowed=events.repeats_allowed)


def fitted(name: str, options: Options, learns: Sequences, num_items: int) -> Scorer:
    """A recommender of this name with these settings."""
    if name == "popularity":
        return Popularity().fit(csr_matrix(counts(learns, num_items)[None, :]))
    if name == "EASE":
        return EASE(**options).fit(history_matrix(learns, num_items))
    if name == "ALS":
        return ALS(ALSConfig(**options)).fit(history_matrix(learns, num_items))
    return CoVisitation(NUM_RECENT, options["half_life"]).fit(neighbours(learns, num_items, options["reach"]))


def counts(sequences: Sequences, num_items: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How often each item was taken."""
    return np.bincount(np.concatenate(sequences), minlength=num_items)


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
