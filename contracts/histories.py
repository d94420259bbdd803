"""How a user's recent history is packed and unpacked: jobs write it beside the lists, the API ranks sessions with it.

Little-endian: one byte of flags (bit 7: 4-byte indices instead of 2), two bytes: how many events, two bytes: how many days
before the version's day the last one was; then the index of each event's item in the version's vocabulary, oldest first, then
a byte for each event: how far it went (bits 0 and 1, one of ``contracts.tables.DEPTHS``), and how many days passed since the
event before it (bits 2 to 7). The rest are the indices of further items that must not be shown again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from contracts.lists import index_type

#: Days that are told apart; nobody tells longer gaps from this one.
LONGEST_GAP = 63
MOST_DAYS_AGO = 0xFFFF
#: What the first byte says of 4-byte indices.
WIDE = 0x80


@dataclass(frozen=True)
class PackedHistory:
    """The last events of a user, oldest first, and what else must not be shown."""

    indices: tuple[int, ...]
    depths: tuple[int, ...]
    days_ago: tuple[
        int, ...
    ]  # before the version's day; of gaps that are longer than LONGEST_GAP, so much counts
    hidden: tuple[int, ...] = ()


def pack_history(history: PackedHistory, num_items: int) -> bytes:
    """Pack a history; ``num_items`` is the size of the vocabulary and decides the width of an index."""
    kind, num = index_type(num_items)[1], len(history.indices)
    days = history.days_ago
    gaps = [min(max(before - after, 0), LONGEST_GAP) for before, after in pairwise(days)]
    told = bytes(depth | gap << 2 for depth, gap in zip(history.depths, [0, *gaps][:num], strict=True))
    last = min(days[-1], MOST_DAYS_AGO) if days else 0
    head = struct.pack(f"<BHH{num}{kind}", WIDE if kind == "I" else 0, num, last, *history.indices)
    return head + told + struct.pack(f"<{len(history.hidden)}{kind}", *history.hidden)


def unpack_history(packed: bytes) -> PackedHistory:
    """The inverse of :func:`pack_history`.

    Raises:
        ValueError: the bytes are no packed history.
    """
    if len(packed) < 5:
        raise ValueError(f"{len(packed)} bytes are no packed history")
    flags, num, days_ago = struct.unpack_from("<BHH", packed)
    width, kind = (4, "I") if flags & WIDE else (2, "H")
    begin = 5 + num * width
    num_hidden, rest = divmod(len(packed) - begin - num, width)
    if rest or num_hidden < 0:
        raise ValueError(f"{len(packed)} bytes are no packed history of {num} events")
    told = packed[begin : begin + num]
    days = [days_ago]
    for each in reversed(told[1:]):
        days.append(days[-1] + (each >> 2))
    return PackedHistory(
        struct.unpack_from(f"<{num}{kind}", packed, 5),
        tuple(each & 3 for each in told),
        tuple(days[::-1]) if num else (),
        struct.unpack_from(f"<{num_hidden}{kind}", packed, begin + num),
    )
