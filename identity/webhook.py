"""Pure: signed webhooks after the Standard Webhooks specification (HMAC-SHA256, `v1`).

webhook-id · webhook-timestamp (unix seconds) · webhook-signature: v1,base64(HMAC(secret, id.timestamp.body))
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from identity.secret import Secret


def headers(secret: Secret, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. A secret that begins with `whsec_` is base64, any other is used as it is.

    Raises ValueError for a `whsec_` that is not base64.
    """
    key = secret.reveal()
    if key.startswith(b"whsec_"):
        key = base64.b64decode(key.removeprefix(b"whsec_"), validate=True)
    mac = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
