"""OPA's own configuration: where the bundle comes from and whose signature it must bear.

The bundle comes over HTTP. OPA 1.22 reads a `file://` resource once, at its start, and never again,
so that neither a new bundle nor a freeze would reach a running OPA; such a URL is refused here.
With a server that holds the request open (`serve.py`) a new bundle is in force at once; any other
web server with ETags does, and OPA then asks it every second or two, as it does with a registry.
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


_LARGEST_QUESTION = 256 * 1024
_KEPT = 64 * 1024 * 1024
"""Bytes of packed decisions that OPA keeps while nobody takes them: hours of a busy vault's."""


def opa_config(
    *,
    bundle_url: str,
    public_key: str,
    persist_dir: Path,
    poll_seconds: tuple[int, int] = (1, 2),
    decision_logs: bool = True,
    bundle_token_file: Path | None = None,
    ca_file: Path | None = None,
    reports_url: str | None = None,
    reports_token_file: Path | None = None,
) -> dict[str, Json]:
    """The configuration of one OPA, as a document.

    `bundle_url` is the directory that holds `bundle.tar.gz` (http or https) or a tag in a registry
    (`oci://registry/name:tag`), `public_key` the PEM text of the verification key, `persist_dir` where
    OPA keeps the last good bundle so that it can start without the server. With `reports_url` OPA sends
    its decisions and its status there, and `decision_logs` (to its own log) is not needed. Files are
    named by their paths; OPA reads them itself. Raises ValueError for a URL that would not be polled.
    """
    if "PRIVATE KEY" in public_key or "PUBLIC KEY" not in public_key:
        raise ValueError("OPA needs the public half of the bundle key as PEM")
    service, resource = _delivery(bundle_url, bundle_token_file, ca_file)
    soonest, latest = poll_seconds
    polling: dict[str, Json] = {"min_delay_seconds": soonest, "max_delay_seconds": latest}
    if service.get("type") != "oci":
        polling["long_polling_timeout_seconds"] = LONG_POLL
    services: dict[str, Json] = {"bundles": service}
    logs: dict[str, Json] = {"console": decision_logs, "mask_decision": "tradepulse/log/mask"}
    status: dict[str, Json] = {"console": False, "prometheus": True}
    if reports_url is not None:
        services["reports"] = {"url": reports_url.rstrip("/"), **_credential(reports_token_file), **_trust(ca_file)}
        status["service"] = "reports"
        logs |= {
            "service": "reports",
            # Audit lines are worth having soon, and a batch of a second or two is still a batch.
            "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 2, "buffer_size_limit_bytes": _KEPT},
        }
    return {
        "services": services,
        "keys": {KEY_ID: {"algorithm": ALGORITHM, "key": public_key, "scope": SCOPE}},
        "bundles": {
            "tradepulse": {
                "service": "bundles",
                "resource": resource,
                "persist": True,
                "polling": polling,
                # Naming the key makes a signature compulsory; with keys alone OPA takes unsigned bundles.
                "signing": {"keyid": KEY_ID, "scope": SCOPE},
            }
        },
        "persistence_directory": str(persist_dir),
        "decision_logs": logs,
        "status": status,
        "server": {"decoding": {"max_length": _LARGEST_QUESTION}},
        "labels": {"app": "tradepulse-iam"},
    }


def _delivery(address: str, token_file: Path | None, ca_file: Path | None) -> tuple[dict[str, Json], str]:
    """The service that has the bundle, and what the bundle is called there."""
    parts = urlsplit(address)
    if parts.scheme in {"oci", "oci+http"}:
        base = f"{'http' if parts.scheme == 'oci+http' else 'https'}://{parts.netloc}"
        credential = _credential(token_file, scheme="Basic")
        return {"url": base, "type": "oci", **credential, **_trust(ca_file)}, f"{parts.netloc}{parts.path}"
    if parts.scheme not in {"http", "https"}:
        raise ValueError(
            f"{address}: OPA polls http and https only (and oci://), serve the directory (admin_sync.bundle.serve)"
        )
    # OPA gives up on a silent server after ten seconds unless told otherwise.
    service: dict[str, Json] = {"url": address.rstrip("/"), "response_header_timeout_seconds": LONG_POLL + 15}
    return {**service, **_credential(token_file), **_trust(ca_file)}, CURRENT


def _credential(token_file: Path | None, scheme: str = "Bearer") -> dict[str, Json]:
    if token_file is None:
        return {}
    return {"credentials": {"bearer": {"scheme": scheme, "token_path": str(token_file)}}}


def _trust(ca_file: Path | None) -> dict[str, Json]:
    return {} if ca_file is None else {"tls": {"ca_cert": str(ca_file)}}


def render_config(config: dict[str, Json]) -> str:
    """The document as text. It is JSON, which OPA reads from a `.yaml` file as well."""
    return json.dumps(config, indent=2) + "\n"
