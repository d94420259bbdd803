"""How good recommendations are on real data: NDCG@10 in thousandths, all items ranked, none sampled.

``quality.beauty`` (Amazon Beauty), ``quality.movielens_100k`` and, when it is named, ``quality.movielens_1m``: leave-one-out. A user's last
item is asked for, the one before it is validation, what a user has taken is not asked for again, and the order of the file
breaks ties. As in the published figures the model that is tested has not learnt from the validation items; they stand in
the histories that it is asked with. Nothing else about an item is known than who took it.

``quality.time_split.movielens_100k`` and ``quality.time_split.online_retail``: split in time, as promotion judges. Every later
event is predicted from all that its user did before it; the model has learnt from everything before the split, with settings
that were chosen on the time right before it. Films are not asked for twice, a shop's goods are: its customers order again.

The transformer is trained once a seed and tested once a seed; beside it stand simple models whose settings validation
chose among a few (see ``contest.py``), from the same run. The reference is the best of these. An interval says 95 %: of the
mean over seeds, where there are several (Student's t), and of how far the transformer is ahead, over resampled users.
Finished seeds are kept and not trained again while settings and code are the same.
What a table says was tried was tried by hand beforehand, on validation alone; no command prints it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks import contest, data_sets
from benchmarks.contest import Shape, gains
from benchmarks.data_sets import DAY_SECONDS, Events
from benchmarks.figure import Figure, Table, figure
from benchmarks.kept import Kept, digest_of
from contracts.settings import load_settings
from jobs import feeds
from models import splits
from models.metrics import paired_bootstrap
from models.splits import Sequences, Split, in_time, leave_one_out, sequences_of
from models.training import TrainConfig

SIMPLE = ("popularity", "co-visitation", "ALS", "EASE")
_MODELS = Path(splits.__file__).parent
#: Files whose code a result follows from. Lists are exact whatever ``topk.py`` does, which its tests hold.
CODE = [
    Path(__file__),
    *Path(feeds.__file__).parent.glob("*.py"),
    Path(contest.__file__),
    Path(data_sets.__file__),
    *(each for each in _MODELS.glob("*.py") if each.name not in ("topk.py", "__init__.py")),
]
_RECENT_DAYS = 7
_ESASREC = "eSASRec, RecSys 2025, tables of its repository"


@dataclass(frozen=True)
class Published:
    """A line of somebody's table."""

    model: str
    hit_rate: float | None
    ndcg: float
    source: str


@dataclass(frozen=True)
class Contest:
    """A data set under a protocol, the transformer's shape, the floor and the aim, and what others have published."""

    events: Callable[[], Events]
    split: Callable[[Events], Split]
    shape: Shape
    seeds: int
    floor: float
    aim: float
    recent_from: Callable[[Events], tuple[float, float]] | None = None  # recent popularity: from, until
    published: tuple[Published, ...] = ()
    remark: str = ""


def last_items(events: Events) -> Split:
    """Leave-one-out."""
    return leave_one_out(sequences_of(events.users_E, events.items_E, events.times_E))


def last_tenth(events: Events) -> Split:
    """The last tenth of the events, and before it a tenth of the rest."""
    assert events.times_E is not None
    return in_time(
        events.users_E, events.items_E, events.times_E, _moment(events, 0.81), _moment(events, 0.9),
        repeats_allowed=events.repeats_allowed,
    )  # fmt: skip


def last_weeks(events: Events) -> Split:
    """The last four weeks, and the four before them."""
    assert events.times_E is not None
    end = float(events.times_E.max())
    return in_time(
        events.users_E, events.items_E, events.times_E, end - 56 * DAY_SECONDS, end - 28 * DAY_SECONDS,
        repeats_allowed=events.repeats_allowed,
    )  # fmt: skip


def _moment(events: Events, share: float) -> float:
    assert events.times_E is not None
    return float(np.sort(events.times_E)[round(share * len(events.times_E))])


def _week_before(split_at: Callable[[Events], float]) -> Callable[[Events], tuple[float, float]]:
    return lambda events: (split_at(events) - _RECENT_DAYS * DAY_SECONDS, split_at(events))


