"""Plain http is for providers on this machine, whose names RFC 6761 lists, and for nobody else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from session_broker.access import ProviderRule


def _rule(issuer: str) -> ProviderRule:
    return ProviderRule.model_validate(
        {"issuer": issuer, "jwks_url": f"{issuer}/jwks", "audiences": ["tradepulse"], "accepts": ["id_token"]}
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "https://idp.example",
        "http://localhost:8090/a",
        "http://127.0.0.1:1",
        "http://neighbours.localhost:8090/workforce",
    ],
)
def test_https_and_this_machine_are_taken(issuer: str) -> None:
    assert _rule(issuer).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "http://idp.example",
        "http://localhost.example",
        "http://notlocalhost",
        "http://.localhost.example:1",
        "http://127.0.0.1.example",
        "ftp://localhost",
        "http://",
    ],
)
def test_everybody_else_is_refused_without_tls(issuer: str) -> None:
    with pytest.raises(ValidationError, match="plain http is for the loopback"):
        _rule(issuer)
