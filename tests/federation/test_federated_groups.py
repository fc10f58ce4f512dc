"""The groups that a provider names are groups here exactly as long as it names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.federation.conftest import Federation, Member

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("provider", ["trusted"])
def test_a_group_lost_at_the_provider_is_lost_here_at_the_next_login(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]], provider: str
) -> None:
    with new_member(provider) as person:
        seen = []
        for groups in (["up-research", "up-admins", "security"], ["up-ops"], "up-research", [], None):
            federation.at(provider).person(person.email, groups=groups)
            seen.append(federation.login(provider, acr="aal1").claims()["groups"])
    assert seen == [["quant", "viewer"], ["sre", "viewer"], ["quant", "viewer"], [], []]


def test_a_provider_without_a_mapping_gives_no_group(
    federation: Federation, new_member: Callable[..., AbstractContextManager[Member]]
) -> None:
    with new_member("plain") as person:
        federation.at("plain").person(person.email, groups=["up-research", "research", "/research", "security"])
        assert federation.login("plain", acr="aal1").claims()["groups"] == []
