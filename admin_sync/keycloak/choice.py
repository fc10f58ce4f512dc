"""What an operator may say about the way to Keycloak."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

PARALLELISM: Final = 8
"""Requests at once unless somebody says otherwise. On two cores of server more of them gain nothing."""

MOST_PARALLEL: Final = 64
"""More would only fill Keycloak's queue."""


class Choice(StrEnum):
    """Which gateway a run may take."""

    AUTO = "auto"
    REST = "rest"
    BULK = "bulk"
