"""The card of a model and its pictures, as they are kept beside it in MLflow."""

from __future__ import annotations

from typing import Any

from jobs.report_pages.model_plots import learning_plot, slices_plot
from jobs.report_pages.retraining_page import model_card, ordered_metrics

CARD, SLICES, LEARNING = "model_card.md", "plots/slices.svg", "plots/learning_curve.svg"


def artifacts_of(record: dict[str, Any]) -> dict[str, str]:
    """By file name what a retraining tells of its challenger: the card and, where there is anything to draw, the plots."""
    plots = {SLICES: slices_plot(record["verdict"]["slices"]), LEARNING: learning_plot(record["curves"])}
    return {CARD: card_of(record)} | {name: svg for name, svg in plots.items() if svg}


def card_of(record: dict[str, Any]) -> str:
    """The card as Markdown: what the model is, its verdict with reasons, its metrics by slice with intervals, its settings."""
    verdict, metrics = record["verdict"], record["metrics"]
    names = [name for name, _ in ordered_metrics(metrics)]
    found = sorted({metric for values in metrics.values() for metric in values})
    lines = [
        f"# Challenger {record['challenger']} of {record['day']}",
        "",
        *(f"* **{name}:** {told}" for name, told in model_card(record)),
        "",
        f"## Verdict: {'worthy of promotion' if verdict['is_promoted'] else 'refused'}",
        "",
        *(f"* {reason}" for reason in verdict["reasons"]),
        "",
        *_table(
            ("check", "passed", "told"),
            [(each["name"], _said(each["has_passed"]), each["told"]) for each in verdict["checks"]],
        ),
        "",
        "## Slices, NDCG@10",
        "",
        *_table(
            ("slice", "people", "challenger", "other", "difference [95 %]"),
            [
                (
                    each["name"],
                    str(each["num_users"]),
                    f"{each['ndcg_at_10']:.4f}",
                    f"{each['other']} {each['ndcg_at_10_of_other']:.4f}",
                    "{mean:+.4f} [{low:+.4f}, {high:+.4f}]".format(**each["difference"]),
                )
                for each in verdict["slices"]
            ],
        ),
        "",
        "## Metrics",
        "",
        *_table(
            ("metric", *names),
            [
                (
                    metric,
                    *(f"{metrics[name][metric]:.4f}" if metric in metrics[name] else "–" for name in names),
                )
                for metric in found
            ],
        ),
        "",
        "## Settings",
        "",
        *_table(
            ("setting", "value"),
            [(name, str(value)) for name, value in sorted(record["manifest"]["settings"].items())],
        ),
        "",
    ]
    return "\n".join(lines)


def _said(has_passed: bool | None) -> str:
    return {True: "yes", False: "no", None: "not judged"}[has_passed]


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    cells = [heads, ("---",) * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
