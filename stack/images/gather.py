"""What each build is given: exactly the files that the image holds, and nothing else of the checkout."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from stack import keycloak, neighbours, opa
from stack.images.recipes import PRODUCT
from stack.layout import Layout
from stack.steps import Commands, StepFailed

PACKAGES = ("identity", "admin_sync", "vault_api", "session_broker", "workspace", "stack")

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.lock")


def python(layout: Layout, place: Path, commands: Commands) -> None:
    """Our packages, the wheels that they need by version and hash, the realm's files, the policy and an OPA."""
    requirements = layout.checkout / "requirements"
    for name in ("product.txt", "kms.txt"):
        shutil.copyfile(requirements / name, place / name)
    wheels = layout.tools / "images" / "wheels"
    commands.run(
        [
            layout.python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--dest", wheels,
            "-r", requirements / "product.txt", "-r", requirements / "kms.txt",
        ],
        log=layout.logs / "wheels.log",
    )  # fmt: skip
    shutil.copytree(wheels, place / "wheels")
    for package in PACKAGES:
        shutil.copytree(layout.checkout / package, place / "app" / package, ignore=_IGNORED)
    # By this a program knows its own version (importlib.metadata).
    facts = place / "app" / f"tradepulse_iam-{PRODUCT}.dist-info" / "METADATA"
    facts.parent.mkdir()
    facts.write_text(f"Metadata-Version: 2.1\nName: tradepulse-iam\nVersion: {PRODUCT}\n")
    for name in ("policy", "realm/base"):
        shutil.copytree(layout.checkout / name, place / "share" / name, ignore=_IGNORED)
    _opa(layout, place)


def server(layout: Layout, place: Path, commands: Commands) -> None:
    """Keycloak as it came, our extension, and how the image starts it."""
    keycloak.fetch(layout, commands)
    keycloak.package(layout, commands)
    home, jar = keycloak.ingredients(layout)
    shutil.copytree(home, place / "keycloak")
    shutil.copyfile(jar, place / "keycloak" / "providers" / keycloak.JAR)
    (place / "build-options").write_text("\n".join(keycloak.BUILD_OPTIONS) + "\n")
    (place / "java-options").write_text("\n".join(keycloak.JAVA_OPTIONS) + "\n")
    shutil.copyfile(layout.checkout / "realm" / "start.sh", place / "start.sh")


def others(layout: Layout, place: Path, commands: Commands) -> None:
    """The identity providers of others that development plays with."""
    neighbours.fetch(layout, commands)
    shutil.copytree(neighbours.jars(layout), place / "jars", ignore=shutil.ignore_patterns(".complete"))
    shutil.copyfile(neighbours.HERE / "issuers.json", place / "issuers.json")


def decisions(layout: Layout, place: Path, _: Commands) -> None:
    """The OPA that the tests ran with."""
    _opa(layout, place)


def nothing(_: Layout, __: Path, ___: Commands) -> None:
    """No file of ours."""


CONTEXTS: Mapping[str, Callable[[Layout, Path, Commands], None]] = {
    "python": python,
    "keycloak": server,
    "neighbours": others,
    "opa": decisions,
    "empty": nothing,
}


def context(name: str, layout: Layout, commands: Commands) -> Path:
    """The directory of one context, filled anew. Raises StepFailed."""
    place = layout.tools / "images" / f"context-{name}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    CONTEXTS[name](layout, place, commands)
    # Whatever the umask was here, everybody may read an image's files, and only root may change them.
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return place


def _opa(layout: Layout, place: Path) -> None:
    binary = opa.built(layout.tools) if opa.built(layout.tools).exists() else opa.find(layout.tools)
    if binary is None:
        raise StepFailed("no OPA: run `make install`")
    shutil.copyfile(binary, place / "opa")
    (place / "opa").chmod(0o755)
