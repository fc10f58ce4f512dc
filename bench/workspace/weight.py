"""What a page weighs: its own bytes and those of everything that it fetches, requests, and time to the first byte."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

_FETCHED: Final = re.compile(r'<(?:link[^>]+?href|script[^>]+?src|img[^>]+?src)="([^"]+)"')
_TIMES: Final = 15


@dataclass(frozen=True, slots=True)
class Weight:
    """A page. Bytes are as they come over the wire, headers apart; the first byte is the median, in milliseconds."""

    path: str
    status: int
    html: int
    whole: int
    requests: int
    kept: int
    """How many of the requests a browser makes once a day, because it may keep what they bring."""
    first_byte: float


def weigh(http: httpx.Client, url: str, path: str) -> Weight:
    """A page as whoever is logged in there sees it. Raises httpx.HTTPError."""
    times: list[float] = []
    answered = http.get(url + path)
    for _ in range(_TIMES):
        begun = time.perf_counter()
        with http.stream("GET", url + path) as stream:
            times.append(time.perf_counter() - begun)
            stream.read()
    html = answered.num_bytes_downloaded
    whole, kept = html, 0
    parts: Sequence[str] = sorted({urljoin(url + path, found) for found in _FETCHED.findall(answered.text)})
    for part in parts:
        if urlsplit(part).netloc != urlsplit(url).netloc:
            raise ValueError(f"{path} fetches from another host: {part}")
        fetched = http.get(part)
        whole += fetched.num_bytes_downloaded
        kept += "max-age" in fetched.headers.get("cache-control", "")
    return Weight(path, answered.status_code, html, whole, 1 + len(parts), kept, statistics.median(times) * 1000)
