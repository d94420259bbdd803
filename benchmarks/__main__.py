"""``make bench``: run the benchmarks, or those named, and print each figure beside its reference.

Those of large data run for those who name them alone.
"""

from __future__ import annotations

import shutil
import sys

from benchmarks import loop, preparation, proof
from benchmarks.figure import Benchmark, keep
from contracts.settings import load_settings

BENCHMARKS: dict[str, Benchmark] = {
    "features.preparation": preparation.preparation,
    "loop.day_seconds": loop.day_seconds,
    "loop.large_day_seconds": loop.large_day_seconds,
    "loop.alarm_to_published": loop.alarm_to_published,
    "loop.monitor_seconds": loop.alarm_to_published,
    "loop.large_alarm_to_published": loop.large_alarm_to_published,
    "proof.recovery": proof.proof_of_a_seed,
    "proof.share_of_daily": proof.proof_of_a_seed,
}
ON_DEMAND = ("loop.large_day_seconds", "loop.large_alarm_to_published")


def _each_once(names: list[str]) -> list[str]:
    """Without those whose figures another's measurement prints as well."""
    return list({BENCHMARKS[name]: name for name in reversed(names)}.values())[::-1]


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all but those on demand."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise SystemExit(f"{unknown[0]!r} is no benchmark; there are {', '.join(BENCHMARKS)}")
    home = load_settings().home
    print(f"{'figure':<32}{'value':>12}{'reference':>12}{'ratio':>8}  unit; reference")
    for name in _each_once(names or [name for name in BENCHMARKS if name not in ON_DEMAND]):
        folder = home / "bench" / name
        shutil.rmtree(folder, ignore_errors=True)
        for measured in BENCHMARKS[name](folder):
            keep(measured, home / "bench.jsonl")
            told = f"{measured.name:<32}{measured.value:>12,.1f}{measured.reference:>12,.1f}{measured.ratio:>8.2f}"
            print(f"{told}  {measured.unit}; {measured.reference_is}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
