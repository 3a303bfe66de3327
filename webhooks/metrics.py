"""Prometheus metrics. Labels are routes, codes, states and connection keys; never personal data (promise P10)."""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from connector.services import Services
from connector.store import calls, commands, held_news, reading

#: Set (by webhooks.serve) when several processes answer: each writes its counters there, any can add them up.
SHARED = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """Counts the edge's answers, and reports what waits in the store when it is asked."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "hearback_http_answers", "Answers by route and status.", ("route", "status"), registry=self._registry
        )
        self._errors = Counter(
            "hearback_http_unexpected_errors", "Requests that met an error nobody foresaw.", registry=self._registry
        )
        self._children: dict[tuple[str, int], Counter] = {}
        self._waiting = _Waiting(services)

    def answered(self, route: str, status: int) -> None:
        """Count one answer."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._answers.labels(route, str(status))
        child.inc()

    def failed(self) -> None:
        """Count one unforeseen error."""
        self._errors.inc()

    def exposition(self) -> bytes:
        """Write everything down in Prometheus' text format.

        Raises:
            StoreUnavailable: what waits cannot be counted.
        """
        waiting = CollectorRegistry()
        waiting.register(self._waiting)
        counted = self._registry
        if os.environ.get(SHARED):
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(waiting)


class _Waiting(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """Count what has no fate yet and what the CRMs do not have yet."""
        with self._services.store.transaction() as tx:
            states = reading.unfinished(tx)
            backlog = commands.backlog(tx)
            found = held_news.found(tx)
            called = calls.totals(tx)
        deliveries = GaugeMetricFamily("hearback_deliveries", "Deliveries without a fate, by state.", labels=("state",))
        for state in ("stored", "waiting", "quarantined"):
            deliveries.add_metric((state,), states.get(state, 0))
        pending = GaugeMetricFamily(
            "hearback_commands_pending", "Commands a CRM does not have yet.", labels=("connection", "object_type")
        )
        for labels, count in backlog.items():
            pending.add_metric(labels, count)
        unannounced = CounterMetricFamily(
            "hearback_sweep_found", "Waiting leads that got an owner unannounced: 0, or a fault of ours."
        )
        unannounced.add_metric((), found)
        crm_calls = CounterMetricFamily(
            "hearback_crm_calls", "Calls to the CRMs, by what they were for.", labels=("connection", "purpose")
        )
        for labels, count in called.items():
            crm_calls.add_metric(labels, count)
        return deliveries, pending, unannounced, crm_calls

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not ask the database."""
        return ()
