"""What a proof came to: its verdict with reasons, its table, its plot.

Clicks are the expected ones: the sum of the chances that the world gave to what was shown. Those that happened scatter
about them and are told beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from rich.table import Table
from scipy.stats import t

from simulator.command import console

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simulator.proof import SeedResult

#: What has to hold, over all seeds.
SHARE_OF_DAILY, RECOVERY, SHARE_OF_RETRAININGS, COVERAGE_KEPT, GINI_RISEN = 0.95, 0.90, 0.25, 0.8, 0.05
_WEEK = 7


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval (Student's t); of one seed there is none."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def half_width(self) -> float | None:
        if len(self.values) < 2:
            return None
        number = len(self.values)
        return float(t.ppf(0.975, number - 1)) * stdev(self.values) / sqrt(number)

    def __str__(self) -> str:
        return f"{self}"

    def __format__(self, spec: str) -> str:
        half, spec = self.half_width, spec or ".3f"
        if half is None:
            return f"{self.mean:{spec}}"
        return f"{self.mean:{spec}} [{self.mean - half:{spec}}, {self.mean + half:{spec}}]"


@dataclass(frozen=True)
class Claim:
    """One thing that the proof claims, and whether it holds."""

    sentence: str
    estimate: Estimate
    holds: bool
    held: tuple[bool, ...]  # a seed each


@dataclass(frozen=True)
class ProofVerdict:
    """Every claim; all have to hold."""

    claims: tuple[Claim, ...]

    @property
    def is_proven(self) -> bool:
        return all(claim.holds for claim in self.claims)


def judge_proof(results: Sequence[SeedResult]) -> ProofVerdict:
    """Do the claims hold, on average over the seeds?"""

    def claim(
        sentence: str, figure: Callable[[SeedResult], float], at_least: float | None, at_most: float = 0
    ) -> Claim:
        estimate = Estimate(tuple(figure(result) for result in results))

        def is_held(value: float) -> bool:
            return value >= at_least if at_least is not None else value <= at_most

        return Claim(
            sentence, estimate, is_held(estimate.mean), tuple(is_held(value) for value in estimate.values)
        )

    return ProofVerdict(
        (
            claim(
                f"share of daily retraining's clicks (at least {SHARE_OF_DAILY:g})",
                share_of_daily,
                SHARE_OF_DAILY,
            ),
            claim(
                f"share of its retrainings (at most {SHARE_OF_RETRAININGS:g})",
                share_of_retrainings,
                None,
                SHARE_OF_RETRAININGS,
            ),
            claim(f"won back of what the shift cost (at least {RECOVERY:g})", recovery, RECOVERY),
            claim(
                f"coverage kept, least of any week (at least {COVERAGE_KEPT:g})", coverage_kept, COVERAGE_KEPT
            ),
            claim(
                f"Gini of exposure risen by, most of any week (at most {GINI_RISEN:g})",
                gini_risen,
                None,
                GINI_RISEN,
            ),
        )
    )


def share_of_daily(result: SeedResult) -> float:
    """Adaptive clicks a visit over those of daily retraining, over all live days."""
    return result.arms["adaptive"].clicks_per_visit() / result.arms["daily"].clicks_per_visit()


def share_of_retrainings(result: SeedResult) -> float:
    return result.arms["adaptive"].num_retrainings / max(result.arms["daily"].num_retrainings, 1)


def recovery(result: SeedResult) -> float:
    """Of what the frozen arm lacks of the daily one since the shift: the share that the adaptive arm has."""
    since = result.plan.shift_day.isoformat()
    adaptive, frozen, daily = (
        result.arms[name].clicks_per_visit(since) for name in ("adaptive", "frozen", "daily")
    )
    return (adaptive - frozen) / (daily - frozen) if daily > frozen else 0.0


def coverage_kept(result: SeedResult) -> float:
    """The least coverage of any week over that of the first day."""
    days = result.arms["adaptive"].days
    weeks = [
        mean(day.coverage for day in days[start : start + _WEEK]) for start in range(len(days) - _WEEK + 1)
    ]
    return min(weeks) / days[0].coverage


def gini_risen(result: SeedResult) -> float:
    """The most that any week's Gini lies above the first day's."""
    days = result.arms["adaptive"].days
    weeks = [mean(day.gini for day in days[start : start + _WEEK]) for start in range(len(days) - _WEEK + 1)]
    return max(weeks) - days[0].gini


def show_table(results: Sequence[SeedResult], verdict: ProofVerdict) -> None:
    """Print arms and claims."""
    table = Table(title=f"Arms, {len(results)} seed(s)", title_justify="left")
    for column in ("arm", "clicks a visit", "since the shift", "happened", "of the optimum", "retrainings"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in arm_rows(results):
        table.add_row(*row)
    console.print(table)
    claims = Table(title="Claims", title_justify="left")
    for column in ("claim", "mean [95 % interval]", "holds", "of each seed"):
        claims.add_column(column)
    for claim in verdict.claims:
        claims.add_row(*claim_row(claim, "NO"))
    console.print(claims)
    seeds = Table(title="Seeds", title_justify="left")
    for column in SEED_COLUMNS:
        seeds.add_column(column, justify="right")
    for row in seed_rows(results, verdict):
        seeds.add_row(*row)
    console.print(seeds)
    for result in results:
        for told in _told_of(result):
            console.print(told, markup=False)


def arm_rows(results: Sequence[SeedResult]) -> list[tuple[str, ...]]:
    """One row an arm: name, clicks a visit, the same since the shift, those that happened, share of the optimum,
    retrainings."""
    rows: list[tuple[str, ...]] = []
    for name in results[0].arms:
        arms = [result.arms[name] for result in results]
        happened = [
            sum(day.clicks for day in arm.days) / max(sum(day.visits for day in arm.days), 1) for arm in arms
        ]
        optimum = [result.arms["optimum"].clicks_per_visit() for result in results]
        rows.append(
            (
                name,
                str(Estimate(tuple(arm.clicks_per_visit() for arm in arms))),
                str(
                    Estimate(
                        tuple(
                            arm.clicks_per_visit(result.plan.shift_day.isoformat())
                            for arm, result in zip(arms, results, strict=True)
                        )
                    )
                ),
                f"{mean(happened):.3f}",
                f"{mean(arm.clicks_per_visit() / best for arm, best in zip(arms, optimum, strict=True)):.3f}",
                f"{mean(arm.num_retrainings for arm in arms):.1f}" if arms[0].verdicts else "",
            )
        )
    return rows


def claim_row(claim: Claim, no: str) -> tuple[str, ...]:
    """A claim's sentence, its estimate, whether it holds on average, and on how many seeds it does."""
    return (
        claim.sentence,
        str(claim.estimate),
        "yes" if claim.holds else no,
        f"{sum(claim.held)} of {len(claim.held)}",
    )


