"""How good recommendations are on real data: NDCG@10 in thousandths, all items ranked, none sampled.

``quality.beauty`` (Amazon Beauty), ``quality.movielens_100k`` and, when it is named, ``quality.movielens_1m`` (ten times the
events: where it has no line below, it was not run for this page): leave-one-out. A user's last item is asked for, the one
before it is validation, what a user has taken is not asked for again, and the order of the file breaks ties. As in the
published figures the model that is tested has not learnt from the validation items; they stand in the histories that it is
asked with. Nothing else about an item is known than who took it.

``quality.time_split.movielens_100k`` and ``quality.time_split.online_retail``: split in time, as promotion judges. Every later
event is predicted from all that its user did before it; the model has learnt from everything before the split, with settings
that were chosen on the time right before it. Films are not asked for twice, a shop's goods are: its customers order again.

The transformer is trained once a seed and tested once a seed. How many epochs it learns, validation decides in each run; where
the split is in time it then learns anew, for so many epochs, from validation as well. Beside it stand simple models whose
settings validation chose among a few, from the same run; the reference is the best of these. The challenger is what the loop
would make of them all: ``jobs/training/contest.py`` chooses, on validation, between a blend of the transformer, EASE, ALS,
co-visitation and popularity, whose weights it learns there, and each of these but popularity by itself; EASE only of a catalogue that
``expectations/recommenders.toml`` allows. The figure is the transformer's or the challenger's, as its unit says.

An interval says 95 %: of the mean over seeds, where there are several (Student's t), and of how far one is ahead of another, over
resampled users. Where it leaves 0 out, one is ahead or behind; else they are not told apart.
``quality.tried.beauty`` and ``quality.tried.movielens_100k``, when they are named: what else the transformer's shape might have been,
on validation alone, one seed each; the losses are compared there as well. Finished seeds are kept with their weights, and
not trained again while data, settings and the code that they follow from are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import answers, challenger, simple
from benchmarks.answers import drawn, places_of
from benchmarks.challenger import Challenger, Moment, recommenders
from benchmarks.contests import CHALLENGER, CONTESTS, TRANSFORMER, Contest
from benchmarks.data_sets import DAY_SECONDS, Events
from benchmarks.figure import Figure
from benchmarks.kept import Kept, code_of, digest_of
from benchmarks.seeds import Seeds
from benchmarks.standing import Answered, summed_up
from benchmarks.transformer import of_state
from benchmarks.tried import tried
from contracts.settings import load_settings
from models.splits import Sequences

_RECENT_DAYS = 7


def quality_of(name: str) -> Callable[[Path], Iterator[Figure]]:
    """The benchmark of one contest."""

    def measure(_: Path) -> Iterator[Figure]:
        yield figure_of(name, CONTESTS[name], _kept())

    return measure


def tried_of(name: str) -> Callable[[Path], Iterator[Figure]]:
    """The benchmark of what else was tried for one contest."""

    def measure(_: Path) -> Iterator[Figure]:
        held = CONTESTS[name]
        events = held.events()
        told = name.replace("quality.", "quality.tried.")
        yield tried(told, held, Seeds(name, events, held.split(events), _kept()))

    return measure


#: By figure: every contest, and every one for which something else was tried.
FIGURES = {name: quality_of(name) for name in CONTESTS} | {
    name.replace("quality.", "quality.tried."): tried_of(name)
    for name, held in CONTESTS.items()
    if held.tried
}


def _kept() -> Kept:
    return Kept(load_settings().home / "bench-results.jsonl")


def figure_of(name: str, held: Contest, kept: Kept) -> Figure:
    """Train what is not kept, and sum up."""
    events = held.events()
    seeds = Seeds(name, events, held.split(events), kept)
    early, late = _moments(held, seeds)
    found = {each: _simple(seeds, each, early, late) for each in simple.KINDS}
    count = min(held.seeds, int(os.environ.get("SEEDS") or held.seeds))
    of_seeds = [_of_seed(held, seeds, seed, early, late, found) for seed in range(1, count + 1)]
    size = (
        f"{len(events.users_E):,} events of {len(np.unique(events.users_E)):,} users and {events.num_items:,} items; "
        f"{len(late.asked):,} questions."
    )
    by_name = {each: [of_seed[each] for of_seed in of_seeds] for each in (TRANSFORMER, CHALLENGER)}
    return summed_up(name, held, size, Answered(late.asked.users_Q, by_name, found))


def _moments(held: Contest, seeds: Seeds) -> tuple[Moment, Moment]:
    """When validation is asked, and when the test is."""
    events, split = seeds.events, seeds.split
    asked = drawn(split.validation)
    if held.moments is None:
        return Moment(split.fit, split.fit, asked), Moment(split.fit, split.fit, split.test)
    validation, test = (week_before(events, moment) for moment in held.moments(events))
    return Moment(split.fit, validation, asked), Moment(split.refit, test, split.test)


def week_before(events: Events, moment: float) -> Sequences:
    """What was taken in the days before a moment."""
    assert events.times_E is not None
    return [
        events.items_E[(events.times_E >= moment - _RECENT_DAYS * DAY_SECONDS) & (events.times_E < moment)]
    ]


def _simple(seeds: Seeds, name: str, early: Moment, late: Moment) -> dict[str, Any]:
    learns = late.recent if name == "popularity" else late.learns
    settings = {
        "model": name,
        "kinds": simple.KINDS[name],
        "data": seeds.data,
        "learns": [len(learns), sum(map(len, learns))],
    }
    return seeds.kept.once(
        digest_of(settings, code_of(Path(simple.__file__))),
        f"{seeds.name} {name}",
        partial(simple.simple, seeds.events, seeds.split, name, learns),
    )


def _of_seed(
    held: Contest, seeds: Seeds, seed: int, early: Moment, late: Moment, found: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The transformer and the challenger of a seed."""
    events, kept = seeds.events, seeds.kept
    learnt, weights = seeds.learn(held.shape, seed)
    run, last = learnt, weights
    if held.moments is not None:
        run, last = seeds.learn_again(held.shape, seed, learnt["epochs"])
    models = [of_state(events, held.shape, each) for each in (weights, last)]
    if last is weights:
        models[1] = models[0]
    trained = seeds.digest(held.shape, seed, tested_after=run["epochs"], moments=held.moments is not None)
    of_transformer = kept.once(
        digest_of({"trained": trained}, code_of(Path(answers.__file__))),
        f"{seeds.name} seed {seed} tested",
        lambda: {"places": places_of(models[1], late.asked, repeats_allowed=events.repeats_allowed).tolist()},
    )
    options = {name: each["options"] for name, each in found.items()}
    chosen = recommenders(options)
    settings = {"trained": trained, "recommenders": chosen.model_dump(), "options": options}
    of_challenger = kept.once(
        digest_of(settings, code_of(Path(challenger.__file__))),
        f"{seeds.name} seed {seed} challenger",
        lambda: Challenger(events, chosen, options["co-visitation"]["reach"], seed).judged(
            early, models[0], late, models[1]
        ),
    )
    seconds = learnt["seconds"] + (0.0 if run is learnt else run["seconds"])
    return {TRANSFORMER: run | of_transformer | {"seconds": seconds}, CHALLENGER: of_challenger}
