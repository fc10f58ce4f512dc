"""Wait until an OPA answers from the bundle that was just published.

A published bundle is not yet in force: OPA may be unable to fetch it, or refuse its signature and
go on with the old one. So whoever publishes asks the rules themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from admin_sync.bundle.errors import NotServed
from admin_sync.bundle.published import Meta
from identity.trust import authorities

_PAUSE = 0.05


def wait_until_served(
    url: str,
    meta: Meta,
    *,
    timeout: float = 15.0,
    http: httpx.Client | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Seconds until the OPA at `url` served `meta.revision`.

    Raises NotServed after `timeout` seconds, with what OPA said last, and at once if it serves a
    newer bundle.
    """
    client = http or httpx.Client(verify=authorities(), timeout=5.0, trust_env=False)
    started = clock()
    try:
        while True:
            serial, seen = _served(client, url)
            if seen == meta.revision:
                return clock() - started
            if serial > meta.serial:
                raise NotServed(
                    f"OPA at {url} serves the newer bundle {seen}: somebody published after {meta.revision}"
                )
            if clock() - started >= timeout:
                state = (seen if serial < 0 else f"still serves {seen}") + _complaint(client, url)
                raise NotServed(
                    f"OPA at {url} does not serve {meta.revision} after {timeout:g} s: it {state}. "
                    "The bundle stays published and takes effect once OPA can take it; OPA's log says what keeps it"
                )
            sleep(_PAUSE)
    finally:
        if http is None:
            client.close()


def _served(client: httpx.Client, url: str) -> tuple[int, str]:
    """Serial and revision that OPA serves; a serial of -1 goes with a text that says why there is none."""
    try:
        answer = client.get(f"{url.rstrip('/')}/v1/data/tradepulse/iam/meta")
        served = answer.json().get("result") if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        return -1, f"cannot be asked ({type(error).__name__})"
    if answer.status_code != 200:
        return -1, f"answers {answer.status_code}"
    if not isinstance(served, dict):
        return -1, "has no bundle yet"
    return int(served.get("serial", 0)), str(served.get("revision", ""))


def _complaint(client: httpx.Client, url: str) -> str:
    """What OPA has to say about its bundles, if its status is to be had."""
    try:
        bundles = client.get(f"{url.rstrip('/')}/v1/status").json()["result"]["bundles"]
        messages = [str(bundle["message"]) for bundle in bundles.values() if bundle.get("message")]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f" ({'; '.join(messages)})" if messages else ""
