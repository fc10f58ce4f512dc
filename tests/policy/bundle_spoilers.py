"""Ways to spoil a bundle, none of which an OPA may take."""

from __future__ import annotations

import gzip
import io
import tarfile

from bundle_world import Place, with_grant_of

from admin_sync.bundle.keys import create_key


def files_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def archive_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def unsigned(place: Place) -> bytes:
    files = files_of(place.build(with_grant_of("eve@example.test")).content)
    return archive_of({name: content for name, content in files.items() if name != "/.signatures.json"})


def one_byte_changed(place: Place) -> bytes:
    files = files_of(place.build().content)
    changed = files["/data.json"].replace(b"ada@example.test", b"adb@example.test")
    assert changed != files["/data.json"]
    return archive_of({**files, "/data.json": changed})


def a_rule_changed(place: Place) -> bytes:
    files = files_of(place.build().content)
    name = next(name for name in files if name.endswith("decision.rego"))
    changed = files[name].replace(b'"allow": false', b'"allow": true')
    assert changed != files[name]
    return archive_of({**files, name: changed})


def a_file_added(place: Place) -> bytes:
    files = files_of(place.build().content)
    return archive_of({**files, "/tradepulse/extra.rego": b"package tradepulse.authz\n\nsound contains 1"})


def signed_by_another_key(place: Place) -> bytes:
    other = place.home / "other.pem"
    create_key(other, place.home / "other.pub.pem")
    return place.build(with_grant_of("eve@example.test"), key=other).content


def cut_off(place: Place) -> bytes:
    content = place.build().content
    return content[: len(content) // 2]


BAD = [unsigned, one_byte_changed, a_rule_changed, a_file_added, signed_by_another_key, cut_off]
