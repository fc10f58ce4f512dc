"""What partners, connections and brokers may be called: ASCII, lower case, compared exactly."""

from __future__ import annotations

import re

CONNECTION_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$"
BROKER_PATTERN = "^[a-z][a-z0-9_.-]{0,62}$"

_PARTNER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
_CONNECTION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_BROKER = re.compile(r"[a-z][a-z0-9_.-]{0,62}\Z")


def is_partner(name: str) -> bool:
    """Whether a partner could have this name; one that could not does not exist."""
    return _PARTNER.match(name) is not None


def is_connection(name: str) -> bool:
    """Whether a connection could have this name."""
    return _CONNECTION.match(name) is not None


def is_broker(name: str) -> bool:
    """Whether a broker could have this name."""
    return _BROKER.match(name) is not None
