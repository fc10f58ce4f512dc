"""Agreeing at the practice broker as somebody with a browser would, without one."""

from __future__ import annotations

import re
import urllib.parse

import httpx

_REQUEST = re.compile(r'name="request" value="([^"]+)"')


class VisitFailed(Exception):
    """The broker showed something else than its page; the text says what."""


def agree(authorize_url: str, *, account: str, password: str) -> dict[str, str]:
    """Logs in, allows what is asked, and returns what the broker puts into the redirect. Raises VisitFailed."""
    with httpx.Client(trust_env=False, timeout=15) as browser:
        page = browser.get(authorize_url)
        request = _REQUEST.search(page.text)
        if request is None:
            raise VisitFailed(f"the broker answered {page.status_code} and no page to agree on")
        done = browser.post(
            urllib.parse.urljoin(authorize_url, "authorize"),
            data={"request": request[1], "account": account, "password": password, "answer": "allow"},
        )
    if done.status_code != 303:
        raise VisitFailed(f"the broker answered {done.status_code} and did not send the browser back")
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(done.headers["location"]).query))
