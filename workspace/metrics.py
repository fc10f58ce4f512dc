"""What the workspace counts (Prometheus)."""

from __future__ import annotations

from prometheus_client import Counter, Histogram, generate_latest

from identity.serving import registries


class Metrics:
    """Counters of this process, answered for all processes of the service."""

    def __init__(self) -> None:
        own, self._answered = registries()
        self.requests = Counter(
            "workspace_requests_total",
            "Requests answered.",
            ("page", "method", "status"),
            registry=own,
        )
        self.seconds = Histogram(
            "workspace_request_seconds",
            "Time until a page is answered.",
            ("page",),
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=own,
        )
        self.logins = Counter("workspace_logins_total", "Logins that came back.", ("outcome",), registry=own)

    def answered(self, page: str, method: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self.requests.labels(page, method, str(status)).inc()
        self.seconds.labels(page).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._answered)
