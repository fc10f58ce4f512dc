"""The remote that is the truth: it is fetched before a change and takes the commit, or a pull request.

A push is never forced, so whoever was faster at the remote wins and the change is made again. A branch for
a pull request has a name that says what it is for, so a second attempt finds the first one's.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx

from admin_sync.errors import AdminSyncError, Misconfigured
from admin_sync.repository.change import Change
from admin_sync.repository.git import Git, GitFailed
from admin_sync.repository.settings import Forge, ForgeKind, RepositorySettings
from admin_sync.settings import read_secret

_SECONDS: Final = 20.0


class ForgeFailed(AdminSyncError):
    """The forge did not open the pull request; the text has its answer, without our token."""


class Remote:
    """One remote of a repository."""

    def __init__(self, git: Git, settings: RepositorySettings) -> None:
        if settings.remote is None:
            raise Misconfigured("ADMIN_SYNC_REPOSITORY_REMOTE is not set")
        self._git = git
        self._name = settings.remote
        self._forge = settings.forge

    @property
    def proposes(self) -> bool:
        """Whether changes become pull requests."""
        return self._forge is not None

    def head(self, branch: str) -> str:
        """The commit of a branch at the remote, fetched. Raises GitFailed."""
        self._git.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._name, f"+{branch}:{self._copy(branch)}"
        )
        return self._git.text("rev-parse", "--verify", self._copy(branch))

    def push(self, commit: str, branch: str) -> bool:
        """Let the remote's branch be this commit; False where somebody was faster. Raises GitFailed."""
        done = self._git.done("push", "--quiet", "--porcelain", self._name, f"{commit}:{branch}", fine=(0, 1, 128))
        if done.returncode == 0:
            return True
        if self.head(branch) == commit:
            # The answer was lost, not the push.
            return True
        if b"[rejected]" in done.stdout or b"fetch first" in done.stderr or b"non-fast-forward" in done.stderr:
            return False
        raise GitFailed(f"git push failed: {' '.join(done.stderr.decode('utf-8', 'replace').split())[-400:]}")

    def propose(self, commit: str, base: str, name: str, change: Change) -> str:
        """The address of a pull request with this commit; of the open one if there is one from this branch.

        Raises GitFailed and ForgeFailed.
        """
        if self._forge is None:
            raise Misconfigured("ADMIN_SYNC_FORGE is not set")
        with _client(self._forge) as client:
            found = _opened(client, self._forge, name)
            if found is not None:
                return found
            # The branch is ours alone and nobody merges what has no pull request, so an abandoned one is replaced.
            self._git.run("push", "--quiet", "--force", self._name, f"{commit}:refs/heads/{name}")
            return _open(client, self._forge, name, base.removeprefix("refs/heads/"), change.text())

    def _copy(self, branch: str) -> str:
        return f"refs/tradepulse/remote/{branch.removeprefix('refs/heads/')}"


def _client(forge: Forge) -> httpx.Client:
    token = read_secret(forge.token_file, "ADMIN_SYNC_FORGE_TOKEN_FILE")
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "tradepulse-access"}
    if forge.kind is ForgeKind.GITHUB:
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return httpx.Client(headers=headers, timeout=_SECONDS, follow_redirects=False)


def _opened(client: httpx.Client, forge: Forge, branch: str) -> str | None:
    if forge.kind is ForgeKind.GITHUB:
        owner = forge.project.split("/", 1)[0]
        listed = _answer(client, "GET", _place(forge), params={"head": f"{owner}:{branch}", "state": "open"})
        return str(listed[0]["html_url"]) if listed else None
    listed = _answer(client, "GET", _place(forge), params={"source_branch": branch, "state": "opened"})
    return str(listed[0]["web_url"]) if listed else None


def _open(client: httpx.Client, forge: Forge, branch: str, base: str, text: str) -> str:
    title, _, body = text.partition("\n")
    if forge.kind is ForgeKind.GITHUB:
        asked = {"title": title, "body": body.strip(), "head": branch, "base": base}
        return str(_answer(client, "POST", _place(forge), json=asked)["html_url"])
    asked = {"title": title, "description": body.strip(), "source_branch": branch, "target_branch": base}
    return str(_answer(client, "POST", _place(forge), json=asked)["web_url"])


def _place(forge: Forge) -> str:
    if forge.kind is ForgeKind.GITHUB:
        return f"{forge.api}/repos/{forge.project}/pulls"
    return f"{forge.api}/projects/{quote(forge.project, safe='')}/merge_requests"


def _answer(client: httpx.Client, method: str, url: str, **arguments: Any) -> Any:
    try:
        response = client.request(method, url, **arguments)
        if response.is_success:
            return response.json()
    except (httpx.HTTPError, ValueError) as problem:
        raise ForgeFailed(
            f"{method} {url}: {type(problem).__name__}; the branch was pushed, a re-run is safe"
        ) from None
    raise ForgeFailed(f"{method} {url}: {response.status_code}; may the token open pull requests there?")
