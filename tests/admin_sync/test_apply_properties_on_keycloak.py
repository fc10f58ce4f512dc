"""A few random configurations against the real Keycloak, each disturbed at some write and finished all the same.

The promises are those of `test_apply_properties`, which tries many against a model of the server;
this is what shows that the model is no kinder than Keycloak.
"""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from admin_sync_world import Realms
from config_strategies import configurations, write
from faulty_proxy import FaultyProxy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

FEW = settings(
    max_examples=3,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ALLOWED = ("--allow-deletions", "500", "--allow-lockout", "--gateway", "rest")


@FEW
@given(configuration=configurations(), at=st.integers(1, 25), fault=st.sampled_from(["drop", "503"]))
def test_a_random_configuration_disturbed_anywhere_ends_as_declared(
    realms: Realms, configuration: Any, at: int, fault: str
) -> None:
    shutil.rmtree(realms.configuration.directory)
    realms.configuration.directory.mkdir()
    write(configuration, realms.configuration.directory, realms.name)
    proxy = FaultyProxy(realms.environ["ADMIN_SYNC_KEYCLOAK_URL"])
    try:
        proxy.decide = lambda number: fault if number == at else None
        environ = {**realms.environ, "ADMIN_SYNC_KEYCLOAK_URL": proxy.url}
        cut = Realms(realms.name, realms.configuration, environ, realms.admin).run("apply", *ALLOWED)
        assert cut.code == 0, cut.err
    finally:
        proxy.close()
    left = realms.run("plan", "--detailed-exitcode", "--gateway", "rest")
    assert left.code == 0, left.out
