"""The words for what may become of a row: four outcomes, and the reasons for two of them.

``docs/landing.md`` explains each reason to the shop.
"""

from __future__ import annotations

GOOD, QUARANTINED, DUPLICATE, ASIDE = "good", "quarantined", "duplicate", "set_aside"

#: Malformed rows: kept in quarantine under one of these.
REASONS = (
    "RAGGED", "NO_JSON", "DUP_KEY", "BAD_UTF8", "NO_ITEM", "NO_USER", "BAD_ID", "ID_TOO_LONG", "CTRL_CHAR", "PLACEHOLDER_ID",
    "UNKNOWN_TYPE", "NO_TS", "TS_UNIT", "TS_RANGE", "NO_TZ", "BAD_DATE", "FUTURE", "TYPE", "NON_FINITE", "RANGE", "ID_CONFLICT",
)  # fmt: skip
#: Well-formed rows that say nothing about taste, or that we may not use.
SET_ASIDE = ("SERVICE_LINE", "ZERO_PRICE", "NO_CONSENT")
