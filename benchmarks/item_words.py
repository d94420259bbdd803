"""What it is worth that the transformer knows items by their words: NDCG@10 of a challenger as a retraining judges it.

A simulated shop of four weeks, into which new items come as a shop's do. ``ranking.item_words`` has
FORETASTE_SASREC_ITEM_WORDS on, its reference off: the same days, the same seeds, in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure
from contracts import names
from contracts.feed import days_between
from contracts.settings import load_settings
from jobs.features.cutoffs import cutoffs_of
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.world import load_world
from jobs.run import load_history, run_step
from jobs.runs import manifest_of, settings_in
from jobs.training.evaluation import evaluate
from jobs.training.impressions import read_impressions
from jobs.training.sequences import read_sequences
from jobs.training.trainer import Trainer
from simulator.shop import Shop, ShopConfig

FIRST, DAYS = date(2026, 1, 5), 28
SEEDS = (1, 2)


def item_words(folder: Path) -> Iterator[Figure]:
    """The challenger with words beside the one without, over the seeds."""
    settings = load_settings(home=folder, threads=1)
    last = FIRST + timedelta(days=DAYS - 1)
    shop = Shop(ShopConfig(seed=7, num_users=1_200, num_items=600, sessions_per_user=0.65, start=FIRST))
    for day in days_between(FIRST, last):
        shop.deliver(folder / "feed", day)
    load_history(settings, FIRST, last, run_id="load", listener=lambda *_: None)
    run_step(settings, "prepare-retraining", last, run_id="retrain", is_last=False)
    run_step(settings, "build-training-set", last, run_id="retrain", is_last=True)
    lake, manifest = Lake.of(settings), manifest_of(State.of(settings), names.RETRAIN, last)
    found = {
        is_on: [
            ndcg(lake, last, settings_in(manifest) | {"sasrec_item_words": is_on, "seed": seed})
            for seed in SEEDS
        ]
        for is_on in (False, True)
    }
    yield figure(
        "ranking.item_words", 1000 * float(np.mean(found[True])), f"NDCG@10 in thousandths, ± {1000 * np.std(found[True]):.1f}",
        1000 * float(np.mean(found[False])), f"items known by their ids alone, ± {1000 * np.std(found[False]):.1f}",
    )  # fmt: skip


def ndcg(lake: Lake, day: date, chosen: dict[str, object]) -> float:
    """Of a challenger that is fitted and judged as jobs/train.py does it."""
    ends, trainer = cutoffs_of(day, chosen), Trainer(chosen, repeats_allowed=True)
    sequences, impressions = read_sequences(lake, day), read_impressions(lake, day, ends.end_of_fit)
    early, late = load_world(lake, ends.end_of_fit), load_world(lake, ends.end_of_rank)
    outcomes = sequences.between(early.cutoff, late.cutoff)
    fitted, curve = trainer.fit_transformer(early, sequences, validate_on=outcomes)
    shown = impressions.between(early.cutoff, late.cutoff)
    ranker, preparation = trainer.fit_ranker(fitted, early, outcomes, shown)
    twin, _ = trainer.fit_transformer(late, sequences, num_epochs=curve.best_epoch)
    _, metrics, _ = evaluate(
        NextItemModel(twin.item_ids, twin.sasrec, ranker, preparation),
        None,
        late,
        sequences,
        sequences.between(late.cutoff, day),
        impressions.between(late.cutoff, day),
        trainer,
    )
    return metrics["challenger"]["ndcg_at_10"]
