"""What a person is told about a stack: a line per service, and where to go from here."""

from __future__ import annotations

from stack import control
from stack.layout import Layout
from stack.process import Known
from stack.service import healthy


def lines(layout: Layout) -> tuple[list[str], bool]:
    """A line per service, and whether the supervisor lives and every service is up and healthy."""
    state = control.state(layout)
    services = state.get("services", {})
    supervisor = control.supervisor(layout)
    if supervisor is None:
        left = [name for name, facts in services.items() if _process(facts)]
        remark = f"; left over: {', '.join(left)} (`make down` ends them)" if left else ""
        return [f"down: no supervisor{remark}"], False
    shown = [f"{'supervisor':<15} up       pid {supervisor.pid:<8} {_age(supervisor.age):>8}"]
    well = True
    for name, facts in services.items():
        process = _process(facts)
        health = "healthy" if process and healthy(facts["health"]) else "not healthy"
        well = well and health == "healthy"
        status = "up" if process else facts["status"]
        pid = f"pid {process.pid:<8} {_age(process.age):>8}" if process else f"{'':<21}"
        restarts = f"  {facts['restarts']} restarts" if facts["restarts"] else ""
        shown.append(f"{name:<15} {status:<8} {pid}  {facts['url']:<34} {health}{restarts}")
    return shown, well and bool(services)


def welcome(layout: Layout) -> list[str]:
    """Addresses, logins and next commands."""
    urls = control.state(layout).get("urls", {})
    return [
        f"Keycloak    {urls['keycloak']}/realms/tradepulse-dev/.well-known/openid-configuration",
        f"vault-api   {urls['vault']}/openapi.json",
        f"workspace   {urls['workspace']}  (where partners link brokers and staff ask for access)",
        f"DMZ proxy   {urls['proxy']}/v1/  (the vault behind the token exchange; docs/dmz.md)",
        f"OPA         {urls['opa']}",
        f"providers   {urls['neighbours']}/workforce  (OpenID providers of others, played by a real server)",
        f"logins      {layout.secret('logins.txt')}  (one-time passwords of the people of dev)",
        f"settings    {layout.environment}",
        f"audit       {layout.audit}",
        "",
        f"Next: set -a; . {layout.environment}; set +a; .venv/bin/admin-sync plan",
        "      make status | make logs | make demo | make test | make down",
    ]


def _process(facts: dict[str, int | None]) -> Known | None:
    pid, started = facts.get("pid"), facts.get("started")
    if pid is None or started is None:
        return None
    process = Known(pid, started)
    return process if process.alive else None


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
