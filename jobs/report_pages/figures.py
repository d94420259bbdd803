"""How numbers are written on the pages: thin spaces, true minus signs, a dash for what is not known."""

from __future__ import annotations

from typing import Any

NOTHING = "–"


def count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\u202f").replace("-", "−")


def written(value: float | None, unit: str) -> str:
    """A number of a unit, see ``compare.Field``; ``sd`` and ``bits`` are those of a measure."""
    if value is None:
        return NOTHING
    forms = {
        "share": "{:.1f}\u202f%",
        "score": "{:.4f}",
        "bits": "{:.4f}",
        "sd": "{:.3f}",
        "money": "{:,.2f}",
    }
    if unit == "count":
        return count(value)
    shown = forms.get(unit, "{:,.1f}").format(value * 100 if unit == "share" else value)
    return _signed(shown).replace(",", "\u202f")


def _signed(shown: str) -> str:
    """A true minus sign, and none before a nought."""
    return shown.replace("-", "−" if any(digit in shown for digit in "123456789") else "")


def cell(value: Any, unit: str) -> str:
    """A cell of a comparison: text, a number, or a number with its interval and n."""
    if value is None:
        return NOTHING
    if unit == "text":
        return str(value)
    if isinstance(value, int | float):
        return written(value, unit)
    middle, low, high, n = value
    ends = f" ({written(low, unit)} to {written(high, unit)})" if low is not None else ""
    return f"{written(middle, unit)}{ends}" + (f", n\u00a0{count(n)}" if n is not None else "")


def change(before: Any, now: Any, unit: str) -> str:
    """How much more the second is; shares differ by points."""
    if unit == "text" or before is None or now is None:
        return "" if before == now else "differs" if unit == "text" else NOTHING
    first, second = (value if isinstance(value, int | float) else value[0] for value in (before, now))
    difference = second - first
    shown = written(difference, unit).replace("%", "points")
    return f"+{shown}" if difference > 0 and any(digit in shown for digit in "123456789") else shown


def ratio(found: dict[str, Any] | None, unit: str) -> tuple[str, str]:
    """A ratio of the figures of a day, and its interval with n; money comes in cents."""
    if not found or found["value"] is None:
        return NOTHING, ""
    scale = 0.01 if unit == "money" else 1.0
    values = [None if found[name] is None else found[name] * scale for name in ("value", "low", "high")]
    value, low, high = values
    ends = f"{written(low, unit)} to {written(high, unit)}, " if low is not None else ""
    return written(value, unit), f"{ends}n\u00a0{count(found['n'])}"
