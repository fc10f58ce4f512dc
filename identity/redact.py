"""What must not be written down, taken out of text: tokens and credentials by their shape."""

from __future__ import annotations

import re

MASK = "[redacted]"

_SHAPES = re.compile(
    r"""
    eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,4}                  # a JWS or JWE in compact form
    | (?<![A-Za-z0-9])(?:bearer|basic|dpop)\s+[A-Za-z0-9._~+/=-]{8,}  # an Authorization value
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                               # user:password in a URL
    | (?:access_token|refresh_token|id_token|client_secret|client_assertion|assertion|password|code_verifier|code|state)
      =[^&\s"']+                                                    # a parameter of OAuth in a URL or form
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def redact_text(text: str) -> str:
    """`text` with everything masked that has the shape of a token, a key or a credential."""
    return _SHAPES.sub(MASK, text)
