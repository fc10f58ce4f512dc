"""The one error of writing audit lines."""

from __future__ import annotations


class AuditUnavailable(Exception):
    """The event is not known to be durable; whatever it records must not take effect.

    The caller answers 503. `retry_after` is in seconds.
    """

    retry_after = 5
