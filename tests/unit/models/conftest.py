"""What the models are tried on: a shop of two tastes, small enough to know by heart."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def two_tastes():
    """24 users and 8 items: even users walk round items 0-3, odd ones round items 4-7, each from its own start."""
    histories = []
    for user in range(24):
        first = 4 * (user % 2)
        histories.append(np.array([first + (user + step) % 4 for step in range(3 + user // 4)]))
    return histories
