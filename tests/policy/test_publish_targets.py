"""Each kind of place a bundle is published to: a real server behind it, and an OPA that subscribes to it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from bundle_spoilers import BAD, files_of
from bundle_world import ADMIN, Place, question, with_grant_of
from opa_process import POLICY, RunningOpa
from publish_places import LOGIN, TOKEN, Guard, Where, in_registry, over_https, secret_file, served

from admin_sync.bundle.address import target_of
from admin_sync.bundle.errors import BadTarget, FreezeInForce, Overtaken, PolicyRed, PublishFailed, StaleSerial
from admin_sync.bundle.oci_target import manifest
from admin_sync.bundle.publish import Outcome
from admin_sync.bundle.published import meta_or_none, read_meta
from admin_sync.bundle.serve import BundleServer
from admin_sync.bundle.web import Web
from identity.secret import Secret
from stack import registry as oci_registry
from stack.layout import Layout
from stack.steps import Commands

Start = Callable[..., RunningOpa]

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real OCI registry, by `host:port`."""
    program = oci_registry.ensure(Layout.here(), Commands())
    with oci_registry.running(program, tmp_path_factory.mktemp("registry") / "log") as address:
        yield address


@pytest.fixture(params=["directory", "https", "oci"])
def where(request: pytest.FixtureRequest, place: Place, tmp_path: Path, registry: str) -> Iterator[Where]:
    """One place of each kind; `place` publishes there."""
    if request.param == "directory":
        yield Where(str(place.directory), {"bundle_url": place.url})
    elif request.param == "https":
        with over_https(tmp_path) as found:
            yield found
    else:
        with in_registry(
            tmp_path, registry, f"policy-{tmp_path.name.lower().replace('_', '-')[-20:].strip('-')}"
        ) as found:
            yield found


@pytest.fixture
def everywhere(place: Place, where: Where) -> Place:
    return replace(place, target=where.target())


def subscribed(place: Place, where: Where, start_opa: Start) -> RunningOpa:
    return start_opa("--config-file", place.config(**where.opa))


def test_a_bundle_a_freeze_and_a_thaw_reach_opa_from_every_place(
    everywhere: Place, where: Where, start_opa: Start
) -> None:
    server = subscribed(everywhere, where, start_opa)
    assert "result" not in server.decide(question())
    first = everywhere.publish()
    assert (first.outcome, first.before) == (Outcome.PUBLISHED, None)
    everywhere.served(server, first)
    assert server.decide(question())["result"]["allow"] is True
    assert everywhere.served(server, everywhere.publish(frozen=True)) < 5
    assert server.decide(question())["result"]["reasons"] == ["frozen"]
    assert server.decide(question(**ADMIN))["result"]["reasons"] == ["role:admin"]
    with pytest.raises(FreezeInForce):
        everywhere.publish()
    everywhere.served(server, everywhere.publish(thaw=True))
    assert server.decide(question())["result"]["allow"] is True


def test_what_is_the_same_or_older_or_red_is_not_published_anywhere(
    everywhere: Place, where: Where, tmp_path: Path
) -> None:
    target = where.target()
    rules = tmp_path / "red"
    rules.mkdir()
    (rules / "a_test.rego").write_text("package tradepulse.a_test\n\ntest_no if false\n")
    with pytest.raises(PolicyRed, match="nothing was published"):
        everywhere.publish(policy_dir=rules)
    assert target.read() is None
    first = everywhere.publish()
    kept = target.read()
    assert kept is not None
    assert everywhere.publish().outcome is Outcome.UNCHANGED
    with pytest.raises(StaleSerial, match="has serial"):
        everywhere.publish(with_grant_of("eve@example.test"), clock=lambda: first.meta.built_at - 60)
    assert target.read() == kept


