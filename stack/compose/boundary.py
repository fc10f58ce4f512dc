"""Attacks on a running deployment: what each container reaches, may do and gives away.

Every function returns what it found to be wrong, one line each; an empty list is a boundary that held.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from stack.compose.engine import Container, Engine

PORTS = {
    "postgres": (5432,),
    "keycloak": (8443, 9000, 7800),
    "opa": (8181,),
    "bundles": (8182,),
    "vault-api": (8200,),
    "vault-worker": (8201,),
    "session-broker": (8300,),
    "access": (8500,),
    "reconciler": (8320,),
    "neighbours": (8090,),
    "paper-broker": (8091,),
}
"""Where each service listens."""

OPEN = {("keycloak", 8443), ("vault-api", 8200), ("session-broker", 8300), ("access", 8500)}
"""What the proxy forwards to, in the DMZ. Everything else is closed to it, under every address."""

_PROJECT = "tradepulse"


def reach(engine: Engine, containers: dict[str, Container]) -> tuple[list[str], int]:
    """What the proxy reaches although it must not, or does not although it must; and how many doors were tried."""
    proxy = containers["proxy"]
    wrong, tried = [], 0
    for service, ports in PORTS.items():
        for network, address in containers[service].addresses.items() if service in containers else ():
            for port in ports:
                tried += 1
                wanted = network == f"{_PROJECT}_dmz" and (service, port) in OPEN
                found = _connects(engine, proxy.name, address, port)
                if found != wanted:
                    verb = "reaches" if found else "does not reach"
                    wrong.append(f"the proxy {verb} {service}:{port} by its address in {network}")
    for name in ("postgres.inside", "postgres", "opa.inside", "keycloak.inside", "bundles.inside"):
        tried += 1
        if engine.succeeds(proxy.name, "getent", "hosts", name):
            wrong.append(f"the proxy can resolve {name}")
    return wrong, tried


def stranger(engine: Engine, containers: dict[str, Container]) -> tuple[list[str], int]:
    """The same from a root shell with all of an engine's usual capabilities in the proxy's outer network."""
    doors = [
        (service, port, address)
        for service, ports in PORTS.items()
        if service in containers
        for network, address in containers[service].addresses.items()
        if network != f"{_PROJECT}_egress"
        for port in ports
    ]
    doors_and_proxy = [*doors, ("proxy", 8443, containers["proxy"].addresses[f"{_PROJECT}_outside"])]
    script = "\n".join(f"timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo {address} {port}"
                       for _, port, address in doors_and_proxy)  # fmt: skip
    told = engine.docker(
        "run", "--rm", "--network", f"{_PROJECT}_outside", "--entrypoint", "bash", "debian:bookworm-slim", "-c",
        f"{script}\ntrue", seconds=300,
    )  # fmt: skip
    reached = {tuple(line.split()) for line in told.splitlines()}
    proxy = containers["proxy"].addresses[f"{_PROJECT}_outside"]
    wrong = [] if (proxy, "8443") in reached else ["a stranger outside does not even reach the proxy"]
    wrong += [f"a stranger outside reaches {name}:{port}" for name, port, at in doors if (at, str(port)) in reached]
    return wrong, len(doors)


def hardening(engine: Engine, containers: Iterable[Container]) -> list[str]:
    """What a container may do that it need not, seen from inside where that is possible."""
    wrong = []
    for each in containers:
        host, name = each.facts["HostConfig"], each.service
        status = engine.docker("exec", each.name, "cat", "/proc/1/status")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        facts = {
            "runs as root": lines["Uid"].split()[0] == "0",
            "has capabilities": int(lines["CapEff"], 16) != 0 or int(lines["CapBnd"], 16) != 0,
            "may gain privileges": lines["NoNewPrivs"].strip() != "1",
            "has no system call filter": lines["Seccomp"].strip() != "2",
            "can write its image": not host["ReadonlyRootfs"] or engine.succeeds(each.name, "touch", "/opt/x"),
            "can change its secrets": engine.succeeds(each.name, "touch", "/run/tradepulse/x"),
            "has no limit of memory": not host["Memory"],
            "has no limit of processes": not host["PidsLimit"],
            "can run what it writes": engine.succeeds(each.name, "sh", "-c", "cp /bin/true /tmp/true && /tmp/true"),
        }
        wrong += [f"{name} {fact}" for fact, holds in facts.items() if holds]
    return wrong


def secrets(engine: Engine, containers: Iterable[Container]) -> tuple[list[str], int]:
    """Secrets that can be read from a container's description or log; and how many were looked for."""
    told = engine.docker(
        "run", "--rm", "--network", "none", "--user", "10001:10001", "--volume", f"{_PROJECT}_keys:/keys:ro",
        "--entrypoint", "python", "tradepulse/setup:0.1.0", "-c",
        "import json, pathlib\n"
        "files = [p for p in pathlib.Path('/keys').iterdir() if p.is_file()]\n"
        "files = [p for p in files if p.suffix not in ('.crt', '.pub', '.conf')]\n"
        "lines = {p.name: [l for l in p.read_text().splitlines() if len(l) > 30 and '-----' not in l] for p in files}\n"
        "print(json.dumps({n: l for n, l in lines.items() if n not in ('ca.pem', 'opa.yaml')}))",
    )  # fmt: skip
    values: dict[str, list[str]] = json.loads(told)
    logs = engine.compose("--profile", "*", "logs", "--no-log-prefix", "--no-color")
    wrong = []
    for name, lines in values.items():
        for line in lines:
            wrong += [
                f"{name} stands in the description of {each.service}" for each in containers if line in str(each.facts)
            ]
            if line in logs:
                wrong.append(f"{name} stands in a log")
    return wrong, sum(map(len, values.values()))


