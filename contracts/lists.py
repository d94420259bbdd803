"""How a published list is packed and unpacked: jobs write it, readers read it.

A list is little-endian: one byte of flags and width (bit 0: personal, bit 1: short, bit 7: 4-byte
indices instead of 2), then n indices into the version's vocabulary, then n float32 scores; n follows
from the length. The vocabulary is the version's ``items`` hash: index → JSON of the item.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

PERSONAL = "personal"
POPULAR = "popular"

_IS_PERSONAL = 0x01
_IS_SHORT = 0x02
_IS_WIDE = 0x80


@dataclass(frozen=True)
class PackedList:
    """One user's list by vocabulary index, best first."""

    indices: tuple[int, ...]
    scores: tuple[float, ...]
    source: str
    is_short: bool


def pack(
    indices: Sequence[int], scores: Sequence[float], source: str, is_short: bool, num_items: int
) -> bytes:
    """Pack a list; ``num_items`` is the size of the vocabulary and decides the width of an index."""
    is_wide = num_items > 0xFFFF
    flags = (
        (_IS_PERSONAL if source == PERSONAL else 0)
        | (_IS_SHORT if is_short else 0)
        | (_IS_WIDE if is_wide else 0)
    )
    return struct.pack(f"<B{len(indices)}{'I' if is_wide else 'H'}{len(scores)}f", flags, *indices, *scores)


def unpack(packed: bytes) -> PackedList:
    """The inverse of :func:`pack`; scores come back as float32.

    Raises:
        ValueError: the bytes are not a packed list.
    """
    if not packed:
        raise ValueError("a packed list has at least one byte")
    flags = packed[0]
    width = 4 if flags & _IS_WIDE else 2
    count, rest = divmod(len(packed) - 1, width + 4)
    if rest:
        raise ValueError(f"{len(packed)} bytes are no packed list with {width}-byte indices")
    values = struct.unpack(f"<{count}{'I' if width == 4 else 'H'}{count}f", packed[1:])
    return PackedList(
        indices=values[:count],
        scores=values[count:],
        source=PERSONAL if flags & _IS_PERSONAL else POPULAR,
        is_short=bool(flags & _IS_SHORT),
    )


@dataclass(frozen=True)
class Pointer:
    """``ft:live``: which version readers use, and what they may check it against."""

    version: str
    day: str  # the day that the lists describe
    kind: str  # daily or retrain
    fence: int
    sha256: str  # the digest of the lists, see list_digest
    num_users: int
    num_items: int
    num_buckets: int
    champion: str | None  # the MLflow version of the model, None for popularity
    repeats_allowed: bool
    published_at: str  # ISO 8601, UTC; the only clock reading in what is published

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Pointer:
        return cls(**json.loads(text))


def list_digest(rows: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> str:
    """sha256 over (user, rank, item, score rounded to 1e-6), users in the order of their ids.

    ``rows`` are (user_id, item_ids best first, scores); they have to come sorted by user id.
    """
    digest = hashlib.sha256()
    for user_id, item_ids, scores in rows:
        for rank, (item_id, score) in enumerate(zip(item_ids, scores, strict=True), start=1):
            digest.update(f"{user_id}\x1f{rank}\x1f{item_id}\x1f{score:.6f}\n".encode())
    return digest.hexdigest()