SEED_COLUMNS = (
    "seed", "share of daily's clicks", "of its retrainings", "won back", "coverage kept", "Gini risen by", "seconds",
)  # fmt: skip


def seed_rows(results: Sequence[SeedResult], verdict: ProofVerdict) -> list[tuple[str, ...]]:
    """One row a seed: what it came to in each claim, and how long it took; see ``SEED_COLUMNS``."""
    return [
        (
            str(result.seed),
            *(f"{claim.estimate.values[place]:.3f}" for claim in verdict.claims),
            f"{result.seconds:,.0f}",
        )
        for place, result in enumerate(results)
    ]


def _told_of(result: SeedResult) -> list[str]:
    """What the adaptive arm did, day by day, where it did something."""
    return [f"seed {result.seed} {line}" for line in told_of_days(result.arms["adaptive"].verdicts)]


def told_of_days(verdicts: Sequence[dict[str, Any]], *, is_judgement_told: bool = False) -> list[str]:
    """A line for each day on which something was called or done, with its reasons; a retraining's own where asked for."""
    lines = []
    for verdict in verdicts:
        if verdict["refused"] or verdict["verdict"] not in ("ok", "") or verdict["retrained"]:
            outcome = f", retraining {verdict['retrained']}" if verdict["retrained"] else ""
            judged = verdict["retraining_reasons"] if is_judgement_told else ()
            reasons = verdict["refused"] or "; ".join((*verdict["reasons"], *judged))
            lines.append(f"{verdict['day']}: {verdict['verdict']}{outcome}: {reasons}")
    return lines


