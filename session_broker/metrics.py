"""What the session broker counts. Labels come from fixed sets: nothing that a caller chose becomes one."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from identity.serving import registries

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one process, in a registry of their own; `render` answers for all of a service's."""

    def __init__(self) -> None:
        registry, self._registry = registries()
        self._answers: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "session_broker_requests", "Requests answered.", ("endpoint", "status"), registry=registry
        )
        self.seconds = Histogram(
            "session_broker_request_seconds", "Time to answer.", ("endpoint",), buckets=_SECONDS, registry=registry
        )
        self.grants = Counter(
            "session_broker_grants", "Admitted requests.", ("service", "provider", "cached"), registry=registry
        )
        self.refusals = Counter(
            "session_broker_refusals",
            "Requests not admitted, by audit reason.",
            ("reason",),
            registry=registry,
        )
        self.summarised = Counter(
            "session_broker_refusals_summarised",
            "Refusals beyond the rate at which each gets an audit line.",
            registry=registry,
        )
        self.exchanges = Counter(
            "session_broker_exchanges", "Exchanges, by what came of them.", ("provider", "result"), registry=registry
        )
        self.exchange_seconds = Histogram(
            "session_broker_exchange_seconds", "Time of one exchange.", buckets=_SECONDS, registry=registry
        )
        self.circuit_open = Gauge(
            "session_broker_circuit_open",
            "Whether the identity provider is left alone for a while.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.grants_kept = Gauge(
            "session_broker_grants_kept", "Grants in memory.", registry=registry, multiprocess_mode="livesum"
        )
        self.sessions_ended = Counter(
            "session_broker_sessions_ended", "Logout tokens taken.", ("provider",), registry=registry
        )
        self.migration = Counter(
            "session_broker_migration_tokens",
            "In a migration: who still comes with which kind of token.",
            ("kind", "client", "phase"),
            registry=registry,
        )
        self.unmatched = Counter(
            "session_broker_migration_unmatched",
            "Legacy tokens for which no internal one could be had to go on beside them.",
            ("reason",),
            registry=registry,
        )
        self.lease_failures = Counter(
            "session_broker_lease_failures",
            "Logouts after which the vault did not confirm that the leases end.",
            registry=registry,
        )
        self.relay_failures = Counter(
            "session_broker_relay_failures",
            "Attempts to pass a logout on that an application did not confirm.",
            registry=registry,
        )

    def answered(self, endpoint: str, _method: str, status: int, seconds: float) -> None:
        """Counts one answer and how long it took, in seconds. An endpoint here has one method."""
        known = self._answers.get((endpoint, status))
        if known is None:
            # Looking a series up by its labels costs more than counting in it.
            known = (self.requests.labels(endpoint, str(status)), self.seconds.labels(endpoint))
            self._answers[endpoint, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def exchanged(self, provider: str, result: str, seconds: float) -> None:
        """Counts one exchange and how long it took, in seconds."""
        self.exchanges.labels(provider, result).inc()
        self.exchange_seconds.observe(seconds)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
