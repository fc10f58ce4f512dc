"""Keycloak: fetched once through Maven, built with our extension, and run without a script in between.

    .tools/keycloak-26.7.4             the distribution as it came
    .tools/keycloak-26.7.4-<digest>    the same with our jar, after `kc.sh build`

A build is never changed once it is complete: other inputs (extension, options, Java version) make
another directory. So a running server keeps its files while a new one is built, and two stacks
share a build. Files that a build does not touch are hard links, so a build takes a few megabytes.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from stack import proxy
from stack.files import digest, locked
from stack.java import java, maven, version
from stack.layout import Layout
from stack.service import Service
from stack.steps import UNCHANGED, Commands, StepFailed

VERSION = "26.7.4"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"

SHA256 = "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee"
"""Of the distribution's archive. Maven only warns of a wrong checksum, and has it from where the file came from."""

BUILD_OPTIONS = (
    "--db=postgres",
    "--health-enabled=true",
    "--metrics-enabled=true",
    "--event-metrics-user-enabled=true",
)

JAVA_OPTIONS = (
    # The serial collector starts sooner and needs less memory than G1, and on two cores serves as many requests.
    "-XX:+UseSerialGC",
    "-Xms256m",
    "-Xmx1g",
    "-XX:MetaspaceSize=96M",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    # What kc.sh passes as well, for the libraries inside.
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)

QUICK = ("-XX:TieredStopAtLevel=1",)
"""For a server that lives for minutes: it starts with half the computing, and what the better compiler would save later
takes longer than that to come back."""

KEPT_SECONDS = 24 * 3600
"""How long a build is kept after a stack was last started on it."""

ADMIN_CLIENT = "admin-sync"
"""The service account of the master realm that Keycloak makes at its first start and admin-sync acts as."""

EXTENSION = Path("realm") / "extension"
THEME = Path("realm") / "theme"
JAR = "tradepulse-keycloak-extension.jar"


def fetch(layout: Layout, commands: Commands) -> str | None:
    """Have the distribution unpacked in the tools."""
    home = _pristine(layout)
    with locked(layout.tools / "keycloak.lock"):
        if home.exists():
            return UNCHANGED
        downloads = layout.tools / "downloads"
        maven(
            ["dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={downloads}"],
            layout,
            commands,
            log="keycloak-fetch",
        )
        archive = downloads / f"keycloak-quarkus-dist-{VERSION}.tar.gz"
        verify(archive)
        unpacked = layout.tools / "keycloak.unpacking"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        commands.run(
            ["tar", "-xzf", archive, "--no-same-owner", "--strip-components=1", "-C", unpacked],
            log=layout.logs / "keycloak-unpack.log",
        )
        unpacked.rename(home)
        archive.unlink()
    return None


def verify(archive: Path) -> None:
    """Raise StepFailed, and remove the file, unless it is the archive that this checkout was tested with."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        archive.unlink()
        raise StepFailed(
            f"{archive.name} has SHA-256 {found}, not {SHA256}: remove org/keycloak/keycloak-quarkus-dist from "
            "the local Maven repository and look where Maven fetches from"
        )


def package(layout: Layout, commands: Commands) -> str | None:
    """Have the extension's jar, packaged again when its sources change. Its tests run in `make test-java`."""
    jar = _jar(layout)
    with locked(layout.tools / "extension.lock"):
        if jar.exists():
            return UNCHANGED
        maven(
            ["-f", layout.checkout / EXTENSION / "pom.xml", "-DskipTests", "package"],
            layout,
            commands,
            log="extension",
        )
        jar.parent.mkdir(parents=True, exist_ok=True)
        unfinished = jar.with_suffix(".part")
        shutil.copyfile(layout.checkout / EXTENSION / "target" / JAR, unfinished)
        unfinished.rename(jar)
    return None


def build(layout: Layout, commands: Commands) -> str | None:
    """Have a Keycloak home built from the distribution, the jar and BUILD_OPTIONS."""
    home = built_home(layout)
    with locked(layout.tools / "keycloak.lock"):
        if (home / ".complete").exists():
            (home / ".complete").touch()
            return UNCHANGED
        shutil.rmtree(home, ignore_errors=True)
        # `kc.sh build` writes below lib/quarkus and we below providers; everything else stays one file on disk.
        shutil.copytree(_pristine(layout), home, copy_function=_link)
        shutil.copyfile(_jar(layout), home / "providers" / JAR)
        commands.run(
            [home / "bin" / "kc.sh", "build", *BUILD_OPTIONS],
            log=layout.logs / "keycloak-build.log",
            environment={"JAVA": str(java()), "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"},
        )
        (home / ".complete").touch()
        _forget_old_builds(layout, keep=home)
    return None


