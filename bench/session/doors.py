"""Three nginx in front of one upstream that answers with the `Authorization` that it saw."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import OAUTH2_PROXY, PROGRAMS
from session_broker.nginx.render import render
from session_broker.nginx.site import Limits, Site, Upstream
from stack import proxy
from stack.account import Account, reachable_home, unprivileged
from stack.ports import unused
from stack.process import end, known, spawn
from stack.service import healthy

_LIMITS = Limits(rate=1_000_000, burst=100_000, connections=10_000)

_HEAD = """\
daemon off;
pid nginx.pid;
worker_processes 1;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log {log};
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path unused; uwsgi_temp_path unused; scgi_temp_path unused;
  large_client_header_buffers 4 20k;
  keepalive_requests 100000;
"""
_UPSTREAM = """\
  upstream echo {{ server 127.0.0.1:{echo}; keepalive 64; }}
"""
_FORWARD = 'proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection "";'

_ECHO = """\
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "$http_authorization"; }} }}
}}
"""
_ALONE = """\
  server {{ listen 127.0.0.1:{port}; location /v1/ {{ {forward} }} }}
}}
"""
_ASKING = """\
  upstream asked {{ server 127.0.0.1:{asked}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location = /oauth2/auth {{
      internal;
      proxy_pass http://asked; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header Content-Length ""; proxy_pass_request_body off; proxy_buffer_size 32k; proxy_buffers 8 32k;
    }}
    location /v1/ {{
      auth_request /oauth2/auth;
      auth_request_set $user $upstream_http_x_auth_request_user;
      auth_request_set $email $upstream_http_x_auth_request_email;
      proxy_set_header X-User $user; proxy_set_header X-Email $email;
      {forward}
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Door:
    """An nginx to ask, and the processes whose CPU a request costs, by name."""

    url: str
    pids: dict[str, int]


@dataclass(frozen=True, slots=True)
class Doors:
    """`oauth2_proxy` is None where the program is not here; `absent` says why."""

    ours: Door
    alone: Door
    oauth2_proxy: Door | None
    absent: str


@contextmanager
def doors(folder: Path, *, broker: str, broker_pid: int, issuer: str, audience: str) -> Iterator[Doors]:
    """All of them on loopback, ended afterwards.

    broker: the session broker's address; issuer, audience: what oauth2-proxy believes
    """
    with ExitStack() as stack:
        account = unprivileged()
        home = reachable_home(account, folder)
        echo, ours, alone, asking, asked = (unused() for _ in range(5))

        def started(name: str, text: str) -> int:
            return stack.enter_context(_nginx(home / name, text, account))

        head, behind = _HEAD.format(log="off"), _UPSTREAM.format(echo=echo)
        started("echo", head + _ECHO.format(port=echo))
        site = Site(
            names=("127.0.0.1", "localhost"),
            listen=f"127.0.0.1:{ours}",
            broker=Upstream(broker),
            services={"vault": Upstream(f"http://127.0.0.1:{echo}")},
            limits=_LIMITS,
            workers=1,
        )
        mine = started("ours", render(site))
        # What ours does besides the check, it does for everybody: a line for each request.
        head = _HEAD.format(log="access.log combined buffer=32k flush=1s")
        lone = started("alone", head + behind + _ALONE.format(port=alone, forward=_FORWARD))
        peer = None
        program = PROGRAMS[OAUTH2_PROXY].find()
        if program is not None:
            pid = stack.enter_context(_oauth2_proxy(program, asked, issuer, audience, home))
            text = head + behind + _ASKING.format(port=asking, asked=asked, forward=_FORWARD)
            peer = Door(f"http://127.0.0.1:{asking}", {"nginx": started("asking", text), "oauth2-proxy": pid})
        yield Doors(
            Door(f"http://127.0.0.1:{ours}", {"nginx": mine, "session-broker": broker_pid}),
            Door(f"http://127.0.0.1:{alone}", {"nginx": lone}),
            peer,
            PROGRAMS[OAUTH2_PROXY].absent,
        )


@contextmanager
def _nginx(place: Path, text: str, account: Account | None) -> Iterator[int]:
    program = proxy.find()
    if program is None:
        raise RuntimeError(f"no nginx: {proxy.PACKAGE}")
    place.mkdir(mode=0o700, exist_ok=True)
    (place / "nginx.conf").write_text(text)
    if account is not None:
        account.take(place)
    command = (str(program), "-p", str(place), "-c", str(place / "nginx.conf"))
    with (place / "stderr").open("wb") as output:
        child = spawn(
            command, account=account, environment={"PATH": os.defpath}, cwd=place, output=output, death=signal.SIGTERM
        )
    process = known(child.pid)
    try:
        time.sleep(0.3)
        if child.poll() is not None:
            raise RuntimeError((place / "stderr").read_text())
        yield child.pid
    finally:
        if process is not None:
            end([process])
        child.wait()


@contextmanager
def _oauth2_proxy(program: Path, port: int, issuer: str, audience: str, home: Path) -> Iterator[int]:
    """As its documentation has it for nginx and bearer tokens, with its logs off."""
    words = (
        str(program), "--provider=oidc", f"--oidc-issuer-url={issuer}", f"--client-id={audience}",
        "--client-secret=not-used-for-bearer-tokens", f"--cookie-secret={secrets.token_hex(16)}", "--email-domain=*",
        "--skip-jwt-bearer-tokens=true", "--reverse-proxy=true", "--set-xauthrequest=true", "--upstream=static://202",
        f"--http-address=127.0.0.1:{port}", f"--redirect-url=http://127.0.0.1:{port}/oauth2/callback",
        "--request-logging=false", "--auth-logging=false", "--standard-logging=false", "--cookie-secure=false",
    )  # fmt: skip
    with (home / "oauth2-proxy.log").open("wb") as output:
        child = subprocess.Popen(words, stdout=output, stderr=output, env={"PATH": os.defpath})  # noqa: S603
    try:
        until = time.monotonic() + 20
        while not healthy(f"http://127.0.0.1:{port}/ping"):
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError((home / "oauth2-proxy.log").read_text())
            time.sleep(0.05)
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=10)
