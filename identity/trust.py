"""Whose certificates we believe: the authorities of the host, as its operator maintains them.

A bank has an authority of its own for what stands inside, and gives it to its hosts (on Debian:
`update-ca-certificates`). httpx believes a list that comes with a Python package instead, which no
operator sees, so every client of ours is given this context. `SSL_CERT_FILE` names a file of further
authorities beside the host's directory of them, as it does for every program that uses OpenSSL; a
container has the authority of its site that way.
"""

from __future__ import annotations

import ssl


def authorities() -> ssl.SSLContext:
    """A new context for clients: certificates and names are checked, TLS 1.2 or newer.

    A file that `SSL_CERT_FILE` names and that is not there vouches for nobody; it is no error.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
