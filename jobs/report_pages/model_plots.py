"""Pictures of a model: how it learnt, and how it stands in each slice. SVG of itself, for the page and for MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from jobs.report_pages.intervals import intervals_of
from jobs.report_pages.views import Record

_BLUE, _RED = "#1f6feb", "#b3261e"
_ROW, _LABELS, _WHISKERS = 26, 330, 320
_CURVE_WIDTH, _CURVE_HEIGHT, _MARGIN = 320.0, 130.0, 26.0


def slices_plot(slices: Sequence[Record]) -> str:
    """Challenger minus the other in each slice, with 95 % intervals; "" without slices."""
    if not slices:
        return ""
    found = {each["name"]: each for each in slices}
    rows = []
    for number, drawn in enumerate(intervals_of({name: each["difference"] for name, each in found.items()})):
        y, each = 18 + _ROW * number, found[drawn.name]
        colour = _RED if each.get("is_below_floor") else _BLUE
        rows.append(
            f'<text x="0" y="{y + 4}">{escape(drawn.name)} · n {each["num_users"]}</text>'
            f'<line x1="{_LABELS + drawn.x_low}" x2="{_LABELS + drawn.x_high}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{_LABELS + drawn.x_mean}" cy="{y}" r="4" fill="{colour}"/>'
            f'<text x="{_LABELS + _WHISKERS + 8}" y="{y + 4}">{_signed(drawn.mean)}</text>'
        )
        zero = _LABELS + drawn.x_zero
    height = _ROW * len(found) + 10
    rows.append(
        f'<line x1="{zero}" x2="{zero}" y1="4" y2="{height - 4}" stroke="currentColor" opacity="0.4"/>'
    )
    label = f"NDCG@10, challenger minus {slices[0]['other']}, in {len(found)} slices"
    return _svg(_LABELS + _WHISKERS + 70, height, label, rows)


def learning_plot(curves: Mapping[str, Sequence[float]]) -> str:
    """Each curve over epochs, side by side; "" where nothing was learnt by epochs."""
    drawn = {name: values for name, values in curves.items() if len(values) > 1}
    if not drawn:
        return ""
    parts = []
    for place, (name, values) in enumerate(drawn.items()):
        left, low, span = place * (_CURVE_WIDTH + 20), min(values), (max(values) - min(values)) or 1.0
        width, height = _CURVE_WIDTH - 2 * _MARGIN, _CURVE_HEIGHT - 2 * _MARGIN
        points = " ".join(
            f"{left + _MARGIN + width * epoch / (len(values) - 1):.1f},{_MARGIN + height * (1 - (value - low) / span):.1f}"
            for epoch, value in enumerate(values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="2"/>'
            f'<text x="{left + _MARGIN}" y="14">{escape(name)}: {values[0]:.4g} → {values[-1]:.4g}</text>'
            f'<text x="{left + _MARGIN}" y="{_CURVE_HEIGHT - 6}">epoch 1 to {len(values)}</text>'
        )
    told = "; ".join(f"{name} from {values[0]:.4g} to {values[-1]:.4g}" for name, values in drawn.items())
    return _svg(int(len(drawn) * (_CURVE_WIDTH + 20)), int(_CURVE_HEIGHT), f"Learning curves: {told}", parts)


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(label)}" font-family="sans-serif" font-size="12" fill="currentColor">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