def test_an_opa_that_pulls_from_a_registry_keeps_the_old_bundle_and_says_so(
    place: Place, start_opa: Start, registry: str, tmp_path: Path
) -> None:
    """The same as by HTTP; `test_bundle_delivery` has each of them alone."""
    with in_registry(tmp_path, registry, "spoilt") as where:
        pulled, target = replace(place, target=where.target()), where.target()
        bad = [spoil(place) for spoil in BAD]
        server = subscribed(pulled, where, start_opa)

        def refused() -> int:
            return len([line for line in server.complaints() if "Bundle load failed" in line])

        def push(content: bytes) -> None:
            before = refused()
            target.replace(content, "spoilt", target.read())
            server.eventually(lambda: refused() > before)

        push(bad[0])
        assert "result" not in server.decide(question())
        assert server.http.get("/health?bundles").status_code == 500
        first = pulled.publish()
        pulled.served(server, first)
        for content in bad:
            push(content)
            assert server.http.get("/v1/status").json()["result"]["bundles"]["tradepulse"]["message"]
            assert server.meta()["revision"] == first.meta.revision
            assert server.decide(question())["result"]["allow"] is True
            assert server.decide(question("eve@example.test"))["result"]["allow"] is False


def test_the_same_input_gives_the_same_bytes_on_any_host_and_in_any_time_zone(place: Place, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(POLICY.parent)!r}]\n"
        "from bundle_world import SOURCE, POLICY\n"
        "from admin_sync.bundle.build import build_bundle\n"
        "key, opa = map(Path, sys.argv[1:])\n"
        "made = build_bundle(SOURCE, policy_dir=POLICY, key=key, opa=opa, clock=lambda: 1795446000.5)\n"
        "sys.stdout.buffer.write(made.content)\n"
    )
    made = []
    for zone, seed, locale, mask in (("UTC", "1", "C.UTF-8", 0o022), ("Asia/Kathmandu", "2", "C", 0o077)):
        home = tmp_path / zone.replace("/", "-")
        home.mkdir()
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TMPDIR": str(home)}
        done = subprocess.run(
            [sys.executable, "-c", script, place.key, place.opa],
            env=environment, cwd=home, umask=mask, capture_output=True, check=True,
        )  # fmt: skip
        made.append(done.stdout)
    assert made[0] == made[1]
    assert json.loads(files_of(made[0])["/.manifest"])["revision"].endswith("-1795446000500")
    assert manifest(made[0], "r") == manifest(made[1], "r")


def test_a_server_that_is_away_or_not_well_is_tried_again(place: Place) -> None:
    answers = [503, 503, 200]

    class Unwell(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if answers else 404)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"abc")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Unwell)) as port:
        found = target_of(f"http://127.0.0.1:{port}").read()
    assert found is not None
    assert (found.content, answers) == (b"abc", [])
    with pytest.raises(PublishFailed, match=r"after 4 tries"):
        target_of("http://127.0.0.1:9").read()


def test_a_put_whose_answer_was_lost_is_known_by_what_it_left(place: Place) -> None:
    """The second try fails its condition, because the first one did the work."""
    lost = threading.Event()
    server = BundleServer(("127.0.0.1", 0), place.directory, publish_token=Secret(TOKEN))
    handler = server.RequestHandlerClass

    class Losing(handler):  # type: ignore[valid-type, misc]
        def send_response(self, code: int, message: str | None = None) -> None:
            if self.command == "PUT" and not lost.is_set():
                lost.set()
                self.connection.close()
                raise ConnectionAbortedError
            super().send_response(code, message)

    server.RequestHandlerClass = Losing  # type: ignore[assignment]
    server.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
    with served(server) as port:
        target = target_of(f"http://127.0.0.1:{port}", token_file=secret_file(place.home / "token", TOKEN))
        done = replace(place, target=target).publish()
        assert (done.outcome, lost.is_set()) == (Outcome.PUBLISHED, True)
        found = target.read()
        assert found is not None
        assert meta_or_none(found.content) == done.meta


def test_of_two_publishers_over_http_the_later_one_is_told(place: Place, tmp_path: Path) -> None:
    with over_https(tmp_path) as where:
        target = where.target()
        first, second = place.build(), place.build(with_grant_of("eve@example.test"))
        target.replace(first.content, first.meta.revision, None)
        with pytest.raises(Overtaken, match="in the same moment"):
            target.replace(second.content, second.meta.revision, None)
        assert target.read().content == first.content  # type: ignore[union-attr]


