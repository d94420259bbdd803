"""Figures of this process for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Seconds; the promise of 250 ms and the goal of 5 ms are borders.
_BORDERS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """What is counted.

    Args:
        age: seconds since the version that is served was first published; NaN while there is none.
        is_store_up: can the online store be asked?
    """

    def __init__(self, age: Callable[[], float], is_store_up: Callable[[], bool]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "foretaste_requests", "Answers by route and status.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "foretaste_request_latency_seconds",
            "From a request's head to its answer, by route.",
            ("route",),
            registry=registry,
            buckets=_BORDERS,
        )
        self._decisions = Counter(
            "foretaste_decisions",
            "Decisions by where they come from and why not from higher.",
            ("source", "fallback"),
            registry=registry,
        )
        Gauge(
            "foretaste_version_age_seconds", "Since what is served was first published.", registry=registry
        ).set_function(age)
        Gauge("foretaste_store_up", "1 while the online store can be asked.", registry=registry).set_function(
            lambda: float(is_store_up())
        )
        self._of_answer: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._of_decision: dict[tuple[str, str | None], Counter] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        found = self._of_answer.get((route, status))
        if found is None:
            found = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._of_answer[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def decided(self, source: str, fallback: str | None) -> None:
        found = self._of_decision.get((source, fallback))
        if found is None:
            found = self._of_decision[source, fallback] = self._decisions.labels(source, fallback or "none")
        found.inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)
