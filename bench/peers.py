"""Where the peers' programs are, and `python -m bench.peers build`, which fetches and builds them.

They are looked for in this order: an environment variable, `.tools/peers/`, `PATH`. None is part of this
repository, and a benchmark goes on without those that are not there, saying which and why.

    BENCH_KCC        keycloak-config-cli's jar            built with Maven from a checkout of its repository
    BENCH_TOFU       OpenTofu                             built with Go
    BENCH_PROVIDER   the Keycloak Terraform provider      built with Go
    BENCH_BAO        OpenBao                              built with Go
    BENCH_WRK        wrk                                  Debian's package
    BENCH_OAUTH2_PROXY  oauth2-proxy                      built with Go, by whoever runs the benchmark

`build` needs the sources of keycloak-config-cli (BENCH_KCC_SOURCE) and of OpenBao (BENCH_BAO_SOURCE) as
directories, because neither can be had from a package registry; the others come through Go's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / ".tools" / "peers"

KCC = "keycloak-config-cli"
TOFU = "OpenTofu"
PROVIDER = "Keycloak provider"
BAO = "OpenBao"
WRK = "wrk"
OAUTH2_PROXY = "oauth2-proxy"

_VERSIONS = {KCC: "6.5.0", TOFU: "1.12.6", PROVIDER: "5.9.0", BAO: "2.6.2"}
_REFUSED = ("alicloudkms", "awskms", "azurekeyvault", "gcpckms", "ocikms", "pkcs11")
"""KMS wrappers that OpenBao links and a closed Go proxy may not serve; nothing that is measured touches them."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of somebody else's."""

    name: str
    variable: str
    file: str
    build: str

    def find(self) -> Path | None:
        """Where it is, None if it is not here."""
        named = os.environ.get(self.variable)
        if named:
            return Path(named) if Path(named).is_file() else None
        built = PLACE / self.file
        if built.is_file():
            return built
        found = shutil.which(self.file)
        return Path(found) if found else None

    @property
    def absent(self) -> str:
        """Why it has no figures, and what to do."""
        return f"{self.name} is not on this machine; {self.build}"


PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program(KCC, "BENCH_KCC", "keycloak-config-cli.jar", "python -m bench.peers build kcc"),
        Program(TOFU, "BENCH_TOFU", "tofu", "python -m bench.peers build tofu"),
        Program(PROVIDER, "BENCH_PROVIDER", "terraform-provider-keycloak", "python -m bench.peers build provider"),
        Program(BAO, "BENCH_BAO", "bao", "python -m bench.peers build bao"),
        Program(WRK, "BENCH_WRK", "wrk", "apt-get install wrk"),
        Program(
            OAUTH2_PROXY,
            "BENCH_OAUTH2_PROXY",
            "oauth2-proxy",
            "go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.3, and name it in BENCH_OAUTH2_PROXY",
        ),
    )
}


def version(name: str) -> str:
    """The version that a program says of itself, or the one that `build` builds."""
    path = PROGRAMS[name].find()
    arguments = {TOFU: ["version"], BAO: ["version"], WRK: ["-v"], OAUTH2_PROXY: ["--version"]}.get(name)
    if path is not None and arguments is not None:
        told = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        found = re.search(r"v?(\d+\.\d+(?:\.\d+)?)", told.stdout + told.stderr)
        if found:
            return found.group(1)
    return _VERSIONS.get(name, "unknown")


def build(wanted: Sequence[str]) -> None:
    """Builds the named ones into `.tools/peers`. Raises CalledProcessError, and ValueError without sources."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        print(f"{name}: building", file=sys.stderr)  # noqa: T201
        _BUILDS[name]()
        print(f"{name}: in {PLACE}", file=sys.stderr)  # noqa: T201


def _kcc() -> None:
    source = _source("BENCH_KCC_SOURCE", "keycloak-config-cli's repository at v6.5.0; Java 21 or newer")
    _run(["mvn", "-q", "-B", "-ntp", "-Dmaven.test.skip=true", "package"], source)
    shutil.copyfile(source / "target" / "keycloak-config-cli.jar", PLACE / "keycloak-config-cli.jar")


def _tofu() -> None:
    source = _module(f"github.com/opentofu/opentofu@v{_VERSIONS[TOFU]}", "tofu")
    _run(["go", "build", "-o", str(PLACE / "tofu"), "./cmd/tofu"], source)


def _provider() -> None:
    # Its tags are those of a major version that its module path does not name, so it is fetched by commit or checkout.
    named = os.environ.get("BENCH_PROVIDER_SOURCE")
    source = Path(named) if named else _module("github.com/keycloak/terraform-provider-keycloak@latest", "provider")
    _run(["go", "build", "-o", str(PLACE / "terraform-provider-keycloak"), "."], source)


def _bao() -> None:
    source = _source("BENCH_BAO_SOURCE", "a scratch copy of OpenBao's repository at v2.6.2; it is changed")
    named = "|".join(_REFUSED)
    imported = re.compile(rf".*go-kms-wrapping/wrappers/(?:{named})/v2.*\n")
    listed = re.compile(rf"\t(?:{named})\.Type:.*\n")
    option = re.compile(r", awskms\.WithLogger\(.*?\)\)")
    (source / "helper/kmsplugin/pkcs11.go").unlink(missing_ok=True)
    for file in ("helper/kmsplugin/wrapper.go", "go.mod", "vault/core.go"):
        text = (source / file).read_text()
        (source / file).write_text(option.sub(")", listed.sub("", imported.sub("", text))))
    flags = f"-s -w -X github.com/openbao/openbao/version.fullVersion={_VERSIONS[BAO]}"
    _run(["go", "build", "-mod=mod", "-ldflags", flags, "-o", str(PLACE / "bao"), "."], source)


_BUILDS = {"kcc": _kcc, "tofu": _tofu, "provider": _provider, "bao": _bao}


def _source(variable: str, what: str) -> Path:
    named = os.environ.get(variable)
    if not named or not Path(named).is_dir():
        raise ValueError(f"set {variable} to the directory of {what}")
    return Path(named)


def _module(module: str, name: str) -> Path:
    """A copy of a Go module that may be built in; the module cache itself is read-only."""
    told = subprocess.run(  # noqa: S603
        ["go", "mod", "download", "-json", module],  # noqa: S607
        capture_output=True, text=True, check=True, cwd=PLACE,
    )  # fmt: skip
    copy = PLACE / "src" / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(json.loads(told.stdout)["Dir"], copy, copy_function=shutil.copyfile)
    for folder in copy.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    return copy


def _run(command: Sequence[str], directory: Path) -> None:
    subprocess.run(list(command), cwd=directory, check=True)  # noqa: S603


def main() -> int:
    """Says what is where, or builds."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("command", choices=("list", "build"), nargs="?", default="list")
    parser.add_argument("peer", nargs="*", help=f"which ones: {', '.join(_BUILDS)}; all by default")
    arguments = parser.parse_args()
    if arguments.command == "build":
        try:
            build(arguments.peer or list(_BUILDS))
        except (ValueError, KeyError, subprocess.CalledProcessError) as problem:
            print(f"bench.peers: {problem}", file=sys.stderr)  # noqa: T201
            return 3
        return 0
    for program in PROGRAMS.values():
        print(f"{program.name:20} {program.find() or program.absent}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
