"""How much worse off people are who came after the training: NDCG@10 in thousandths, all items ranked, none sampled.

``by_user.movielens_100k``: a fifth of the people are drawn. Their last film is asked for, with the history before it, of a
transformer that has learnt from the others alone, as it is with whoever comes between two retrainings; and, as the
reference, of one that has learnt from these histories as well. What a history holds is not asked for. Beside it stand a
recurrent network and simple models, asked the same.

How many epochs a network learns, another fifth decides, from whom it learns afterwards as well; the shapes are those that
validation chose for ``quality.movielens_100k``. The simple models are set by ``expectations/recommenders.toml``; co-visitation counts
films within five of each other. Each seed draws other people; intervals say 95 %, over resampled questions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks import data_sets
from benchmarks.data_sets import Events
from benchmarks.figure import Figure, Table, figure
from benchmarks.kept import Kept, digest_of
from benchmarks.simple import neighbours
from contracts.settings import load_settings
from jobs.training.recommenders import load_recommenders
from models import splits
from models.als import ALS, ALSConfig
from models.covisitation import CoVisitation
from models.ease import EASE
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.metrics import accuracy, paired_bootstrap
from models.popularity import Popularity
from models.recommender import Histories, history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.splits import Questions, Sequences, Split, by_user, exclude_seen, sequences_of
from models.topk import top_k
from models.training import TrainConfig, Validation, fit

NAME = "by_user.movielens_100k"
K = 10
_SHARE = 0.2
_SEEDS = 3
_REACH = 5
_TRANSFORMER = "transformer"


class Scorer(Protocol):
    """Whatever scores histories."""

    def score(self, histories: Histories) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Shapes:
    """The networks, and how both learn."""

    transformer: dict[str, Any]  # fields of SASRecConfig
    recurrent: dict[str, Any]  # fields of GRU4RecConfig
    train: TrainConfig


MOVIELENS = Shapes(
    {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.5, "max_length": 100},
    {"width": 64, "layers": 1, "dropout": 0.5, "max_length": 100},
    TrainConfig(epochs=60, batch_size=16, patience=8),
)


def movielens_100k(_: Path) -> Iterator[Figure]:
    """The benchmark."""
    yield figure_of(data_sets.movielens_100k(), MOVIELENS, Kept(load_settings().home / "bench-results.jsonl"))


def figure_of(events: Events, shapes: Shapes, kept: Kept) -> Figure:
    """Train what is not kept, and sum up."""
    code = [Path(__file__), *Path(splits.__file__).parent.glob("*.py")]
    size = [len(events.users_E), len(np.unique(events.users_E)), events.num_items]
    seeds = range(1, min(_SEEDS, int(os.environ.get("SEEDS") or _SEEDS)) + 1)
    found = {
        name: [
            kept.once(
                digest_of({"figure": NAME, "size": size, "shapes": asdict(shapes), "model": name, "seed": seed}, code),
                f"{NAME} {name} seed {seed}",
                partial(answered, events, shapes, name, seed),
            )
            for seed in seeds
        ]
        for name in _makers(events, shapes, 0)
    }  # fmt: skip
    return _summed_up(size, found)


def answered(events: Events, shapes: Shapes, name: str, seed: int) -> dict[str, Any]:
    """What a model gives people whom it has not learnt from, and whom it has: NDCG and hit of each question."""
    sequences = sequences_of(events.users_E, events.items_E, events.times_E)
    split = by_user(sequences, _SHARE, np.random.default_rng(seed))
    begun = time.process_time()
    learn = _makers(events, shapes, seed)[name](split)
    strangers = _asked(learn(split.refit), split.test)
    acquaintances = _asked(learn([*split.refit, *split.test.histories]), split.test)
    seconds = round(time.process_time() - begun, 1)
    return {"strangers": strangers, "acquaintances": acquaintances, "seconds": seconds}


def _makers(
    events: Events, shapes: Shapes, seed: int
) -> dict[str, Callable[[Split], Callable[[Sequences], Scorer]]]:
    """By name what, given a split, learns from sequences."""
    chosen, num_items = load_recommenders(), events.num_items

    def network(kind: Any, config: Any, split: Split) -> Callable[[Sequences], Scorer]:
        train = replace(shapes.train, seed=seed)
        validation = Validation(split.validation.histories, split.validation.targets, is_seen_excluded=True)
        epochs = list(fit(kind(config, seed), split.fit, train, validation))
        best = max(epoch.number for epoch in epochs if epoch.is_best)

        def learn(sequences: Sequences) -> Scorer:
            model: Scorer = kind(config, seed)
            for _ in fit(model, sequences, replace(train, epochs=best)):  # type: ignore[arg-type]
                pass
            return model

        return learn

    def plainly(learn: Callable[[Sequences], Scorer]) -> Callable[[Split], Callable[[Sequences], Scorer]]:
        return lambda split: learn

    als = ALSConfig(**chosen.als.model_dump(), seed=seed)
    covisitation = partial(CoVisitation, **chosen.covisitation.model_dump())
    return {
        _TRANSFORMER: partial(network, SASRec, SASRecConfig(num_items, **shapes.transformer)),
        "recurrent network": partial(network, GRU4Rec, GRU4RecConfig(num_items, **shapes.recurrent)),
        "co-visitation": plainly(lambda learns: covisitation().fit(neighbours(learns, num_items, _REACH))),
        "EASE": plainly(
            lambda learns: EASE(chosen.ease.regularisation).fit(history_matrix(learns, num_items))
        ),
        "ALS": plainly(lambda learns: ALS(als).fit(history_matrix(learns, num_items))),
        "popularity": plainly(lambda learns: Popularity().fit(csr_matrix(history_matrix(learns, num_items)))),
    }


def _asked(model: Scorer, questions: Questions) -> dict[str, list[float]]:
    scores_QN = model.score(questions.histories)
    exclude_seen(scores_QN, questions.histories)
    found = accuracy(top_k(scores_QN, K)[0], [set(each) for each in questions.targets], [K])
    return {metric: found[f"{metric}_at_{K}"].tolist() for metric in ("ndcg", "hit_rate")}


def _summed_up(size: list[int], found: dict[str, list[dict[str, Any]]]) -> Figure:
    """The figure of the transformer, and the table of all."""

    def of(name: str, who: str, metric: str) -> npt.NDArray[np.float64]:
        return np.concatenate([each[who][metric] for each in found[name]])

    rows = []
    for name in sorted(found, key=lambda name: -of(name, "strangers", "ndcg").mean()):
        strangers_Q, acquaintances_Q = (of(name, who, "ndcg") for who in ("strangers", "acquaintances"))
        lost = paired_bootstrap(strangers_Q, acquaintances_Q, 2_000, np.random.default_rng(7))
        rows.append(
            (
                name, f"{of(name, 'strangers', 'hit_rate').mean():.4f}", f"{strangers_Q.mean():.4f}",
                f"{acquaintances_Q.mean():.4f}", f"{lost.mean:+.4f} [{lost.low:+.4f}, {lost.high:+.4f}]",
                f"{np.mean([each['seconds'] for each in found[name]]):.1f} s",
            )
        )  # fmt: skip
    num_seeds, num_questions = len(found[_TRANSFORMER]), len(of(_TRANSFORMER, "strangers", "ndcg"))
    about = (
        f"{size[0]:,} events of {size[1]:,} users and {size[2]:,} items; {num_questions:,} questions in {num_seeds} "
        f"draw{'s' if num_seeds > 1 else ''} of people. Seconds are those of a draw, of one thread, trainings of both kinds together."
    )
    columns = ("model", "HR@10, not learnt from", "NDCG@10, not learnt from", "NDCG@10, learnt from", "difference", "time")  # fmt: skip
    measured = figure(
        NAME, 1000 * of(_TRANSFORMER, "strangers", "ndcg").mean(), "NDCG@10 in thousandths, the transformer, of people whom it has not learnt from",
        1000 * of(_TRANSFORMER, "acquaintances", "ndcg").mean(), "the same people's, had it learnt from them",
    )  # fmt: skip
    return replace(measured, table=Table(about, columns, tuple(rows)))
