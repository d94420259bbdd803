"""The words for what may become of a row: four outcomes, and the reasons for two of them.

``docs/landing.md`` explains each reason to the shop.
"""

from __future__ import annotations

GOOD, QUARANTINED, DUPLICATE, ASIDE = "good", "quarantined", "duplicate", "set_aside"

#: Malformed rows: kept in quarantine under one of these.
REASONS = (
    "RAGGED", "NO_JSON", "DUP_KEY", "BAD_UTF8", "NO_ITEM", "NO_USER", "NO_ALIAS", "NO_PURPOSE", "NO_DECISION", "SELF_LINK", "BAD_ID", "ID_TOO_LONG", "CTRL_CHAR", "PLACEHOLDER_ID",
    "UNKNOWN_TYPE", "NO_TS", "TS_UNIT", "TS_RANGE", "NO_TZ", "BAD_DATE", "FUTURE", "LATE", "TYPE", "NON_FINITE", "RANGE", "ID_CONFLICT",
)  # fmt: skip
#: The person has not consented; a later word may bring such rows back.
NO_CONSENT = "NO_CONSENT"
#: Well-formed rows that say nothing about taste, or that we may not use.
SET_ASIDE = ("SERVICE_LINE", "ZERO_PRICE", NO_CONSENT)