def service(
    layout: Layout, ports: Mapping[str, int], *, secrets: Mapping[str, str], short_lived: bool = False
) -> Service:
    """The server as the supervisor runs it: Java itself, since kc.sh would stay in between as a shell.

    secrets:     environment variable -> file, for the database and the bootstrap service account
    short_lived: whether it runs for minutes, as in tests
    """
    home = built_home(layout)
    port = ports["keycloak"]
    data = layout.state / "keycloak"
    options = (
        "start", "--optimized", "--cache=local", "--log=console",
        "--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}",
        "--http-management-host=127.0.0.1", f"--http-management-port={ports['management']}",
        f"--hostname=http://localhost:{port}",
        # A client's address comes from the DMZ proxy or from the connection, never from a header of anybody else.
        "--proxy-headers=xforwarded", f"--proxy-trusted-addresses={proxy.SOURCE}",
        f"--db-url=jdbc:postgresql://127.0.0.1:{ports['postgres']}/keycloak", "--db-username=keycloak",
        "--db-pool-initial-size=5", "--db-pool-max-size=50",
        f"--spi-events-listener--tradepulse-audit--file={layout.audit / 'iam_events.jsonl'}",
        "--spi-events-listener--tradepulse-audit--node=keycloak",
        # The files that policies.yaml names are those of the checkout.
        f"--spi-authenticator--tradepulse-risk--directory={layout.checkout}",
    )  # fmt: skip
    return Service(
        name="keycloak",
        command=(
            str(java()),
            *JAVA_OPTIONS,
            *(QUICK if short_lived else ()),
            f"-Dkc.home.dir={home}",
            f"-Djboss.server.config.dir={home / 'conf'}",
            # The builds are shared by stacks; what a server writes is its own.
            f"-Dquarkus.transaction-manager.object-store.directory={data / 'transaction-logs'}",
            f"-Djava.io.tmpdir={data}",
            "-cp",
            str(home / "lib" / "quarkus-run.jar"),
            "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
            *options,
        ),
        url=f"http://localhost:{port}",
        health=f"http://127.0.0.1:{ports['management']}/health/ready",
        cwd=str(data),
        environment={"KC_BOOTSTRAP_ADMIN_CLIENT_ID": ADMIN_CLIENT},
        secrets=secrets,
        stop_seconds=20.0,
    )


def built_home(layout: Layout) -> Path:
    """The directory of the build that the current inputs make."""
    jar = _jar(layout)
    if not jar.exists():
        raise StepFailed(f"no extension jar for the current sources of {EXTENSION}")
    name = digest([jar], VERSION, *BUILD_OPTIONS, str(version(java())))[:12]
    return layout.tools / f"keycloak-{VERSION}-{name}"


def ingredients(layout: Layout) -> tuple[Path, Path]:
    """The distribution as it came and the extension's jar, once `fetch` and `package` are done."""
    return _pristine(layout), _jar(layout)


def _pristine(layout: Layout) -> Path:
    return layout.tools / f"keycloak-{VERSION}"


def _jar(layout: Layout) -> Path:
    sources = layout.checkout / EXTENSION
    name = digest([sources / "pom.xml", sources / "src" / "main", layout.checkout / THEME])[:12]
    return layout.tools / f"extension-{name}" / JAR


def _link(source: str, target: str) -> None:
    """Hard link what never changes, copy what a build rewrites."""
    if "/lib/quarkus/" in source:
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)


def _forget_old_builds(layout: Layout, *, keep: Path) -> None:
    """Remove builds of earlier inputs that no process runs from, and that no stack was started on in the last day.

    A server that crashed has no process until its supervisor starts it again, and needs its build then.
    """
    running = b"".join(_command_lines())
    for old in layout.tools.glob(f"keycloak-{VERSION}-*"):
        mark = old / ".complete"
        recent = mark.exists() and time.time() - mark.stat().st_mtime < KEPT_SECONDS
        if old != keep and not recent and bytes(old) not in running:
            shutil.rmtree(old, ignore_errors=True)


def _command_lines() -> list[bytes]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes())
        except OSError:
            # It ended while we looked.
            continue
    return lines
