"""Write a feed folder: every delivery elsewhere first, then moved to its place whole, the same bytes for the same rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from contracts.errors import FeedInvalid
from contracts.feed import SUCCESS, FeedDescription, delivery_folder
from jobs.io.packed_csv import packed_csv

FEED_JSON = "feed.json"


class FeedWriter:
    """One feed folder, and how many of its deliveries this import wrote or found as they should be."""

    def __init__(self, feed: Path) -> None:
        self.feed = feed
        self.num_written = 0
        self.num_unchanged = 0

    def describe(self, description: FeedDescription) -> None:
        """Write ``feed.json``.

        Raises:
            FeedInvalid: the folder holds another shop's feed; rows of two shops must not mix.
        """
        path = self.feed / FEED_JSON
        shop = self._shop()
        if shop not in (None, description.shop):
            raise FeedInvalid(
                f"{self.feed} is the feed of {shop!r}, not of {description.shop!r}: "
                "name another folder with --feed, or remove that one"
            )
        self.feed.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            description.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False
        )
        beside = path.with_name(f".{FEED_JSON}.part")
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)

    def delivered_days(self, kind: str) -> list[date]:
        """The days of the deliveries that are complete."""
        folders = (self.feed / kind).glob(f"received=*/{SUCCESS}")
        return sorted(date.fromisoformat(path.parent.name.removeprefix("received=")) for path in folders)

    def deliver(
        self, kind: str, received: date, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Write one delivery as a gzipped CSV file with ``_SUCCESS`` beside it.

        A delivery that lies there with the same bytes stays untouched; another one is replaced whole. A reader
        sees the old folder, none or the new one, never half a delivery.
        """
        place = self.feed / delivery_folder(kind, received)
        content = packed_csv(columns, rows)
        file = place / f"{kind}.csv.gz"
        names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
        if names == sorted([SUCCESS, file.name]) and file.read_bytes() == content:
            self.num_unchanged += 1
            return
        # Outside the folders that readers list; what an import that was killed left there goes first.
        staged = self.feed / ".incoming" / f"{kind}-{received}"
        shutil.rmtree(staged.parent, ignore_errors=True)
        staged.mkdir(parents=True)
        (staged / file.name).write_bytes(content)
        (staged / SUCCESS).touch()
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            place.rename(staged.with_suffix(".old"))
        staged.rename(place)
        shutil.rmtree(staged.parent)
        self.num_written += 1

    def _shop(self) -> str | None:
        path = self.feed / FEED_JSON
        if not path.exists():
            return None
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["shop"])
        except (ValueError, KeyError, TypeError) as error:
            raise FeedInvalid(f"{path} cannot be read ({error}): mend it or name another folder") from error
