"""What the tests of the session broker share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.session_broker.door_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A broker's neighbours, of one test's own."""
    made = World(tmp_path)
    yield made
    made.server.stop()