CONTESTS: dict[str, Contest] = {
    "quality.beauty": Contest(
        data_sets.beauty, last_items,
        Shape(
            {"width": 64, "blocks": 1, "heads": 1, "dropout": 0.5, "max_length": 50},
            TrainConfig(epochs=60, batch_size=128, num_negatives=1024, patience=6),
        ),
        seeds=5, floor=0.050, aim=0.0531,
        published=(
            Published("SASRec + sampled softmax", 0.0921, 0.0531, _ESASREC),
            Published("eSASRec", 0.0928, 0.0523, _ESASREC),
            Published("FuXi-α", 0.0809, 0.0451, f"{_ESASREC}, calculated there"),
            Published("HSTU", 0.0788, 0.0439, f"{_ESASREC}, calculated there"),
            Published("TIGER", 0.0648, 0.0384, f"{_ESASREC}, as reported"),
            Published("SASRec", 0.0605, 0.0318, f"{_ESASREC}, as reported"),
        ),
        remark="On validation a dropout of 0.5 was better than 0.2, and a learning rate of 0.003 better than 0.001. "
        "What a model reaches that learns from the validation items as well, `train.time_to_quality` says.",
    ),
    "quality.movielens_100k": Contest(
        data_sets.movielens_100k, last_items,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.5, "max_length": 100},
            TrainConfig(epochs=60, batch_size=16, patience=8),
        ),
        seeds=5, floor=0.0862, aim=0.090,
        remark=(
            "Tried on validation, one seed each: lengths of 200 with dropouts of 0.2 and 0.4, of 100 with 0.5 and 0.6; the last two "
            "were clearly better, and hardly told apart."
        ),
    ),
    "quality.movielens_1m": Contest(
        data_sets.movielens_1m, last_items,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.2, "max_length": 200},
            TrainConfig(epochs=16, batch_size=64, patience=3),
        ),
        seeds=1, floor=0.175, aim=0.1857,
        published=(
            Published("SASRec, cross-entropy, 3,000 sampled negatives", None, 0.1857, "Klenitskiy and Vasilev, RecSys 2023"),
            Published("SASRec, full cross-entropy", None, 0.1821, "Klenitskiy and Vasilev, RecSys 2023"),
            Published("FuXi-α", 0.3164, 0.1813, f"{_ESASREC}, calculated there"),
            Published("eSASRec", 0.3133, 0.1772, _ESASREC),
            Published("gSASRec", None, 0.1726, "Petrov and Macdonald, RecSys 2023"),
            Published("SASRec + sampled softmax", 0.2929, 0.1684, _ESASREC),
            Published("BERT4Rec", None, 0.1537, "Klenitskiy and Vasilev, RecSys 2023"),
        ),
    ),
    "quality.time_split.movielens_100k": Contest(
        data_sets.movielens_100k, last_tenth,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.5, "max_length": 100},
            TrainConfig(epochs=18, batch_size=16),
            stops_by_validation=False, tests_refit=True,
        ),
        seeds=5, floor=0.0889, aim=0.095, recent_from=_week_before(lambda events: _moment(events, 0.9)),
    ),
    "quality.time_split.online_retail": Contest(
        data_sets.online_retail, last_weeks,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.3, "max_length": 100},
            TrainConfig(epochs=8, batch_size=32),
            stops_by_validation=False, tests_refit=True,
        ),
        seeds=5, floor=0.0, aim=0.0,
        recent_from=_week_before(
            lambda events: float(events.times_E.max()) - 28 * DAY_SECONDS if events.times_E is not None else 0.0
        ),
        remark=(
            "An invoice's lines are events of their own: most questions ask for the next line, and whoever learns what comes "
            "next was far ahead on validation of whoever learns what comes within ten."
        ),
    ),
}  # fmt: skip


def quality_of(name: str) -> Callable[[Path], Iterator[Figure]]:
    """The benchmark of one contest."""

    def measure(_: Path) -> Iterator[Figure]:
        kept = Kept(load_settings().home / "bench-results.jsonl")
        yield figure_of(name, CONTESTS[name], kept)

    return measure


def figure_of(name: str, held: Contest, kept: Kept) -> Figure:
    """Train what is not kept, and sum up."""
    events = held.events()
    split = held.split(events)
    size = [len(events.users_E), events.num_items, len(split.test)]
    learns = split.refit if held.shape.tests_refit else split.fit
    found = {}
    for model in SIMPLE:
        learnt = learns
        if model == "popularity" and held.recent_from is not None:
            learnt = _between(events, *held.recent_from(events))
        digest = digest_of({"contest": name, "size": size, "model": model, "learns": len(learnt)}, CODE)
        found[model] = kept.once(
            digest,
            f"{name} {model}",
            lambda model=model, learnt=learnt: contest.simple(events, split, model, learnt),  # type: ignore[misc]
        )
    of_seeds = []
    for seed in range(1, min(held.seeds, int(os.environ.get("SEEDS") or held.seeds)) + 1):
        digest = digest_of({"contest": name, "size": size, "shape": asdict(held.shape), "seed": seed}, CODE)
        of_seeds.append(
            kept.once(
                digest,
                f"{name} seed {seed}",
                lambda seed=seed: contest.transformer(events, split, held.shape, seed),  # type: ignore[misc]
            )
        )
    return _summed_up(name, held, events, split, found, of_seeds)


