"""Fixtures of the tests of bundles: a policy, and where to make bundles of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_workshop import Workshop, sample

from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.source import PolicySource


@pytest.fixture
def source() -> PolicySource:
    """A policy that uses everything there is."""
    return sample()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A key of its own and the real OPA."""
    create_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")
    return Workshop(tmp_path / "key.pem", find_opa())
