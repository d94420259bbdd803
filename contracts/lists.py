"""How a published list is packed and unpacked: jobs write it, readers read it.

A list is little-endian: one byte of flags and width (bit 0: personal, bit 1: short, bits 2 and 3: where a list
that is not personal comes from, bit 4: reasons are told, bit 7: 4-byte indices instead of 2), then n indices into
the version's vocabulary, then n float32 scores; n follows from the length. Where reasons are told, two bytes after
the flags say n, and after the scores come the reasons: the place of each, from 1, as one byte, then the index of
each. The vocabulary is the version's ``items`` hash: index → JSON of the item.

A reader takes the version from ``ft:live`` once for each answer and reads nothing of another one. A version
that has been let go stays readable for a minute; a reader that finds its keys gone starts again at the pointer.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

PERSONAL = "personal"
SESSION = "session"
CONTENT = "content"
SEGMENT = "segment"
POPULAR = "popular"
#: Where a list comes from, the rungs of a ladder from the top; see jobs/ranking/ladder.py.
SOURCES = (PERSONAL, SESSION, CONTENT, SEGMENT, POPULAR)

#: What the first byte says of the source. Lists that were packed before there were rungs say personal or popular.
_FLAGS_OF = {POPULAR: 0x00, PERSONAL: 0x01, SESSION: 0x04, CONTENT: 0x08, SEGMENT: 0x0C}
_OF_FLAGS = {flags: source for source, flags in _FLAGS_OF.items()}
_IS_ANY_SOURCE = 0x0D

#: Of how many places of a personal list, from the first on, it is told why; and by how many past items at most.
EXPLAINED_PLACES = 10
REASONS_PER_PLACE = 2

_IS_SHORT = 0x02
_HAS_REASONS = 0x10
_IS_WIDE = 0x80
_MOST_NARROW = 0xFFFF  # items that 2-byte indices can tell apart


@dataclass(frozen=True)
class PackedList:
    """One user's list by vocabulary index, best first."""

    indices: tuple[int, ...]
    scores: tuple[float, ...]
    source: str
    is_short: bool
    reasons: tuple[tuple[int, int], ...] = ()  # place, from 1, and vocabulary index of what speaks for it

    def reasons_of(self, place: int) -> tuple[int, ...]:
        """What speaks most for a place, the strongest first."""
        return tuple(index for of, index in self.reasons if of == place)


def flags(source: str, is_short: bool, num_items: int, has_reasons: bool = False) -> int:
    """The first byte of a packed list."""
    is_wide = num_items > _MOST_NARROW
    return (
        _FLAGS_OF[source]
        | (_IS_SHORT if is_short else 0)
        | (_HAS_REASONS if has_reasons else 0)
        | (_IS_WIDE if is_wide else 0)
    )


def index_type(num_items: int) -> str:
    """The type of an index into a vocabulary of ``num_items``, as ``struct`` and NumPy write it."""
    return "<I" if num_items > _MOST_NARROW else "<H"


def pack(
    indices: Sequence[int],
    scores: Sequence[float],
    source: str,
    is_short: bool,
    num_items: int,
    reasons: Sequence[tuple[int, int]] = (),
) -> bytes:
    """Pack a list; ``num_items`` is the size of the vocabulary and decides the width of an index."""
    first, of_index = flags(source, is_short, num_items, bool(reasons)), index_type(num_items)[1]
    layout = f"{len(indices)}{of_index}{len(scores)}f"
    if not reasons:
        return struct.pack(f"<B{layout}", first, *indices, *scores)
    places, because = zip(*reasons, strict=True)
    layout = f"<BH{layout}{len(places)}B{len(because)}{of_index}"
    return struct.pack(layout, first, len(indices), *indices, *scores, *places, *because)


def unpack(packed: bytes) -> PackedList:
    """The inverse of :func:`pack`; scores come back as float32.

    Raises:
        ValueError: the bytes are not a packed list.
    """
    if not packed:
        raise ValueError("a packed list has at least one byte")
    first = packed[0]
    width, of_index = (4, "I") if first & _IS_WIDE else (2, "H")
    wrong = ValueError(f"{len(packed)} bytes are no packed list with {width}-byte indices")
    if not first & _HAS_REASONS:
        begin, num_reasons = 1, 0
        count, rest = divmod(len(packed) - begin, width + 4)
    elif len(packed) >= 3:
        begin, count = 3, int.from_bytes(packed[1:3], "little")
        num_reasons, rest = divmod(len(packed) - begin - count * (width + 4), width + 1)
    else:
        raise wrong
    if rest or num_reasons < 0:
        raise wrong
    if first & _IS_ANY_SOURCE not in _OF_FLAGS:
        raise ValueError(f"a packed list begins with {first:#04x}, which names no source")
    after = begin + count * (width + 4)  # where the reasons begin
    places = packed[after : after + num_reasons]
    reasons = zip(
        places, struct.unpack_from(f"<{num_reasons}{of_index}", packed, after + num_reasons), strict=True
    )
    return PackedList(
        indices=struct.unpack_from(f"<{count}{of_index}", packed, begin),
        scores=struct.unpack_from(f"<{count}f", packed, begin + count * width),
        source=_OF_FLAGS[first & _IS_ANY_SOURCE],
        is_short=bool(first & _IS_SHORT),
        reasons=tuple(reasons),
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
    published_at: str  # ISO 8601, UTC: when it was made live; the only clock reading in what is published
    previous: str | None = (
        None  # the version that was live when this one was published: what a rollback goes to
    )
    features: str | None = None  # the digest of its features; None: it was published without
    rules: str | None = None  # the digest of its rules; None: it was published without
    session: str | None = None  # the digest of the model that ranks sessions; None: it was published without
    session_bytes: int = 0  # how large that is
    num_histories: int = 0  # users whose recent history it can read

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Pointer:
        return cls(**json.loads(text))


def list_digest(rows: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> str:
    """sha256 over users, their items by rank, and scores rounded to 1e-6; version, clock and reasons are no part of it.

    One line a user: the id, then item and score in millionths, best first, with unit separators between.
    ``rows`` are (user_id, item_ids best first, scores); they have to come sorted by user id.
    """
    digest = hashlib.sha256()
    for user_id, item_ids, scores in rows:
        cells = "\x1f".join(
            f"{item_id}\x1f{round(score * 1e6)}" for item_id, score in zip(item_ids, scores, strict=True)
        )
        digest.update(f"{user_id}\x1f{cells}\n".encode())
    return digest.hexdigest()
