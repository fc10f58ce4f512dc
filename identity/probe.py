"""`python -m identity.probe URL`: exit 0 if a server answers 200 there within five seconds, for health checks.

For machines that have nothing else to ask with, such as the images of our services.
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit


def answers(url: str, *, timeout: float = 5.0) -> bool:
    """Whether an http URL is answered with 200."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("write http://host:port/path")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
