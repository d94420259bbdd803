"""``make bench``: run the benchmarks, or those named, and print each figure beside its reference.

A group's name (``features``) stands for all of the group. Those of large data run for those who name them alone. SEEDS=1 (or 2 …) trains fewer seeds, and their pages say how many. With DOCS
the page of each group that was run is written: the last figures that were kept.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    by_user,
    events,
    features,
    inputs,
    judging,
    kills,
    loop,
    preparation,
    proof,
    publishing,
    quality,
    reasons,
    rescoring,
    scoring,
    serving,
    sessions,
    training,
    training_speed,
)
from benchmarks.figure import Benchmark, keep
from benchmarks.page import write_page
from contracts.settings import load_settings

BENCHMARKS: dict[str, Benchmark] = {
    "loop.day_seconds": loop.day_seconds,
    "loop.large_day_seconds": loop.large_day_seconds,
    "loop.alarm_to_published": loop.alarm_to_published,
    "loop.monitor_seconds": loop.alarm_to_published,
    "loop.large_alarm_to_published": loop.large_alarm_to_published,
    "features.full_refresh": features.dbt_on_a_year,
    "features.full_refresh_gb": features.dbt_on_a_year,
    "features.growth_exponent": features.dbt_on_a_year,
    "features.incremental_exponent": features.dbt_on_a_year,
    "features.spark_histories": features.spark_histories,
    "features.spark_seconds": features.spark_histories,
    "features.spark_large_histories": features.spark_large_histories,
    "features.spark_large_seconds": features.spark_large_histories,
    **quality.FIGURES,
    by_user.NAME: by_user.movielens_100k,
    "train.time_to_quality": training.time_to_quality,
    "train.vs_rectools": training.vs_rectools,
    "score.vs_product": scoring.vs_product,
    "score.vs_faiss": scoring.vs_faiss,
    "score.million": scoring.million,
    "publish.features": publishing.publish_features,
    "serve.precomputed": serving.precomputed,
    "serve.session": sessions.session,
    "ranking.preparation": preparation.preparation,
    "events.single": events.events,
    "events.batched": events.events,
    "events.decisions": events.events,
    "events.kept": kills.kills,
    "steps.freed_memory": training_speed.freed_memory,
    "ranking.inputs.movielens_100k": inputs.of_real_events("movielens_100k"),
    "ranking.inputs.online_retail": inputs.of_real_events("online_retail"),
    "ranking.inputs.shop": inputs.of_shop,
    "ranking.reasons": reasons.reasons,
    "ranking.unchanged": rescoring.unchanged,
    **dict.fromkeys(judging.CASES, judging.error_rates),
    "proof.recovery": proof.proof_of_a_seed,
    "proof.share_of_daily": proof.proof_of_a_seed,
}
ON_DEMAND = (
    "loop.large_day_seconds",
    "loop.large_alarm_to_published",
    "features.spark_large_histories",
    "features.spark_large_seconds",
    "quality.movielens_1m",
    "quality.tried.beauty",
    "quality.tried.movielens_100k",
)
#: What each group that has a page of its own says about its figures, module by module.
PAGES = {
    group: tuple(room.__doc__ or "" for room in rooms)
    for group, rooms in {
        "events": (events, kills),
        "features": (features,),
        "judge": (judging,),
        "publish": (publishing,),
        "quality": (quality,),
        "score": (scoring,),
        "serve": (serving, sessions),
        "train": (training,),
    }.items()
}


def chosen(asked: Sequence[str]) -> list[str]:
    """The benchmarks that are asked for, by their own or their group's names; without any, all but those on demand."""
    usual = [name for name in BENCHMARKS if name not in ON_DEMAND]
    found: list[str] = []
    for each in asked:
        of_group = [name for name in usual if name.startswith(f"{each}.")]
        if each not in BENCHMARKS and not of_group:
            raise SystemExit(f"{each!r} is no benchmark; there are {', '.join(BENCHMARKS)}")
        found += of_group or [each]
    return _each_once(found or usual)


def _each_once(names: list[str]) -> list[str]:
    """Without those whose figures another's measurement prints as well."""
    return list({BENCHMARKS[name]: name for name in reversed(names)}.values())[::-1]


def main(asked: Sequence[str], docs: Path | None = None) -> None:
    """Run the benchmarks that are asked for, and write the pages of their groups into ``docs``."""
    names = chosen(asked)
    home = load_settings().home
    print(f"{'figure':<32}{'value':>12}{'reference':>12}{'ratio':>8}  unit; reference")
    for name in names:
        folder = home / "bench" / name
        shutil.rmtree(folder, ignore_errors=True)
        for measured in BENCHMARKS[name](folder):
            keep(measured, home / "bench.jsonl")
            told = f"{measured.name:<32}{measured.value:>12,.2f}{measured.reference:>12,.2f}{measured.ratio:>8.2f}"
            print(f"{told}  {measured.unit}; {measured.reference_is}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    for group in sorted({name.partition(".")[0] for name in names} & set(PAGES)) if docs else ():
        print(f"wrote {write_page(docs, group, PAGES[group], home / 'bench.jsonl')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks, or groups of them")
    parser.add_argument("--docs", type=Path, help="write the groups' pages into this folder")
    arguments = parser.parse_args()
    main(arguments.names, arguments.docs)
