"""Which image is built how. The names are those of docker-compose.yml; a test compares the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stack.keycloak import VERSION as KEYCLOAK

BASE = "debian:bookworm-slim"
"""What every Dockerfile begins with; where a registry is reached it is the official one."""

PRODUCT = "0.1.0"
"""The tag of our own images. It follows `version` in pyproject.toml, as a test makes sure."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image.

    dockerfile: below the checkout
    context:    which directory `gather` fills for it: python, keycloak, neighbours, opa or empty
    stage:      the last stage to build, where a Dockerfile makes several images
    """

    dockerfile: str
    context: str
    stage: str = ""


_PYTHON = "deploy/images/services.Dockerfile"

RECIPES: Mapping[str, Recipe] = {
    "postgres:15-bookworm": Recipe("deploy/images/postgres.Dockerfile", "empty"),
    "nginx:1.22.1": Recipe("deploy/images/nginx.Dockerfile", "empty"),
    "openpolicyagent/opa:1.22.2": Recipe("deploy/images/opa.Dockerfile", "opa"),
    f"tradepulse/keycloak:{KEYCLOAK}-{PRODUCT}": Recipe("realm/Dockerfile", "keycloak"),
    f"tradepulse/vault-api:{PRODUCT}": Recipe(_PYTHON, "python", "vault-api"),
    f"tradepulse/session-broker:{PRODUCT}": Recipe(_PYTHON, "python", "session-broker"),
    f"tradepulse/admin-sync:{PRODUCT}": Recipe(_PYTHON, "python", "admin-sync"),
    f"tradepulse/setup:{PRODUCT}": Recipe(_PYTHON, "python", "setup"),
    f"tradepulse/paper-broker:{PRODUCT}": Recipe(_PYTHON, "python", "paper-broker"),
    f"tradepulse/neighbours:{PRODUCT}": Recipe("deploy/images/neighbours.Dockerfile", "neighbours"),
}
"""Every image of the compose file."""
