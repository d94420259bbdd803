"""Partitions of Parquet with manifests: staged, hashed, swapped whole.

A partition ``<layer>/<table>/day=<day>/`` holds files named by their content and one
``manifest.json`` that says which of them count. Replacing the manifest is the swap, so a reader that
goes through it sees the old partition or the new one. Files of the revision before stay for readers
that are still at them; older ones are collected.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing, PartitionTorn
from contracts.settings import Settings
from jobs.io.commit import cross, digest_of, fsync_path, sha256_of_file, write_durably
from jobs.io.state import Lease

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a partition holds and what it was made of."""

    table: str
    day: str
    revision: int
    inputs: str  # digest of everything the content depends on: equal inputs need no second build
    num_rows: int
    files: tuple[tuple[str, str], ...]  # (name, sha256), in reading order
    contents: tuple[str, ...]  # digest of each file's rows, see _content_digest
    previous: tuple[str, ...]  # names of the revision before
    model_hash: str = (
        ""  # of the compiled SQL that made it and of all that this reads, see jobs/io/compiled.py; "" without
    )

    @property
    def digest(self) -> str:
        """sha256 over the files' contents, in order, whatever their revision."""
        return digest_of(self.contents)


class Lake:
    """The lake of one home folder. Writing needs a lease; reading does not."""

    def __init__(self, root: Path, lease: Lease | None = None) -> None:
        self.root = root
        self._lease = lease

    @classmethod
    def of(cls, settings: Settings, lease: Lease | None = None) -> Lake:
        return cls(settings.lake_path, lease)

    # Reading

    def manifest(self, table: str, day: date) -> Manifest | None:
        path = self.root / names.partition(table, day) / MANIFEST
        if not path.exists():
            return None
        values = json.loads(path.read_text())
        values["files"] = tuple((name, sha256) for name, sha256 in values["files"])
        values["contents"] = tuple(values["contents"])
        values["previous"] = tuple(values["previous"])
        return Manifest(**values)

    def days(self, table: str, *, first: date | None = None, until: date | None = None) -> list[date]:
        """The days that have a partition, in order, both bounds included."""
        found = sorted(
            date.fromisoformat(path.parent.name.removeprefix("day="))
            for path in (self.root / table).glob(f"day=*/{MANIFEST}")
        )
        return [day for day in found if (first is None or day >= first) and (until is None or day <= until)]

    def is_current(self, table: str, day: date, inputs: str) -> bool:
        """Was this partition built from these very inputs?"""
        manifest = self.manifest(table, day)
        return manifest is not None and manifest.inputs == inputs

    def files(self, table: str, days: Iterable[date]) -> list[Path]:
        """The files that count, of several days, in reading order.

        Raises:
            PartitionMissing: one of the days has no partition.
        """
        return [
            self.root / names.partition(table, day) / name
            for day in days
            for name, _ in self._require(table, day).files
        ]

    def read(
        self,
        table: str,
        day: date,
        columns: list[str] | None = None,
        where: list[tuple[str, str, Any]] | None = None,
    ) -> pa.Table:
        """One partition, or its rows that fulfil all of some conditions, as an Arrow table, verified against its manifest.

        Raises:
            PartitionMissing: there is no such partition.
            PartitionTorn: a file's bytes are not those of the manifest.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.verify(table, day)
        return pa.concat_tables(
            [
                pq.read_table(path, columns=columns, filters=where, partitioning=None)
                for path in self.files(table, [day])
            ]
        )

    def verify(self, table: str, day: date) -> Manifest:
        """Compare every file of a partition with its manifest's digest."""
        manifest = self._require(table, day)
        for name, sha256 in manifest.files:
            path = self.root / names.partition(table, day) / name
            if not path.exists() or sha256_of_file(path) != sha256:
                raise PartitionTorn(
                    f"{path} is not the file that its manifest names (sha256 {sha256[:12]}…). "
                    f"Remove {path.parent} and build the day again: foretaste run --day {day}"
                )
        return manifest

    def _require(self, table: str, day: date) -> Manifest:
        manifest = self.manifest(table, day)
        if manifest is None:
            raise PartitionMissing(f"{table} has no partition {day}. Build it: foretaste run --day {day}")
        return manifest

    # Writing

    def staging(self, table: str, day: date) -> Path:
        """An empty folder beside the partition's table, for a writer that makes its own files."""
        folder = self.root / "_staging" / f"{table.replace('/', '.')}.{day}.{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def replace(
        self, table: str, day: date, rows: pa.Table, *, inputs: str, model_hash: str | None = None
    ) -> Manifest:
        """Replace one partition by the rows of an Arrow table, in their order; without a hash it keeps the one it has."""
        import pyarrow.parquet as pq

        folder = self.staging(table, day)
        pq.write_table(rows, folder / "part.parquet", compression="zstd", row_group_size=1 << 17)
        return self.commit(table, day, folder, num_rows=rows.num_rows, inputs=inputs, model_hash=model_hash)

    def commit(
        self,
        table: str,
        day: date,
        staged: Path,
        *,
        num_rows: int,
        inputs: str,
        model_hash: str | None = None,
    ) -> Manifest:
        """Swap in the Parquet files of a staged folder, in the order of their names."""
        if self._lease is None:
            raise PermissionError(
                f"writing {table} needs a lease: open the lake with Lake.of(settings, lease)"
            )
        partition = self.root / names.partition(table, day)
        partition.mkdir(parents=True, exist_ok=True)
        sources = sorted(path for path in staged.rglob("*.parquet"))
        hashed = [(path, sha256_of_file(path)) for path in sources]
        before = self.manifest(table, day)
        files = tuple(
            (f"part-{index:04d}-{sha256[:16]}.parquet", sha256) for index, (_, sha256) in enumerate(hashed)
        )
        contents = tuple(_content_digest(path) for path in sources)
        manifest = Manifest(
            table=table,
            day=day.isoformat(),
            revision=self._next_revision(before, contents),
            inputs=inputs,
            num_rows=num_rows,
            files=files,
            contents=contents,
            previous=tuple(name for name, _ in before.files) if before else (),
            model_hash=(before.model_hash if before else "") if model_hash is None else model_hash,
        )
        cross("lake:staged")
        for (path, _), (name, _) in zip(hashed, files, strict=True):
            fsync_path(path)
            path.replace(partition / name)
        fsync_path(partition)
        cross("lake:moved")
        with self._lease.guard():
            write_durably(partition / MANIFEST, json.dumps(asdict(manifest), sort_keys=True))
        cross("lake:committed")
        self._collect(partition, manifest)
        shutil.rmtree(staged, ignore_errors=True)
        cross("lake:collected")
        return manifest

    @staticmethod
    def _next_revision(before: Manifest | None, contents: tuple[str, ...]) -> int:
        """A build that gives the same rows is no new revision."""
        if before is None:
            return 1
        return before.revision if before.contents == contents else before.revision + 1

    @staticmethod
    def _collect(partition: Path, manifest: Manifest) -> None:
        kept = {name for name, _ in manifest.files} | set(manifest.previous)
        for path in partition.glob("part-*.parquet"):
            if path.name not in kept:
                path.unlink()

    def forget_previous(self, table: str, day: date) -> None:
        """Remove the files of the revision before, which stay for readers that are still at them."""
        if self._lease is None:
            raise PermissionError(
                f"rewriting {table} needs a lease: open the lake with Lake.of(settings, lease)"
            )
        manifest = self._require(table, day)
        alone = replace(manifest, previous=())
        partition = self.root / names.partition(table, day)
        if manifest.previous:
            with self._lease.guard():
                write_durably(partition / MANIFEST, json.dumps(asdict(alone), sort_keys=True))
        self._collect(partition, alone)

    def drop(self, table: str, day: date | None = None) -> None:
        """Remove a table with all its partitions, or one of them; nothing happens when there is none."""
        if self._lease is None:
            raise PermissionError(
                f"dropping {table} needs a lease: open the lake with Lake.of(settings, lease)"
            )
        folder = self.root / (table if day is None else names.partition(table, day))
        if folder.exists():
            with self._lease.guard():
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder)

    def collect_staging(self) -> int:
        """Remove what killed writers left in the staging area; only under a lease, when nobody else stages."""
        leftovers = list((self.root / "_staging").glob("*"))
        for folder in leftovers:
            shutil.rmtree(folder, ignore_errors=True)
        return len(leftovers)

    def input_digest(self, *parts: Any) -> str:
        """The digest of what a build depends on: manifests' digests, settings, parameters."""
        return digest_of([part.digest if isinstance(part, Manifest) else part for part in parts])


def _content_digest(path: Path) -> str:
    """sha256 of a Parquet file's schema and of all that stands before its footer.

    The footer also tells who has written the file, and when with another release that says so; the pages before it
    are the same whenever the rows are.
    """
    import pyarrow.parquet as pq

    digest = hashlib.sha256(str(pq.read_schema(path).remove_metadata()).encode())
    with path.open("rb") as stream:
        stream.seek(-8, os.SEEK_END)
        footer = int.from_bytes(stream.read(4), "little")  # its length stands before the last four bytes
        remaining = stream.tell() - 4 - footer
        stream.seek(0)
        while remaining:
            block = stream.read(min(remaining, 1 << 20))
            digest.update(block)
            remaining -= len(block)
    return digest.hexdigest()
