"""The page of a retraining: its metrics in order, and the card of the model it made."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from jobs.report_pages.figures import count
from jobs.report_pages.intervals import intervals_of
from jobs.report_pages.model_plots import learning_plot, slices_plot
from jobs.report_pages.views import Record, outcome_of

#: What is told of the first ten places, in this order; of other numbers of places the accuracy is.
_METRIC_LABELS = {
    "ndcg_at_10": "NDCG@10",
    "map_at_10": "MAP@10",
    "hit_rate_at_10": "Hit rate@10",
    "recall_at_10": "Recall@10",
    "mrr_at_10": "MRR@10",
    "coverage_at_10": "Coverage@10",
    "novelty_at_10": "Novelty@10, bits",
    "diversity_at_10": "Diversity@10",
    "popularity_lift_at_10": "Popularity lift@10",
    "gini_at_10": "Gini@10",
}
_ACCURACIES = {label.partition("_at_")[0]: told.partition("@")[0] for label, told in _METRIC_LABELS.items()}
_LENGTH = re.compile(r"_at_([0-9]{1,4})$")
#: What a challenger is, by the name of its recommender; what was trained before there was a choice has a ranker.
_KINDS = {
    "ranker": "a transformer over a person's history (SASRec) and other sources propose candidates, a ranker orders them.",
    "blend": "scores of several recommenders, added up with weights that people's next days taught: {weights}.",
    "sasrec": "a transformer over a person's history (SASRec).",
    "gru4rec": "a recurrent network over a person's history (GRU4Rec).",
    "ease": "what is taken together, by a linear model of items (EASE).",
    "als": "tastes as factors of people and items (ALS).",
    "covisitation": "what others took on the same day as what a person took lately.",
    "content": "items whose titles, categories and brands are like those of what a person took lately.",
    "popularity": "what was taken most in the last seven days, the same for everybody.",
}
_MODEL_ORDER = ("challenger", "champion", "popularity", "ease", "als")


def retraining_values(record: Record) -> dict[str, Any]:
    """What the template of a retraining shows."""
    metrics: dict[str, Record] = record.get("metrics") or {}
    found = {name for values in metrics.values() for name in values}
    verdict = record.get("verdict") or {}
    link = str(record.get("mlflow_url") or "")
    lengths = sorted({int(match[1]) for name in found if (match := _LENGTH.search(name))})
    return {
        # What is clicked comes from a record: a web address or nothing.
        "record": {**record, "mlflow_url": link if urlsplit(link).scheme in ("http", "https") else ""},
        "outcome": {"promoted": "promoted", "refused": "refused"}.get(outcome_of(record), "none"),
        "competitors": _competitors(record),
        "models": ordered_metrics(metrics),
        "metric_names": [name for name in _METRIC_LABELS if name in found],
        "metric_labels": _METRIC_LABELS,
        "lengths": lengths if len(lengths) > 1 else [],
        "kinds": [(kind, label) for kind, label in _ACCURACIES.items() if f"{kind}_at_{lengths[0]}" in found]
        if lengths
        else [],
        "intervals": intervals_of(verdict.get("differences") or {}),
        "slices_plot": slices_plot(verdict.get("slices") or []),
        "learning_plot": learning_plot(record.get("curves") or {}),
        "card": model_card(record),
        "settings": sorted(((record.get("manifest") or {}).get("settings") or {}).items()),
    }


def ordered_metrics(metrics: dict[str, Record]) -> list[tuple[str, Record]]:
    """The metrics of each model, the challenger first."""
    order = [name for name in _MODEL_ORDER if name in metrics] + sorted(set(metrics) - set(_MODEL_ORDER))
    return [(name, metrics[name]) for name in order]


def _competitors(record: Record) -> list[Record]:
    """Who competed to be the challenger, the best first."""
    ndcg: dict[str, float] = (record.get("validation") or {}).get("ndcg_at_10") or {}
    weights = record.get("weights") or {}
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items()) if len(weights) > 1 else ""
    return [
        {
            "name": name,
            "ndcg": value,
            "is_chosen": name == record.get("recommender"),
            "weights": told if name == record.get("recommender") else "",
        }
        for name, value in sorted(ndcg.items(), key=lambda pair: -pair[1])
    ]


def model_card(record: Record) -> list[tuple[str, str]]:
    """What a reader has to know of a challenger before trusting it."""
    manifest = record.get("manifest") or {}
    settings, feed = manifest.get("settings") or {}, manifest.get("feed") or {}
    shop = feed.get("shop") or "the shop"
    judged = (
        f"{record['judged_from']} to {record['day']}"
        if record.get("judged_from")
        else f"up to {record['day']}"
    )
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in (record.get("weights") or {}).items())
    recommender = str(record.get("recommender") or "ranker")
    kind = _KINDS.get(recommender, f"{recommender}.").format(weights=weights)
    card = [
        ("Model", f"foretaste-next-item, version {record.get('challenger', '–')}: {kind}"),
        ("For", f"ranked lists of the items that a known person of {shop} acts upon next."),
    ]
    if settings:
        days = settings.get("history_days", "–")
        num_deliveries = len(manifest.get("deliveries") or {})
        card.append(
            (
                "Learnt from",
                f"{num_deliveries} {'delivery' if num_deliveries == 1 else 'deliveries'} known on {record['day']}, the last {days} days of "
                f"them; histories of up to {settings.get('history_length', '–')} events. Nothing but what people did: no "
                "age, sex or other trait of a person.",
            )
        )
    card += [
        (
            "Judged",
            f"on {judged}, {count(record.get('num_users'))} people who acted then, by a twin that had not seen these days; "
            "the model itself was then fitted up to the last of them.",
        ),
        (
            "Limits",
            "Judged by what people did with other lists before them, which favours what was shown. Says little about "
            "items that nobody has acted upon, and nothing about people without a history: they go down the ladder to what is popular. "
            "Not tried on another shop, nor on a taste that has shifted since.",
        ),
        (
            "Files",
            f"sha256 {record.get('sha256', '–')}: weights as safetensors, checked whenever they are loaded.",
        ),
    ]
    return card