def test_of_two_publishers_in_a_registry_the_later_one_is_told(place: Place, tmp_path: Path, registry: str) -> None:
    with in_registry(tmp_path, registry, "raced") as where:
        target = where.target()
        first, second = place.build(), place.build(with_grant_of("eve@example.test"))
        target.replace(first.content, first.meta.revision, None)
        with pytest.raises(Overtaken, match="in the same moment"):
            target.replace(second.content, second.meta.revision, None)
        assert target.read().content == first.content  # type: ignore[union-attr]


def test_the_tag_moves_only_after_everything_behind_it_is_there(place: Place, tmp_path: Path, registry: str) -> None:
    with in_registry(tmp_path, registry, "ordered") as where:
        replace(place, target=where.target()).publish()
    puts = [line for line in where.requests if line.startswith("PUT")]
    assert puts[-1].endswith("/manifests/prod")
    assert puts[:-1]
    assert all("/blobs/uploads/" in line for line in puts[:-1])


def test_a_registry_with_a_token_service_is_logged_in_to(place: Place, tmp_path: Path, registry: str) -> None:
    login = secret_file(tmp_path / "login", LOGIN)
    with served(Guard(registry, tokens=True)) as port:
        target = target_of(f"oci+http://127.0.0.1:{port}/iam/policy:token", token_file=login)
        replace(place, target=target).publish()
        assert target.read() is not None


@pytest.mark.parametrize("kind", ["https", "oci"])
def test_whoever_has_no_credential_publishes_nothing_and_sees_none(
    place: Place, tmp_path: Path, registry: str, kind: str
) -> None:
    wrong = secret_file(tmp_path / "wrong", "wrong:canary-secret")
    opened = over_https(tmp_path) if kind == "https" else in_registry(tmp_path, registry, "closed")
    with opened as where:
        target = target_of(where.address, token_file=wrong, ca_file=where.ca_file)
        with pytest.raises(PublishFailed, match=r"answers (PUT|GET) with 401.*TOKEN_FILE") as caught:
            replace(place, target=target).publish()
        assert "canary" not in str(caught.value)
        assert where.target().read() is None


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_token(place: Place, tmp_path: Path) -> None:
    with over_https(tmp_path) as where:
        stranger = target_of(where.address, token_file=where.token_file)
        with pytest.raises(PublishFailed, match="CERTIFICATE_VERIFY_FAILED"):
            replace(place, target=stranger).publish()
        assert where.target().read() is None


def test_the_commands_publish_where_they_are_told_and_leave_a_line(place: Place, tmp_path: Path) -> None:
    with over_https(tmp_path) as where:
        environment = {
            "PATH": os.environ["PATH"],
            "ADMIN_SYNC_BUNDLE_KEY_FILE": str(place.key),
            "ADMIN_SYNC_BUNDLE_TOKEN_FILE": str(where.token_file),
            "ADMIN_SYNC_BUNDLE_CA_FILE": str(where.ca_file),
            "ADMIN_SYNC_OPA_BIN": str(place.opa),
            "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit"),
        }

        def run(*words: str) -> tuple[int, str]:
            command = [sys.executable, "-m", "admin_sync", "bundle", *words, "--json", "--target", where.address]
            done = subprocess.run(
                command, env=environment, cwd=POLICY.parent, capture_output=True, text=True, check=False
            )
            assert TOKEN not in done.stdout + done.stderr
            return done.returncode, done.stdout

        code, out = run("freeze")
        assert (code, json.loads(out)["frozen"], json.loads(out)["target"]) == (
            0,
            True,
            f"{where.address}/bundle.tar.gz",
        )
        assert run("publish")[0] == 5
        code, out = run("thaw")
        assert (code, json.loads(out)["frozen"]) == (0, False)
        found = where.target().read()
        assert found is not None
        assert read_meta(found.content).revision == json.loads(out)["revision"]
        where.address = "s3://bucket"
        assert run("publish")[0] == 3
    lines = [json.loads(line) for line in (tmp_path / "audit" / "iam_events.jsonl").read_text().splitlines()]
    published = [(line["action"], line["outcome"], line["reason"]) for line in lines]
    assert published == [
        ("freeze", "success", None), ("publish", "failure", "FreezeInForce"), ("thaw", "success", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://policy.example.test/iam", "use https"),
        ("oci+http://registry.example.test/iam/policy:prod", "use oci://"),
        ("oci://registry.example.test/iam/policy", "is written as oci://"),
        ("oci://registry.example.test/iam/Policy:prod", "is written as oci://"),
        ("https://user:canary@policy.example.test/iam", "holds no user and no password"),
        ("s3://bucket/iam", "a target is a directory"),
        ("https://[canary/iam", "a target is a directory"),
    ],
)
def test_an_address_that_is_no_place_is_refused(address: str, says: str) -> None:
    with pytest.raises(BadTarget, match=says) as caught:
        target_of(address)
    assert "canary" not in str(caught.value)


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    token = secret_file(tmp_path / "token", TOKEN)
    token.chmod(0o644)
    with pytest.raises(BadTarget, match="others can read"):
        target_of("https://policy.example.test", token_file=token)


