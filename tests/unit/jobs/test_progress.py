"""A training says how far it is, and is taken for no other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jobs.training.progress import key_of, told
from models.sasrec import SASRecConfig
from models.training import Epoch, TrainConfig, Validation

EPOCHS = [
    Epoch(1, 2.5, 3000, 0.1, True, 3.0),
    Epoch(2, 2.25, 3000, 0.125, True, 1.0),
]


def test_the_log_tells_the_throughput_and_the_time_that_is_left() -> None:
    line = "number=2/10 loss=2.2500 ndcg_at_10=0.1250 positions_per_second=1500 seconds_left=16"
    assert told(EPOCHS, 10) == line


def test_without_validation_or_a_clock_the_log_tells_what_there_is() -> None:
    untimed = dataclasses.replace(EPOCHS[1], ndcg_at_10=None, seconds=None)
    assert told([untimed], 10) == "number=2/10 loss=2.2500"
    assert told([EPOCHS[0], untimed], 10).endswith("positions_per_second=1000 seconds_left=24")


CONFIGS = [SASRecConfig(num_items=9), TrainConfig()]
HISTORIES = [np.array([1, 2, 3]), np.array([4, 5])]
VALIDATION = Validation([np.array([1, 2])], [{3, 8}])


def test_a_training_is_known_by_its_settings_and_its_data_alone() -> None:
    again = [np.array([1, 2, 3]), np.array([4, 5])]
    same = Validation([np.array([1, 2])], [{8, 3}])
    assert key_of(CONFIGS, [HISTORIES, None, VALIDATION]) == key_of(CONFIGS, [again, None, same])


@pytest.mark.parametrize(
    ("configs", "data"),
    [
        ([CONFIGS[0], TrainConfig(seed=1)], [HISTORIES, None, VALIDATION]),
        ([SASRecConfig(num_items=8), CONFIGS[1]], [HISTORIES, None, VALIDATION]),
        (CONFIGS, [[np.array([1, 2, 4]), np.array([4, 5])], None, VALIDATION]),
        (CONFIGS, [[np.array([1, 2]), np.array([3, 4, 5])], None, VALIDATION]),
        (CONFIGS, [HISTORIES, [np.ones(3), np.ones(2)], VALIDATION]),
        (CONFIGS, [HISTORIES, None, Validation([np.array([1, 2])], [{3, 7}])]),
        (CONFIGS, [HISTORIES, None, dataclasses.replace(VALIDATION, is_seen_excluded=True)]),
        (CONFIGS, [HISTORIES, None, None]),
    ],
    ids=["seed", "shape", "an item", "who did what", "weights", "what was wanted", "seen", "no validation"],
)
def test_a_training_with_one_thing_changed_is_another(configs, data) -> None:
    assert key_of(configs, data) != key_of(CONFIGS, [HISTORIES, None, VALIDATION])