def _between(events: Events, start: float, stop: float) -> Sequences:
    assert events.times_E is not None
    return [events.items_E[(events.times_E >= start) & (events.times_E < stop)]]


def _summed_up(
    name: str, held: Contest, events: Events, split: Split, found: dict[str, dict], of_seeds: list[dict]
) -> Figure:
    """The figure and the table of all models, ours, simple and published."""
    places = {model: np.array(each["places"]) for model, each in found.items()}
    gain_SQ = np.array([gains(np.array(each["places"])) for each in of_seeds])
    hits_S = [float(np.mean(np.array(each["places"]) > 0)) for each in of_seeds]
    ndcg_S = gain_SQ.mean(axis=1)
    best = max(places, key=lambda model: gains(places[model]).mean())
    rows = [
        (
            f"**transformer**, {len(of_seeds)} seed{'s' if len(of_seeds) > 1 else ''}",
            f"{np.mean(hits_S):.4f}", f"**{ndcg_S.mean():.4f}**{_interval(ndcg_S)}", "",
            f"{_mean(of_seeds, 'epochs'):.0f} epochs, {_mean(of_seeds, 'seconds'):.0f} s a seed on one thread, "
            f"{_mean(of_seeds, 'positions_per_second'):,.0f} positions/s",
        )
    ]  # fmt: skip
    for model in sorted(places, key=lambda model: -gains(places[model]).mean()):
        gain_Q = gains(places[model])
        ahead = paired_bootstrap(
            *by_user(gain_SQ.mean(axis=0), gain_Q, split.test.users_Q), 2_000, np.random.default_rng(7)
        )
        told = (
            f"recent popularity ({_RECENT_DAYS} days)"
            if model == "popularity" and held.recent_from
            else model
        )
        rows.append(
            (
                told, f"{np.mean(places[model] > 0):.4f}", f"{gain_Q.mean():.4f}",
                f"{ahead.mean:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}]",
                " · ".join(part for part in (found[model]["settings"], f"{found[model]['seconds']:.2f} s") if part),
            )
        )  # fmt: skip
    for line in held.published:
        rows.append(
            (
                f"{line.model} (published)",
                "" if line.hit_rate is None else f"{line.hit_rate:.4f}",
                f"{line.ndcg:.4f}",
                "",
                line.source,
            )
        )
    value = float(ndcg_S.mean())
    measured = figure(
        name, 1000 * value, f"NDCG@10 in thousandths, {len(of_seeds)} seed{'s' if len(of_seeds) > 1 else ''}{_verdict(held, value)}",
        1000 * float(gains(places[best]).mean()), f"{best}, the best of the simple models",
    )  # fmt: skip
    about = (
        f"{len(events.users_E):,} events of {len(np.unique(events.users_E)):,} users and {events.num_items:,} items; "
        f"{len(split.test):,} questions. {held.remark}".strip()
    )
    columns = ("model", "HR@10", "NDCG@10", "transformer ahead by", "settings, time or source")
    return replace(measured, table=Table(about, columns, tuple(rows)))


def _verdict(held: Contest, value: float) -> str:
    """Where the floor or the aim lies, and by how much it is missed."""
    if not held.floor:
        return ""
    told = f"; floor {held.floor:.4f}"
    if value < held.floor:
        return f"{told} missed by {held.floor - value:.4f}"
    return f"{told} held, aim {held.aim:.4f} {'reached' if value >= held.aim else f'missed by {held.aim - value:.4f}'}"


def _interval(values_S: npt.NDArray[np.float64]) -> str:
    if len(values_S) < 2:
        return ""
    half = stats.t.ppf(0.975, len(values_S) - 1) * values_S.std(ddof=1) / math.sqrt(len(values_S))
    return f" ± {half:.4f}"


def _mean(results: Sequence[dict], field: str) -> float:
    return float(np.mean([each[field] for each in results]))


def by_user(
    a_Q: npt.NDArray[np.float64], b_Q: npt.NDArray[np.float64], users_Q: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sums of each user, scaled so that their mean is the mean over questions: users are resampled, not questions."""
    _, asker_Q = np.unique(users_Q, return_inverse=True)
    scale = (asker_Q.max() + 1) / len(asker_Q)
    return np.bincount(asker_Q, a_Q) * scale, np.bincount(asker_Q, b_Q) * scale
