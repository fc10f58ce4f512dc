"""What the vault counts. Labels come from fixed sets: nothing a caller or a partner chose becomes one."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from identity.serving import registries

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        registry, self._registry = registries()
        self._answers: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "vault_requests", "Requests answered.", ("endpoint", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "vault_request_seconds", "Time to answer.", ("endpoint",), buckets=_SECONDS, registry=registry
        )
        self.refusals = Counter(
            "vault_refusals", "Requests refused or failed, by audit reason.", ("event", "reason"), registry=registry
        )
        self.tokens = Counter(
            "vault_bearer_tokens", "Bearer tokens looked at, by result.", ("result",), registry=registry
        )
        self.summarised = Counter(
            "vault_bearer_tokens_summarised",
            "Refused bearer tokens beyond the rate at which each gets an audit line.",
            registry=registry,
        )
        self.releases = Counter("vault_releases", "Access tokens released.", registry=registry)
        self.stores = Counter("vault_stores", "Token sets stored.", registry=registry)
        self.legacy_reads = Counter(
            "vault_legacy_reads", "Releases by the row format that served them.", ("format",), registry=registry
        )
        self.leases_issued = Counter("vault_leases_issued", "Leases issued.", ("kind",), registry=registry)
        self.leases_ended = Counter(
            "vault_leases_ended",
            "Leases whose target has said that they are gone.",
            ("kind", "reason"),
            registry=registry,
        )
        self.leases = Gauge(
            "vault_leases",
            "Leases that are not known to be gone.",
            ("state",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.leases_irrevocable = Gauge(
            "vault_leases_irrevocable",
            "Leases that do not end. Any is an incident.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.integrity_failures = Counter(
            "vault_integrity_failures", "Sealed values that did not open. Any is an incident.", registry=registry
        )
        self.key_mismatches = Counter(
            "vault_key_context_mismatches", "Uses of a key whose salt is missing or another.", registry=registry
        )
        self.shipped = Counter("vault_audit_shipped", "Audit lines appended to the file.", registry=registry)
        self.ship_failures = Counter("vault_audit_ship_failures", "Failed rounds of the shipper.", registry=registry)
        self.ship_lag = Gauge(
            "vault_audit_ship_lag_seconds",
            "Age of the oldest line that is in no file yet.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.task_rounds = Counter(
            "vault_task_rounds", "Rounds of the worker's tasks, by result.", ("task", "result"), registry=registry
        )
        self.task_failing = Gauge(
            "vault_task_failures_in_a_row",
            "Failed rounds since the last good one.",
            ("task",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.task_seconds = Histogram(
            "vault_task_seconds", "Time of one round.", ("task",), buckets=_SECONDS, registry=registry
        )
        self.rotated = Counter("vault_rotation_rows", "Rows moved to a newer key.", registry=registry)
        self.rotation_failures = Counter(
            "vault_rotation_failures", "Rows that did not open in a rotation. Any is an incident.", registry=registry
        )
        self.refreshes = Counter("vault_refreshes", "Refreshes, by what came of them.", ("outcome",), registry=registry)
        self.refresh_failures = Counter(
            "vault_refresh_failures", "Refreshes that gave nothing, by reason.", ("reason",), registry=registry
        )
        self.refresh_seconds = Histogram(
            "vault_refresh_seconds", "Time of a refresh that called its broker.", buckets=_SECONDS, registry=registry
        )
        self.refresh_overdue = Gauge(
            "vault_refresh_overdue_seconds",
            "Age of the oldest refresh that is due and not done.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.refresh_failing = Gauge(
            "vault_refresh_failing",
            "Connections whose last refresh failed.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.circuits_open = Gauge(
            "vault_broker_circuits_open",
            "Brokers that are left alone for a while.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.alerts = Counter(
            "vault_alerts", "Alerts to partners, by what came of them.", ("result",), registry=registry
        )
        self.holdings = Gauge(
            "vault_holdings",
            "What is held over all partners: how many, and ages in seconds. What nobody measured yet is not there.",
            ("what",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.keys = Gauge(
            "vault_partners_with_keys",
            "Partners whose keys are in memory.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def answered(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Counts one answer and how long it took, in seconds."""
        key = (endpoint, method if method in _METHODS else "other", str(status))
        known = self._answers.get(key)
        if known is None:
            # Looking a series up by its labels costs more than counting in it.
            known = self._answers[key] = (self.requests.labels(*key), self.seconds.labels(endpoint))
        known[0].inc()
        known[1].observe(seconds)

    def held(self, figures: Mapping[str, float | None]) -> None:
        """Says how much is held, and how old it is; what is None there is nothing of."""
        for what, value in figures.items():
            if value is not None:
                self.holdings.labels(what).set(value)

    def bearer_tokens(self) -> dict[str, int]:
        """How many bearer tokens came to which result since the process started."""
        return {
            sample.labels["result"]: int(sample.value)
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == "vault_bearer_tokens_total"
        }

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
