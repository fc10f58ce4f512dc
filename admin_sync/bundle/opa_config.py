"""OPA's own configuration: where the bundle comes from and whose signature it must bear.

The bundle comes over HTTP. OPA 1.22 reads a `file://` resource once, at its start, and never again,
so that neither a new bundle nor a freeze would reach a running OPA; such a URL is refused here.
With a server that holds the request open (`serve.py`) a new bundle is in force at once; any other
web server with ETags does, and OPA then asks it every second or two.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from admin_sync.bundle.keys import ALGORITHM, KEY_ID, SCOPE
from admin_sync.bundle.published import CURRENT
from admin_sync.model import Json

LONG_POLL = 30
"""Seconds for which a server may hold a request open."""


def opa_config(
    *,
    bundle_url: str,
    public_key: str,
    persist_dir: Path,
    poll_seconds: tuple[int, int] = (1, 2),
    decision_logs: bool = True,
) -> dict[str, Json]:
    """The configuration of one OPA, as a document.

    `bundle_url` is the directory that holds `bundle.tar.gz` (http or https), `public_key` the PEM
    text of the verification key, `persist_dir` where OPA keeps the last good bundle so that it can
    start without the server. Raises ValueError for a URL that would not be polled.
    """
    if urlsplit(bundle_url).scheme not in {"http", "https"}:
        raise ValueError(f"{bundle_url}: OPA polls http and https only, serve the directory (admin_sync.bundle.serve)")
    if "PRIVATE KEY" in public_key or "PUBLIC KEY" not in public_key:
        raise ValueError("OPA needs the public half of the bundle key as PEM")
    soonest, latest = poll_seconds
    return {
        "services": {
            # OPA gives up on a silent server after ten seconds unless told otherwise.
            "bundles": {"url": bundle_url.rstrip("/"), "response_header_timeout_seconds": LONG_POLL + 15}
        },
        "keys": {KEY_ID: {"algorithm": ALGORITHM, "key": public_key, "scope": SCOPE}},
        "bundles": {
            "tradepulse": {
                "service": "bundles",
                "resource": CURRENT,
                "persist": True,
                "polling": {
                    "min_delay_seconds": soonest,
                    "max_delay_seconds": latest,
                    "long_polling_timeout_seconds": LONG_POLL,
                },
                # Naming the key makes a signature compulsory; with keys alone OPA takes unsigned bundles.
                "signing": {"keyid": KEY_ID, "scope": SCOPE},
            }
        },
        "persistence_directory": str(persist_dir),
        "decision_logs": {"console": decision_logs, "mask_decision": "tradepulse/log/mask"},
        "status": {"console": False, "prometheus": True},
        "labels": {"app": "tradepulse-iam"},
    }


def render_config(config: dict[str, Json]) -> str:
    """The document as text. It is JSON, which OPA reads from a `.yaml` file as well."""
    return json.dumps(config, indent=2) + "\n"
