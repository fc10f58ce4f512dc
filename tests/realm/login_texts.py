"""Our own texts on Keycloak's login pages as their files have them, and the languages that a realm speaks."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

REALM = Path(__file__).resolve().parents[2] / "realm"
RESOURCES = REALM / "extension" / "src" / "main" / "resources" / "theme-resources"
MESSAGES = RESOURCES / "messages"


def spoken() -> list[str]:
    """The language tags that a realm offers."""
    realm = yaml.safe_load((REALM / "base" / "realm.yaml").read_text("utf-8"))["realm"]
    return sorted(str(tag) for tag in realm["supportedLocales"])


def file_of(tag: str) -> Path:
    """Where Keycloak looks, which is by Java's name of the locale: zh_CN, where its own themes have zh_Hans."""
    return MESSAGES / f"messages_{tag.replace('-', '_')}.properties"


def texts(tag: str) -> dict[str, str]:
    """The lines of a file, none of which needs more of the format than ``key=text``."""
    found: dict[str, str] = {}
    for number, line in enumerate(file_of(tag).read_text("utf-8").splitlines(), start=1):
        key, equals, text = line.partition("=")
        where = f"{file_of(tag).name}:{number}"
        assert equals, f"{where} is no key=text"
        assert re.fullmatch(r"[A-Za-z][\w.-]*", key), f"{where} has an odd key: {key!r}"
        assert key not in found, f"{where} says {key} twice"
        found[key] = text
    return found
