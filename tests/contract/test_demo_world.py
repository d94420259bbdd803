"""What the demo's shop says of the lists that its people see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.policies import optimal_lists, random_lists
from simulator.published import Published
from simulator.shop import Shop
from simulator.worlds import SimulatedShop

pytestmark = pytest.mark.contract


def test_better_lists_are_seen_as_a_recovery(tmp_path: Path) -> None:
    world = SimulatedShop(tmp_path / "feed", 7, has_shift=True)
    shop: Shop = world._shop
    assert world.recovery() == ""
    first, last = world.live_days
    poor = Published("v0001", random_lists(shop, first), {}, [], {})
    told = world.deliver([first], poor)
    assert re.search(r"events of 1 days; of the lists of v0001 people click 0\.\d\d items a visit", told)
    best = Published("v0002", optimal_lists(shop, tmp_path / "feed", last), {}, [], {})
    world.deliver([last], best)
    found = re.fullmatch(
        rf"Recovery: on {first} people clicked ([\d.]+) items a visit, (\d+)% of what the best lists would have had; on {last}, "
        r"with the new champion's lists, ([\d.]+), 100%",
        world.recovery(),
    )
    assert found, world.recovery()
    assert float(found[3]) > 5 * float(found[1])
