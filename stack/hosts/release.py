"""`make release`: everything that a host needs but Debian's packages, as one archive.

    .tools/release/RELEASE                  the name of the release: version and digest of what is in it
    .tools/release/<release>.tar.gz
        app/ wheels/ product.txt kms.txt    our packages, and the libraries by version and hash
        share/ opa                          the realm's files, the policy, and the OPA that the tests ran with
        keycloak/                           with the extension, after `kc.sh build`
        SHA256SUMS                          of every file in it

The wheels are those of this machine's Python and processor, so a release is made on what the hosts run: Debian 12.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from stack import install, keycloak
from stack.files import write
from stack.images import gather
from stack.images.recipes import PRODUCT
from stack.layout import Layout
from stack.steps import Commands, StepFailed, say


def make(layout: Layout, commands: Commands) -> Path:
    """The archive of the checkout as it is now. Raises StepFailed."""
    place = layout.tools / "release"
    contents = place / "contents"
    install.python_environment(layout, commands)
    install.opa_binary(layout, commands)
    keycloak.fetch(layout, commands)
    keycloak.package(layout, commands)
    keycloak.build(layout, commands)
    shutil.rmtree(contents, ignore_errors=True)
    contents.mkdir(parents=True)
    gather.python(layout, contents, commands)
    shutil.copyfile(
        layout.checkout / "deploy" / "compose" / "opa-authorization.rego", contents / "share" / "opa-authorization.rego"
    )
    shutil.copytree(keycloak.built_home(layout), contents / "keycloak", ignore=shutil.ignore_patterns(".complete"))
    (contents / "keycloak" / "data").mkdir(exist_ok=True)
    conf = contents / "keycloak" / "conf"
    (conf / "java-options").write_text("\n".join(keycloak.JAVA_OPTIONS) + "\n")
    shutil.copyfile(layout.checkout / "realm" / "start.sh", conf / "start.sh")
    _readable(contents)
    sums = "".join(f"{digest}  {name}\n" for name, digest in _sums(contents))
    write(contents / "SHA256SUMS", sums, mode=0o644)
    name = f"{PRODUCT}-{hashlib.sha256(sums.encode()).hexdigest()[:12]}"
    archive = place / f"{name}.tar.gz"
    if not archive.exists():
        unfinished = archive.with_suffix(".part")
        words: list[str | Path] = ["tar", "-C", contents, "--owner=0", "--group=0", "--numeric-owner"]
        words.append("--use-compress-program=gzip -1")
        commands.run([*words, "-cf", unfinished, "."], log=layout.logs / "release-tar.log")
        unfinished.rename(archive)
    write(place / "RELEASE", name, mode=0o644)
    shutil.rmtree(contents)
    return archive


def _readable(contents: Path) -> None:
    """Whatever the umask was here, everybody may read the files, and only root may change them."""
    for path in (contents, *contents.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _sums(contents: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(contents.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                yield str(path.relative_to(contents)), hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Exit 0 with the archive's name on stdout, 1 with the end of the log of what failed."""
    layout = Layout.here()
    layout.make()
    os.umask(0o022)
    try:
        archive = make(layout, Commands())
    except StepFailed as problem:
        say(f"make release: {problem}")
        return 1
    print(archive.relative_to(layout.checkout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
