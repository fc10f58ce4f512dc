"""Where the truth is at a remote, changes go there without force; where a forge is, they wait in a pull request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from repository_world import BINDINGS, git, granting, make, opened

from admin_sync.repository import Repository
from admin_sync.repository.remote import ForgeFailed

APPROVER = "security.one@tradepulse.example"


class Remote:
    """A bare repository and clones of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        first = make(folder / "first")
        self.bare = folder / "remote.git"
        git(folder, "clone", "--quiet", "--bare", str(first), str(self.bare))

    def clone(self, name: str) -> Path:
        git(self.folder, "clone", "--quiet", str(self.bare), name)
        return self.folder / name

    def show(self, branch: str = "main") -> str:
        return git(self.bare, "show", f"{branch}:{BINDINGS}")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def following(place: Path, **environ: str) -> Repository:
    return opened(place, ADMIN_SYNC_REPOSITORY_REMOTE="origin", **environ)


def test_a_change_goes_to_the_remote_and_the_work_tree_follows_what_others_pushed(remote: Remote) -> None:
    here, there = following(remote.clone("here")), following(remote.clone("there"))
    with here.change(APPROVER, "Here") as change:
        change.add(granting(7))
    with there.change(APPROVER, "There") as change:
        change.add(granting(8, user="mlops.one@tradepulse.example"))
    assert "REQ-7" in remote.show()
    assert "REQ-8" in remote.show()
    assert here.head() == there.head()
    for name in ("here", "there"):
        assert "REQ-8" in (remote.folder / name / BINDINGS).read_text()
        assert git(remote.folder / name, "status", "--porcelain") == ""


def test_whoever_pushes_meanwhile_wins_and_the_change_is_made_again(remote: Remote) -> None:
    here, other = following(remote.clone("here")), remote.clone("other")
    with here.change(APPROVER, "Here") as change:
        change.add(granting(7))
        path = other / BINDINGS
        path.write_text(path.read_text().replace("# Who holds what", "# (theirs) Who holds what"))
        git(other, "commit", "--quiet", "--all", "--message=Theirs")
        git(other, "push", "--quiet")
    assert "# (theirs)" in remote.show()
    assert "REQ-7" in remote.show()
    assert git(remote.bare, "log", "--format=%s").splitlines() == ["Here", "Theirs", "The configuration"]


class Forge:
    """The part of GitHub's and GitLab's REST APIs that opens pull requests, on loopback."""

    def __init__(self) -> None:
        self.opened: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.refuse = False
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                forge.asked.append((unquote(urlsplit(self.path).path), self.headers["Authorization"]))
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                branch = query.get("source_branch") or query["head"].partition(":")[2]
                self._say(200, [one for one in forge.opened if one["branch"] == branch])

            def do_POST(self) -> None:
                forge.asked.append((unquote(urlsplit(self.path).path), self.headers["Authorization"]))
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if forge.refuse:
                    self._say(403, {"message": "Resource not accessible"})
                    return
                address = f"https://forge.example/{len(forge.opened) + 1}"
                branch = told.get("head") or told["source_branch"]
                forge.opened.append({**told, "branch": branch, "html_url": address, "web_url": address})
                self._say(201, forge.opened[-1])

            def _say(self, status: int, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def forge() -> Iterator[Forge]:
    made = Forge()
    yield made
    made.end()


@pytest.mark.parametrize(
    ("kind", "path"), [("github", "/repos/desk/iam/pulls"), ("gitlab", "/projects/desk/iam/merge_requests")]
)
def test_with_a_forge_a_change_waits_in_one_pull_request_however_often_it_is_made(
    remote: Remote, forge: Forge, tmp_path: Path, kind: str, path: str
) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("forge-token")
    settings = {
        "ADMIN_SYNC_FORGE": kind,
        "ADMIN_SYNC_FORGE_URL": forge.url,
        "ADMIN_SYNC_FORGE_PROJECT": "desk/iam",
        "ADMIN_SYNC_FORGE_TOKEN_FILE": str(token),
    }
    here = following(remote.clone("here"), **settings)
    found = []
    for _ in range(2):
        with here.change(APPROVER, "Grant viewer", reason="Because", branch="access-REQ-7") as change:
            change.add(granting(7))
        assert change.committed is not None
        found.append(change.committed.pull_request)
    assert found == ["https://forge.example/1"] * 2
    assert len(forge.opened) == 1
    assert "REQ-7" not in remote.show()
    assert "REQ-7" in remote.show("access-REQ-7")
    assert "REQ-7" not in (remote.folder / "here" / BINDINGS).read_text()
    assert set(forge.asked) == {(path, "Bearer forge-token")}
    told = forge.opened[0]
    assert told["title"] == "Grant viewer"
    assert "Request: REQ-7" in (told.get("body") or told["description"])
    # Merged, it holds, and the next change is on top of it.
    git(remote.bare, "update-ref", "refs/heads/main", "refs/heads/access-REQ-7")
    assert here.granted_by("REQ-7") is None
    here.head()
    assert here.granted_by("REQ-7") is not None


def test_a_forge_that_refuses_says_so_without_the_token_and_leaves_the_head(
    remote: Remote, forge: Forge, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("forge-token")
    forge.refuse = True
    here = following(
        remote.clone("here"),
        ADMIN_SYNC_FORGE="github",
        ADMIN_SYNC_FORGE_URL=forge.url,
        ADMIN_SYNC_FORGE_PROJECT="desk/iam",
        ADMIN_SYNC_FORGE_TOKEN_FILE=str(token),
    )
    with pytest.raises(ForgeFailed, match="403") as caught, here.change(APPROVER, "Grant", branch="b") as change:
        change.add(granting(7))
    assert "forge-token" not in str(caught.value)
    assert "REQ-7" not in remote.show()
