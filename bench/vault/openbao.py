"""OpenBao as a careful operator would run it: file audit on, a service token with one policy and `default`."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.peers import BAO, PROGRAMS
from stack.ports import unused

_CONFIG = """\
{storage}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
audit "file" "bench" {{
  options {{ file_path = "{home}/audit.log" }}
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
"""

_POLICY = """\
path "kv/*" { capabilities = ["create", "read", "update"] }
path "transit/*" { capabilities = ["create", "read", "update"] }
"""

KEY = "bench"
CONTEXTS = 50


@dataclass(frozen=True, slots=True)
class Bao:
    """A running, unsealed server; `token` may read and write, and nothing else."""

    url: str
    pid: int
    token: str
    http: httpx.Client

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """One request as root of its JSON. Raises httpx.HTTPStatusError."""
        answer = self.http.request(method, f"/v1/{path}", json=body or None)
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    def ciphertexts(self, secret: str, count: int) -> list[tuple[str, str]]:
        """`count` values encrypted under derived keys: ciphertext and context each."""
        contexts = [base64.b64encode(f"context-{number % CONTEXTS}".encode()).decode() for number in range(count)]
        plain = base64.b64encode(secret.encode()).decode()
        made: list[tuple[str, str]] = []
        for begin in range(0, count, 200):
            batch = [{"plaintext": plain, "context": context} for context in contexts[begin : begin + 200]]
            done = self.call("POST", f"transit/encrypt/{KEY}", batch_input=batch)["data"]["batch_results"]
            made += [
                (item["ciphertext"], context) for item, context in zip(done, contexts[begin : begin + 200], strict=True)
            ]
        return made


@contextmanager
def openbao(home: Path, storage: str) -> Iterator[Bao]:
    """A server on `storage` (a stanza of its configuration), initialised, with kv-v2 and transit mounted."""
    home.mkdir(mode=0o700)
    port = unused()
    config = home / "bao.hcl"
    config.write_text(_CONFIG.format(storage=storage, port=port, cluster=unused(), home=home))
    config.chmod(0o600)
    with (home / "bao.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            [str(PROGRAMS[BAO].find()), "server", f"-config={config}"], stdout=log, stderr=log, cwd=home
        )
    url = f"http://127.0.0.1:{port}"
    http = httpx.Client(base_url=url, timeout=60, trust_env=False)
    try:
        yield _ready(Bao(url, server.pid, "", http), server, home)
    finally:
        http.close()
        server.terminate()
        server.wait(30)


def raft(home: Path) -> str:
    """The stanza of integrated storage, its own recommendation."""
    (home.parent / f"{home.name}-data").mkdir(mode=0o700)
    return f'storage "raft" {{\n  path = "{home.parent / f"{home.name}-data"}"\n  node_id = "one"\n}}'


def postgresql(dsn: str) -> str:
    """The stanza of PostgreSQL storage."""
    return f'storage "postgresql" {{\n  connection_url = "{dsn}?sslmode=disable"\n}}'


def _ready(bao: Bao, server: subprocess.Popen[bytes], home: Path) -> Bao:
    until = time.monotonic() + 60
    while True:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError((home / "bao.log").read_text()[-2000:])
        try:
            bao.http.get("/v1/sys/health")
            break
        except httpx.TransportError:
            time.sleep(0.1)
    made = bao.call("PUT", "sys/init", secret_shares=1, secret_threshold=1)
    bao.call("PUT", "sys/unseal", key=made["keys"][0])
    bao.http.headers["X-Vault-Token"] = made["root_token"]
    while bao.http.get("/v1/sys/health").status_code != 200:
        if time.monotonic() > until:
            raise RuntimeError((home / "bao.log").read_text()[-2000:])
        time.sleep(0.1)
    bao.call("POST", "sys/mounts/kv", type="kv", options={"version": "2"})
    bao.call("POST", "sys/mounts/transit", type="transit")
    bao.call("POST", f"transit/keys/{KEY}", derived=True)
    bao.call("PUT", "sys/policies/acl/bench", policy=_POLICY)
    token = bao.call("POST", "auth/token/create", policies=["bench"], ttl="2h")["auth"]["client_token"]
    _await_kv(bao, until)
    if not (home / "audit.log").stat().st_size:
        raise RuntimeError("OpenBao does not audit, so it is not what was to be measured")
    return Bao(bao.url, bao.pid, token, bao.http)


def _await_kv(bao: Bao, until: float) -> None:
    """kv-v2 upgrades its own storage for a moment after it was mounted."""
    while bao.http.post("/v1/kv/data/first", json={"data": {"a": "b"}}).status_code != 200:
        if time.monotonic() > until:
            raise RuntimeError("OpenBao's kv-v2 takes no secret")
        time.sleep(0.2)