@pytest.mark.parametrize("text", ["canary\nsecond", "can\x1bary", "canärie", " \n"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadTarget, match="one line of ASCII") as caught:
        target_of("https://policy.example.test", token_file=secret_file(tmp_path / "token", text))
    assert "can" not in str(caught.value)


def test_a_request_that_cannot_be_sent_shows_no_credential(tmp_path: Path) -> None:
    # Where nobody listens there is no connection, and nothing would complain about the header.
    with served(BundleServer(("127.0.0.1", 0), tmp_path)) as port, pytest.raises(PublishFailed) as caught:
        Web().send("GET", f"http://127.0.0.1:{port}/", headers={"Authorization": "Bearer canary "})
    assert "canary" not in str(caught.value)
    with pytest.raises(PublishFailed):
        Web().send("GET", "http://127.0.0.1:port/", headers={})


def test_a_storage_behind_a_registry_is_told_no_password(tmp_path: Path) -> None:
    asked: list[str | None] = []

    class Quiet(BaseHTTPRequestHandler):
        def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Storage(Quiet):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
            self.reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    class Registry(Quiet):
        def do_GET(self) -> None:
            if "/manifests/" in self.path:
                return self.reply(200, {}, manifest(b"bundle", "r"))
            return self.reply(307, {"Location": f"http://127.0.0.1:{storage}/blob"})

    login = secret_file(tmp_path / "login", LOGIN)
    with (
        served(ThreadingHTTPServer(("127.0.0.1", 0), Storage)) as storage,
        served(ThreadingHTTPServer(("127.0.0.1", 0), Registry)) as port,
        pytest.raises(PublishFailed, match="401"),
    ):
        target_of(f"oci+http://127.0.0.1:{port}/iam/policy:prod", token_file=login).read()
    assert asked == [None]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "If-Match": '"other"'}, 412),
        ({"Authorization": f"Bearer {TOKEN}", "If-None-Match": "*"}, 412),
        ({"Authorization": f"bearer {TOKEN}"}, 204),
    ],
)
def test_our_server_takes_a_bundle_only_with_the_token_and_the_right_condition(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(b"before")
    with served(BundleServer(("127.0.0.1", 0), tmp_path, publish_token=Secret(TOKEN))) as port:
        url = f"http://127.0.0.1:{port}/bundle.tar.gz"
        answer = httpx.put(url, content=b"after", headers=headers, trust_env=False)
        assert answer.status_code == status
        assert httpx.get(url, trust_env=False).content == (b"after" if status == 204 else b"before")


def test_our_server_takes_no_bundle_at_all_unless_told_to(tmp_path: Path) -> None:
    with served(BundleServer(("127.0.0.1", 0), tmp_path)) as port:
        url = f"http://127.0.0.1:{port}"
        assert httpx.put(f"{url}/bundle.tar.gz", content=b"x", trust_env=False).status_code == 404
        assert httpx.post(f"{url}/logs", content=b"[]", trust_env=False).status_code == 404
    assert list(tmp_path.iterdir()) == []
