"""Logs: one JSON object per line on stderr, without secrets.

What is known to be secret is kept out at the source; this is the net under it. Values whose key
names a secret are masked, request headers and bodies are dropped, and text is masked where it has the
shape of a token. Tracebacks carry no local variables, and the messages of our own errors only: those
of libraries quote what they were given.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import ExcInfo

from identity.redact import MASK, redact_text
from identity.trace import current_trace_id

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:authorization|cookies?|set_cookie|tokens?|secrets?|passwords?|passwd|passphrase|assertion|credentials?"
    r"|private_key|client_key|root_key|api_?key|pem|code|code_verifier|state|nonce|otp|totp|salt|plaintext|sealed"
    r"|ciphertext|jwt|bearer)$",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"status_code", "exit_code", "error_code", "reason_code", "country_code"})
_DROPPED = frozenset(
    {"headers", "request_headers", "response_headers", "body", "request_body", "payload", "form", "locals"}
)
_OUR_PACKAGES = frozenset({"identity", "admin_sync", "vault_api", "session_broker", "workspace", "stack"})
_MAX_CAUSES = 8
_MAX_FRAMES = 40
_MAX_DEPTH = 8
_MAX_TEXT = 4096


def configure(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging to `stream` (default stderr) as JSON lines.

    uvicorn's access log is turned off: it prints whole URLs, and authorization codes travel in them.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context(service),
    ]
    final: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(_describe),
        redact,
        structlog.processors.JSONRenderer(serializer=_dumps),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"
    # httpx logs every URL it calls at INFO; what we call is ours to log, without the query.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that takes secrets out of an event, at any depth."""
    return _clean_mapping(event, 0)


def _clean_mapping(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        redact_text(str(key)): MASK if _names_secret(str(key)) else _clean(value, depth + 1)
        for key, value in values.items()
        if str(key).lower() not in _DROPPED
    }


def _names_secret(key: str) -> bool:
    name = re.sub(r"[^A-Za-z0-9]+", "_", key)
    # clientSecret and client-secret are client_secret.
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return name not in _NOT_SECRET and _SECRET_KEY.search(name) is not None


def _clean(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return redact_text(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…")


def _describe(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """An exception and its causes, outermost first: type, message if it is ours, and where it passed."""
    described: list[dict[str, Any]] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(described) < _MAX_CAUSES:
        kind = type(error)
        own = kind.__module__.partition(".")[0] in _OUR_PACKAGES
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        described.append(
            {
                "type": f"{kind.__module__}.{kind.__qualname__}",
                # An OSError's strerror is the system's; its file names are paths we chose.
                "message": str(error) if own else error.strerror if isinstance(error, OSError) else "[withheld]",
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return described


def _add_context(service: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        current = current_trace_id()
        if current is not None:
            event.setdefault("trace_id", current)
        return event

    return add


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=repr).decode("utf-8")
