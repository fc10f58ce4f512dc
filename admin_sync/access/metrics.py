"""What the service counts. Labels come from fixed sets: nothing that a caller chose becomes one."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from admin_sync.access.store.waiting import Decided, Standing
from identity.serving import registries

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        registry, self._registry = registries()
        self.requests = Counter(
            "access_http_requests", "Requests answered.", ("endpoint", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "access_http_request_seconds", "Time to answer.", ("endpoint",), buckets=_SECONDS, registry=registry
        )
        self.refusals = Counter(
            "access_refusals", "Requests refused, by audit event and reason.", ("event", "reason"), registry=registry
        )
        self.summarised = Counter(
            "access_bearer_tokens_summarised",
            "Refused bearer tokens beyond the rate at which each gets an audit line.",
            registry=registry,
        )
        self.shipped = Counter("access_audit_shipped", "Audit lines appended to the file.", registry=registry)
        self.ship_failures = Counter("access_audit_ship_failures", "Failed rounds of the shipper.", registry=registry)
        self.ship_lag = Gauge(
            "access_audit_ship_lag_seconds",
            "Age of the oldest line that is in no file yet.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.standing = Gauge(
            "access_requests", "Requests by kind and state.", ("kind", "state"), registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.oldest = Gauge(
            "access_request_oldest_open_seconds",
            "Age of the oldest request that waits for a decision.",
            ("kind",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.decided = Gauge(
            "access_decisions", "Decisions ever made.", ("kind", "outcome"), registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.mean = Gauge(
            "access_decision_seconds_mean",
            "Mean time from a request to its last needed yes, or to the no.",
            ("kind", "outcome"),
            registry=registry,
            multiprocess_mode="livemax",
        )

        self.openings = Gauge(
            "access_break_glass_openings",
            "Emergency accounts: not closed, closed or not and not reviewed, and those whose review is overdue.",
            ("which",),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def answered(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Counts one answer and how long it took, in seconds."""
        self.requests.labels(endpoint, method if method in _METHODS else "other", str(status)).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def told(self, standing: Iterable[Standing], decided: Iterable[Decided]) -> None:
        """Sets what PostgreSQL says about requests; it counts for all processes and outlives them."""
        for one in standing:
            self.standing.labels(one.kind, one.state).set(one.count)
            if one.state == "open":
                self.oldest.labels(one.kind).set(one.oldest_seconds if one.count else 0)
        for each in decided:
            self.decided.labels(each.kind, each.outcome).set(each.count)
            self.mean.labels(each.kind, each.outcome).set(each.mean_seconds)

    def emergencies(self, not_closed: int, not_reviewed: int, overdue: int) -> None:
        """Sets how many openings of emergency accounts wait for what."""
        for which, count in (("not_closed", not_closed), ("not_reviewed", not_reviewed), ("overdue", overdue)):
            self.openings.labels(which).set(count)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