def write_pages(folder: Path, results: Sequence[SeedResult], verdict: ProofVerdict) -> None:
    """Write proof.md, its table and claims, and proof.svg, its plot."""
    seeds = ", ".join(str(result.seed) for result in results)
    arms = "\n".join(f"| {' | '.join(row)} |" for row in arm_rows(results))
    claims = "\n".join(f"| {' | '.join(claim_row(claim, '**no**'))} |" for claim in verdict.claims)
    by_seed = "\n".join(f"| {' | '.join(row)} |" for row in seed_rows(results, verdict))
    told = "\n".join(f"* {line}" for result in results for line in _told_of(result))
    codes = ", ".join(sorted({result.code for result in results}))
    plan = results[0].plan
    (folder / "proof.md").write_text(
        f"""# The proof

Written by `make proof SEEDS=… DOCS=docs`; nothing on this page is typed by hand. {len(results)} seed(s) ({seeds}), {plan.live_days}
live days each after {plan.history_days} days of history, {plan.num_users:,} people. [docs/simulator.md](simulator.md) tells what
the world does, [docs/monitoring.md](monitoring.md) what rings the alarm. The digest of the code that was measured is {codes}.

![Clicks a visit by day and arm](proof.svg)

| arm | clicks a visit | since the shift | happened | of the optimum | retrainings |
|---|---|---|---|---|---|
{arms}

| claim | mean [95 % interval] | holds | of each seed |
|---|---|---|---|
{claims}

The share of daily retraining's clicks and of its retrainings is that of all live days; what was won back is that of the days
since the shift: (adaptive − frozen) / (daily − frozen). Coverage and Gini are means of seven days, the worst of them, beside the
first live day.

| {" | ".join(SEED_COLUMNS)} |
|{"---|" * len(SEED_COLUMNS)}
{by_seed}

Seconds are wall-clock for all six arms of a seed, side by side on the machine that wrote this page.

## What the adaptive arm called and did

<details><summary>Every day that was not just ok</summary>

{told}

</details>
""",
        encoding="utf-8",
    )
    _plot(folder / "proof.svg", results)


def _plot(path: Path, results: Sequence[SeedResult]) -> None:
    """Clicks a visit by live day, a line an arm, the mean over seeds."""
    plan = results[0].plan
    with drawn(path) as axes:
        for name in results[0].arms:
            by_day = [
                mean(
                    result.arms[name].days[number].expected_clicks
                    / max(result.arms[name].days[number].visits, 1)
                    for result in results
                )
                for number in range(plan.live_days)
            ]
            axes.plot(range(plan.live_days), by_day, label=name, linewidth=2 if name == "adaptive" else 1)
        axes.axvline(plan.shift_on, color="grey", linestyle=":")
        axes.text(plan.shift_on, axes.get_ylim()[1], " taste shifts", va="top")
        axes.set_xlabel("live day")
        axes.set_ylabel("expected clicks a visit")


@contextmanager
def drawn(path: Path) -> Iterator[Axes]:
    """Axes to draw lines on that begin at 0; afterwards they are an SVG file with a legend, the same bytes of the same lines."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "foretaste"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    yield axes
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=6, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
