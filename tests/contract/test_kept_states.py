"""States of histories are kept beside the models, whole or not at all, and nothing depends on their being there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings, load_settings
from jobs.io.kept_states import KeptStates
from jobs.ranking.states import States, brought_up_to_date
from models.sasrec import SASRec, SASRecConfig

pytestmark = pytest.mark.contract


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


@pytest.fixture
def states(rng) -> States:
    encoder = SASRec(SASRecConfig(num_items=20, width=8), seed=1)
    histories = [rng.integers(0, 20, size=size) for size in range(6)]
    return brought_up_to_date(States.none(), histories, encoder.encode)[0]


def is_nothing(states: States) -> bool:
    return not len(states.digests_S2)


def test_what_is_kept_is_read_again(settings: Settings, states: States) -> None:
    kept = KeptStates(settings, "model", 5)
    assert is_nothing(kept.read())
    kept.write(states)
    found = KeptStates(settings, "model", 5).read()
    np.testing.assert_array_equal(found.digests_S2, states.digests_S2)
    np.testing.assert_array_equal(found.states_SD, states.states_SD)
    assert is_nothing(KeptStates(settings, "another model", 5).read())
    assert is_nothing(KeptStates(settings, "model", 0).read())


@pytest.mark.parametrize(
    "harm", [lambda held: held[:-3], lambda held: held[:-1] + bytes([held[-1] ^ 1]), lambda held: b""]
)
def test_what_is_torn_or_changed_is_as_good_as_not_there(settings: Settings, states: States, harm) -> None:
    kept = KeptStates(settings, "model", 5)
    kept.write(states)
    kept.path.write_bytes(harm(kept.path.read_bytes()))
    assert is_nothing(kept.read())
    kept.write(states)
    assert not is_nothing(kept.read())


def test_the_states_of_two_models_are_kept_and_of_no_more(settings: Settings, states: States) -> None:
    for number in range(4):
        KeptStates(settings, f"model {number}", 5).write(states)
    assert [is_nothing(KeptStates(settings, f"model {number}", 5).read()) for number in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert len(list(settings.states_path.iterdir())) == 2
