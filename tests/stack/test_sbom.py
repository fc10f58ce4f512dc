"""The bill of materials has everything that is pinned, and nothing under a licence that we cannot live with."""

from __future__ import annotations

import json
import re

import pytest

from stack import keycloak, sbom
from stack.layout import CHECKOUT

ACCEPTED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0",
    "PSF-2.0",
}  # fmt: skip
"""Used as they are, over their public interfaces; nothing under one of them is changed or copied into ours."""

ELSEWHERE = {"colorama", "pywin32-ctypes"}
"""Of other operating systems."""


@pytest.fixture(scope="module")
def parts() -> dict[str, sbom.Part]:
    return {part.name: part for part in sbom.parts()}


def test_every_pinned_package_is_in_it_with_its_version_and_hashes(parts: dict[str, sbom.Part]) -> None:
    for lock in sbom.LOCKS:
        for row in (CHECKOUT / "requirements" / lock).read_text().splitlines():
            if found := re.match(r"([a-z0-9._-]+)(?:\[.*\])?==(\S+)", row):
                part = parts[found.group(1)]
                assert part.version == found.group(2)
                assert part.hashes


def test_what_is_no_package_is_in_it_as_well(parts: dict[str, sbom.Part]) -> None:
    assert parts["keycloak-quarkus-dist"].hashes == (keycloak.SHA256,)
    assert {"opa", "htmx.org", "@picocss/pico"} <= set(parts)


def test_every_licence_is_known_and_one_of_those_that_we_accept(parts: dict[str, sbom.Part]) -> None:
    for part in parts.values():
        # Of a choice one is enough; of a sum all are wanted.
        wanted = re.split(" AND ", part.licence.replace("(", "").replace(")", ""))
        assert part.licence or part.name in ELSEWHERE, part.name
        for sum_ in wanted:
            assert not sum_ or set(sum_.split(" OR ")) & ACCEPTED, (part.name, part.licence)


def test_the_document_is_cyclonedx_with_a_reference_for_each_part(parts: dict[str, sbom.Part]) -> None:
    told = json.loads(sbom.document())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert {one["name"] for one in told["components"]} == set(parts)
    assert all(one["purl"].startswith("pkg:") for one in told["components"])
