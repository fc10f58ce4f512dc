"""What the product is made of: a software bill of materials (CycloneDX 1.6, JSON), with hashes and licences.

python -m stack.sbom [FILE]      writes it, stdout without FILE

Python packages are those of requirements/product.txt and kms.txt with the hashes that an installation checks; licences
are those that the installed packages declare. Beside them: Keycloak, OPA, and what the workspace's pages have from
others. What the operating system brings (PostgreSQL, nginx, Java, Python itself) is listed by whoever builds the host
or the image.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from stack import keycloak, opa
from stack.layout import CHECKOUT

LOCKS: Final = ("product.txt", "kms.txt")
VENDORED: Final = CHECKOUT / "workspace" / "static" / "vendor"

_PINNED: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_SPDX: Final[Mapping[str, str]] = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What the older classifiers of PyPI mean."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the product brings along; `hashes` are SHA-256 in hex.

    `licence` is an SPDX expression, empty for a package of another operating system.
    """

    name: str
    version: str
    url: PackageURL
    licence: str
    hashes: tuple[str, ...] = ()


def parts() -> list[Part]:
    """Everything, by name; a package that two lists pin is there once."""
    return sorted(
        {part.name: part for part in (*_packages(), *_servers(), *_vendored())}.values(), key=lambda one: one.name
    )


def document() -> str:
    """The bill of materials as CycloneDX 1.6."""
    licences = LicenseFactory()
    bom = Bom(
        components=[
            Component(
                name=part.name,
                version=part.version,
                type=ComponentType.LIBRARY,
                purl=part.url,
                bom_ref=str(part.url),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in part.hashes],
                licenses=[licences.make_from_string(part.licence)] if part.licence else [],
            )
            for part in parts()
        ]
    )
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _packages() -> Iterator[Part]:
    for lock in LOCKS:
        text = (CHECKOUT / "requirements" / lock).read_text()
        found = list(_PINNED.finditer(text))
        for one, following in zip(found, [*found[1:], None], strict=True):
            block = text[one.end() : following.start() if following else None]
            name, version = one.groups()
            hashes = tuple(_HASH.findall(block))
            yield Part(name, version, PackageURL("pypi", name=name, version=version), _licence(name), hashes)


def _licence(name: str) -> str:
    try:
        told = metadata(name)
    except PackageNotFoundError:
        # Of another operating system: pinned, and not installed here.
        return ""
    for expression in told.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [
        one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith("License ::")
    ]
    return (
        " OR ".join(_SPDX.get(one, one) for one in classifiers)
        or "".join(told.get_all("License") or ()).partition("\n")[0]
    )


def _servers() -> Iterator[Part]:
    group, name, version, *_ = keycloak.ARTIFACT.split(":")
    yield Part(name, version, PackageURL("maven", group, name, version), "Apache-2.0", (keycloak.SHA256,))
    module, _, version = opa.BUILD.partition("@")
    host, owner, name = module.split("/")
    yield Part(name, version, PackageURL("golang", f"{host}/{owner}", name, version), "Apache-2.0")


def _vendored() -> Iterator[Part]:
    htmx, pico = VENDORED / "htmx.min.js", VENDORED / "pico.min.css"
    for name, file, pattern, licence in (
        ("htmx.org", htmx, r'version:"([0-9.]+)"', "0BSD"),
        ("@picocss/pico", pico, r"Pico CSS.* v([0-9.]+)", "MIT"),
    ):
        [version] = re.findall(pattern, file.read_text())
        scope, _, plain = name.rpartition("/")
        url = PackageURL("npm", scope or None, plain, version)
        yield Part(name, version, url, licence, (hashlib.sha256(file.read_bytes()).hexdigest(),))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(document())
    else:
        sys.stdout.write(document())
