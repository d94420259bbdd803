"""A replay that is killed anywhere and run again, or followed by a landing, gives what an undisturbed one gives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.io import commit
from tests.replaying import everything, land_both, older_foretaste, rating, replayed, rows_of
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.faults


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_at(number: int) -> Iterator[list[str]]:
    """End at the n-th boundary of the commit protocol that is crossed; 0 ends at none."""
    crossed: list[str] = []

    def cross(name: str) -> None:
        crossed.append(name)
        if len(crossed) == number:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "boundary", cross)
        yield crossed


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a shop that an older Foretaste has landed: two days, the second with a late event."""
    shop = Shop(tmp_path_factory.mktemp("landed") / "home")
    shop.deliver(DAY, [event(1), rating(20), event(23, item_id="")])
    shop.deliver(
        NEXT,
        [event(2, occurred_at=f"{NEXT}T10:00:00Z"), rating(30), rating(31, occurred_at=f"{NEXT}T11:00:00Z")],
    )
    with older_foretaste():
        land_both(shop)
    return shop.settings.home


def copied(home: Path, target: Path) -> Shop:
    shutil.copytree(home, target)
    return Shop(target)


def test_a_replay_killed_anywhere_and_run_again_is_undisturbed(landed: Path, tmp_path: Path) -> None:
    undisturbed = copied(landed, tmp_path / "undisturbed")
    with killed_at(0) as crossed:
        replayed(undisturbed)
    wanted = everything(undisturbed)
    for number, name in enumerate(crossed, start=1):
        if name in ("lake:moved", "lake:collected") and name in crossed[: number - 1]:
            continue  # between two that are tried
        shop = copied(landed, tmp_path / f"killed-{number}")
        with killed_at(number), pytest.raises(Killed):
            replayed(shop)
        replayed(shop)
        assert everything(shop) == wanted, (number, name)
        left = [shop.settings.lake_path.glob(what) for what in ("_staging/*", "quarantine/replayed_*")]
        assert [path for found in left for path in found] == []


def test_what_a_killed_replay_has_decided_is_carried_out_by_the_next_landing(
    landed: Path, tmp_path: Path
) -> None:
    undisturbed, killed = (copied(landed, tmp_path / name) for name in ("undisturbed", "killed"))
    replayed(undisturbed)
    with killed_at(0) as crossed:
        replayed(copied(landed, tmp_path / "counted"))
    with killed_at(crossed.index("state:recorded") + 1), pytest.raises(Killed):
        replayed(killed)
    assert rows_of(killed) != rows_of(undisturbed)
    for shop in (undisturbed, killed):
        shop.land(THIRD)
    assert everything(killed) == everything(undisturbed)
