"""Figures of this process for Prometheus: counted in plain numbers, and told in its format when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: Seconds; the promise of 250 ms and the goal of 5 ms are borders.
_BORDERS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics(Collector):
    """What is counted.

    Args:
        age: seconds since the version that is served was first published; NaN while there is none.
        is_store_up: can the online store be asked?
        num_blocked: items that nobody is shown.
        of_journal: events by what became of them, and decisions by whether they were logged.
    """

    def __init__(
        self,
        age: Callable[[], float],
        is_store_up: Callable[[], bool],
        num_blocked: Callable[[], int],
        of_journal: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]],
    ) -> None:
        self._age, self._is_store_up = age, is_store_up
        self._num_blocked, self._of_journal = num_blocked, of_journal
        self._requests = Counter[tuple[str, int]]()
        self._latencies: dict[str, list[int]] = {}  # by route: how many took up to each border, and longer
        self._seconds = Counter[str]()
        self._decisions = Counter[tuple[str, str | None]]()

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._requests[route, status] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]
        counts = self._latencies.get(route)
        if counts is None:
            counts = self._latencies[route] = [0] * (len(_BORDERS) + 1)
        counts[bisect_left(_BORDERS, seconds)] += 1

    def decided(self, source: str, fallback: str | None) -> None:
        self._decisions[source, fallback] += 1

    def collect(self) -> Iterator[Metric]:
        """As Prometheus wants it."""
        requests = CounterMetricFamily(
            "foretaste_requests", "Answers by route and status.", labels=("route", "status")
        )
        for (route, status), count in self._requests.items():
            requests.add_metric((route, str(status)), count)
        latency = HistogramMetricFamily(
            "foretaste_request_latency_seconds",
            "From a request's head to its answer, by route.",
            labels=("route",),
        )
        for route, counts in self._latencies.items():
            borders = [*map(str, _BORDERS), "+Inf"]
            latency.add_metric(
                (route,), list(zip(borders, accumulate(counts), strict=True)), self._seconds[route]
            )
        decisions = CounterMetricFamily(
            "foretaste_decisions",
            "Decisions by where they come from and why not from higher.",
            labels=("source", "fallback"),
        )
        for (source, fallback), count in self._decisions.items():
            decisions.add_metric((source, fallback or "none"), count)
        events = CounterMetricFamily(
            "foretaste_events", "Events by what became of them.", labels=("outcome",)
        )
        logged = CounterMetricFamily(
            "foretaste_logged_decisions", "Decisions by whether they were logged.", labels=("outcome",)
        )
        for family, outcomes in zip((events, logged), self._of_journal(), strict=True):
            for outcome, count in outcomes.items():
                family.add_metric((outcome,), count)
        yield from (requests, latency, decisions, events, logged)
        yield GaugeMetricFamily(
            "foretaste_version_age_seconds", "Since what is served was first published.", self._age()
        )
        yield GaugeMetricFamily("foretaste_blocked_items", "Items that nobody is shown.", self._num_blocked())
        yield GaugeMetricFamily(
            "foretaste_store_up", "1 while the online store can be asked.", float(self._is_store_up())
        )

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
