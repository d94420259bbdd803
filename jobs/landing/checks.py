"""What a column's value has to look like, as SQL conditions, and how it is then read.

A check is a condition that a bad value fulfils, with the reason for its quarantine. The first check that
holds names the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.ids import BLANKS, CONTROLS_RE2, MOST_BYTES, PLACEHOLDERS
from jobs.landing.reading import BAD_UTF8

Check = tuple[str, str]

_INTEGER = r"^[+-]?\d{1,18}(\.0+)?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|z|[+-]\d{2}(:?\d{2})?)$"
_LOCAL = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?$"
_CONTROL = f"[{CONTROLS_RE2}]"
_BLANK = f"^[\\s{BLANKS}]*$"
_LARGEST = 10**12  # of a price, a quantity, a value


def given(name: str, columns: Sequence[str], *, instants: Sequence[str], ids: Sequence[str]) -> str:
    """The delivered rows with empty values as missing ones, ids in one Unicode form, and instants as UTC timestamps."""
    cleaned = [
        f"nfc_normalize(nullif({column}, '')) as {column}"
        if column in ids
        else f"nullif({column}, '') as {column}"
        for column in columns
    ]
    at = [
        f"{_as_instant(column)} as {alias}"
        for column, alias in zip(instants, ("instant", "until_instant"), strict=False)
    ]
    return f"create or replace temp table {name} as select {', '.join([*cleaned, *at])}, source_file, line from (select * replace ({', '.join(f'{c}::varchar as {c}' for c in columns)}) from delivered)"


def _as_instant(column: str) -> str:
    """ISO 8601 with an offset, or an epoch in s, ms or µs told apart by its size, as a UTC timestamp."""
    number = f"try_cast({column} as double)"
    text = f"replace(regexp_replace({column}, ':60([.,]\\d+)?', ':59.999'), ',', '.')"
    return f"""case
        when regexp_matches({column}, '{_NUMBER}') then case
            when {number} between 1e8 and 1e10 then make_timestamp(round({number} * 1e6)::bigint)
            when {number} between 1e11 and 1e13 then make_timestamp(round({number} * 1e3)::bigint)
            when {number} between 1e14 and 1e16 then make_timestamp(round({number})::bigint)
        end
        when regexp_matches({column}, '{_INSTANT}') then try_cast({text} as timestamptz) at time zone 'UTC'
    end"""


def id_checks(column: str, missing: str | None = None) -> list[Check]:
    checks = [(f"{column} is null", missing)] if missing else []
    return [
        *checks,
        (f"contains({column}, '{BAD_UTF8}')", "BAD_UTF8"),
        (f"regexp_matches({column}, '{_BLANK}')", "BAD_ID"),
        (f"strlen({column}) > {MOST_BYTES}", "ID_TOO_LONG"),
        (f"regexp_matches({column}, '{_CONTROL}')", "CTRL_CHAR"),
        (f"lower({column}) in {PLACEHOLDERS}", "PLACEHOLDER_ID"),
    ]


def instant_checks(source: str, *, is_required: bool = False, column: str = "instant") -> list[Check]:
    number = f"try_cast({source} as double)"
    checks = [(f"{source} is null", "NO_TS")] if is_required else []
    return [
        *checks,
        (f"regexp_matches({source}, '{_NUMBER}') and ({number} <= 0 or {number} > 1e16)", "TS_RANGE"),
        (f"regexp_matches({source}, '{_NUMBER}') and {column} is null", "TS_UNIT"),
        (f"regexp_matches({source}, '{_LOCAL}')", "NO_TZ"),
        (f"{source} is not null and {column} is null", "BAD_DATE"),
        (f"year({column}) not between 1990 and 2100", "TS_RANGE"),
    ]


def integer_checks(column: str) -> list[Check]:
    return [
        (f"regexp_matches({column}, '{_NOT_FINITE}')", "NON_FINITE"),
        (f"{column} is not null and not regexp_matches({column}, '{_INTEGER}')", "TYPE"),
        (
            f"try_cast({column} as double) not between 0 and {_LARGEST if column != 'position' else 10**6}",
            "RANGE",
        ),
    ]


def number_checks(column: str, *, lowest: float = -_LARGEST, highest: float = _LARGEST) -> list[Check]:
    return [
        (f"regexp_matches({column}, '{_NOT_FINITE}')", "NON_FINITE"),
        (f"{column} is not null and not regexp_matches({column}, '{_NUMBER}')", "TYPE"),
        (f"try_cast({column} as double) not between {lowest} and {highest}", "RANGE"),
    ]


def boolean_checks(column: str) -> list[Check]:
    """Yes or no; silence is neither."""
    return [(f"{as_boolean(column)} is null", "TYPE")]


def json_checks(column: str) -> list[Check]:
    return [(f"{column} is not null and not json_valid({column})", "TYPE")]


def case(checks: Sequence[Check]) -> str:
    return "case " + " ".join(f"when {condition} then '{reason}'" for condition, reason in checks) + " end"


def as_integer(column: str) -> str:
    return f"try_cast(try_cast({column} as decimal(20, 2)) as bigint)"


def as_boolean(column: str) -> str:
    return f"case when lower({column}) in ('true', '1') then true when lower({column}) in ('false', '0') then false end"


def as_cents(column: str) -> str:
    """Money in cents, halves rounded up."""
    return f"try_cast(round(try_cast({column} as decimal(18, 6)) * 100) as bigint)"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
