"""Foretaste's command line with its gate inverted: it refuses what is worthy and promotes what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs import judge as judging
from jobs.cli import main

_honest = judging.judge


def _inverted(ndcg: dict[str, Any], **options: Any) -> judging.Verdict:
    verdict = _honest(ndcg, **options)
    if "champion" not in ndcg:  # a first model has to be there before anything can go wrong
        return verdict
    return replace(verdict, is_promoted=not verdict.is_promoted)


if __name__ == "__main__":
    judging.judge = _inverted
    main()
