"""A simulated shop of four weeks whose days have run, and whose last day has a training set: what a retraining begins with."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from jobs.run import load_history, run_step
from simulator.shop import Shop, ShopConfig

FIRST, DAYS = date(2026, 1, 5), 28


def shop_with_training_set(folder: Path, *, num_users: int, num_items: int) -> tuple[Settings, date]:
    """The settings of its home, which is the folder, and its last day."""
    settings = load_settings(home=folder, threads=1)
    last = FIRST + timedelta(days=DAYS - 1)
    config = ShopConfig(seed=7, num_users=num_users, num_items=num_items, sessions_per_user=0.65, start=FIRST)
    shop = Shop(config)
    for day in days_between(FIRST, last):
        shop.deliver(folder / "feed", day)
    load_history(settings, FIRST, last, run_id="load", listener=lambda *_: None)
    run_step(settings, "prepare-retraining", last, run_id="retrain", is_last=False)
    run_step(settings, "build-training-set", last, run_id="retrain", is_last=True)
    return settings, last