def inner(engine: Engine, containers: dict[str, Container]) -> list[str]:
    """What a service that was taken over could do to its neighbours inside."""
    broker = containers["session-broker"].name
    attempts = {
        "session-broker could change a rule of OPA": _asks(
            broker, "PUT", "https://opa.inside:8181/v1/policies/mine", "package mine\n\nallow := true"
        ),
        "session-broker could change what OPA decides by": _asks(
            broker, "PUT", "https://opa.inside:8181/v1/data/tradepulse/iam", "{}"
        ),
        "session-broker could read everything that OPA holds": _asks(
            broker, "GET", "https://opa.inside:8181/v1/data", ""
        ),
    }
    wrong = [text for text, words in attempts.items() if engine.docker("exec", *words).strip() == "200"]
    address = "postgresql://vault_app@postgres.inside/vault?sslmode=disable"
    plain = f"import asyncio, asyncpg; asyncio.run(asyncpg.connect('{address}', password='x'))"
    said = engine.docker("exec", containers["vault-api"].name, "sh", "-c", f'python -c "{plain}" 2>&1 || true')
    if "no encryption" not in said:
        wrong.append(f"PostgreSQL talks without TLS: {said.strip()[-200:]}")
    if _connects(engine, broker, next(iter(containers["postgres"].addresses.values())), 5432):
        wrong.append("session-broker reaches PostgreSQL")
    return wrong


def _asks(container: str, method: str, url: str, body: str) -> list[str]:
    script = (
        "import sys, ssl, urllib.request, urllib.error\n"
        "m, u, b = sys.argv[1:4]\n"
        "r = urllib.request.Request(u, data=b.encode() or None, method=m)\n"
        "try: print(urllib.request.urlopen(r, timeout=5, context=ssl.create_default_context()).status)\n"
        "except urllib.error.HTTPError as e: print(e.code)\n"
    )
    return [container, "python", "-c", script, method, url, body]


def _connects(engine: Engine, container: str, address: str, port: int) -> bool:
    return engine.succeeds(container, "timeout", "2", "bash", "-c", f"</dev/tcp/{address}/{port}")
