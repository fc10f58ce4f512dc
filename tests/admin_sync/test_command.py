"""The command as a user meets it without a server: exit codes, streams, positions, time and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from admin_sync_world import ROOT, SAMPLE, Configuration, admin_sync, plain_environment

from admin_sync import saved_plan
from admin_sync.console import Console


def validate(configuration: Configuration, *arguments: str):
    return admin_sync("validate", "--config", configuration.directory, *arguments, environ=configuration.environ)


def test_the_sample_is_valid_in_every_spelling_of_the_command(configuration: Configuration) -> None:
    done = validate(configuration)
    assert done.code == 0
    assert "is valid" in done.out
    # No mistake, but said: whom its roles name as owners are no groups, so nobody could agree to a request.
    assert [line.partition(":")[0] for line in done.err.splitlines()] == [
        f"owner {name}-owners" for name in ("platform", "research", "security", "trading")
    ]
    assert validate(configuration, "--json").json()["valid"] is True


def test_a_duplicate_key_is_exit_3_at_its_second_place(configuration: Configuration) -> None:
    configuration.write("roles.yaml", "version: 1\nversion: 1\n")
    done = validate(configuration)
    assert done.code == 3
    assert "roles.yaml:2:1: duplicate-key: " in done.err
    configuration.write("roles.yaml", "roles:\n  viewer: {}\n  viewer: {}\n")
    assert any(line.startswith("roles.yaml:3:3: duplicate-key: ") for line in validate(configuration).err.splitlines())


# VmHWM belongs to the program alone; what getrusage says starts with the size of whoever started it.
_MEASURED = """
import pathlib, re, runpy, sys
try:
    runpy.run_module("admin_sync", run_name="__main__", alter_sys=True)
finally:
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    print(int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) // 1024, file=sys.stdout)
"""


def _limited(configuration: Configuration, raw: bytes) -> tuple[int, str, float, int]:
    """Exit code, stderr, seconds of CPU beyond those of a valid run, and peak memory in MiB beyond that run's.

    Seconds on the clock would count what else the machine does.
    """
    command = [sys.executable, "-c", _MEASURED, "validate", "--config", str(configuration.directory)]

    def run() -> tuple[subprocess.CompletedProcess[str], float, int]:
        before = _spent()
        done = subprocess.run(command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=False)
        return done, _spent() - before, int(done.stdout.split()[-1])

    _, base, usual = run()
    configuration.write("roles.yaml", raw)
    done, spent, peak = run()
    return done.returncode, done.stderr, spent - base, peak - usual


def _spent() -> float:
    """Seconds of CPU that this process's children have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "roles.yaml:1:4: anchor: "),
        (b"[" * 5000 + b"]" * 5000, "roles.yaml:1:51: too-deep: "),
        (b"a: b\n" * 10_000_000, "roles.yaml:1:1: too-large: "),
    ],
    ids=["alias bomb", "5,000 deep", "50 MB"],
)
def test_a_bomb_is_exit_3_within_a_second_with_flat_memory(configuration: Configuration, raw, finding) -> None:
    code, errors, spent, peak = _limited(configuration, raw)
    assert code == 3
    assert errors.startswith(finding)
    assert spent < 1
    assert peak < 40
    assert "Traceback" not in errors


def test_findings_are_one_json_document_too(configuration: Configuration) -> None:
    configuration.edit("roles.yaml", "[analytics:read, portfolio:read]", "[analytics:reed]")
    done = validate(configuration, "--json")
    assert done.code == 3
    (finding,) = done.json()["findings"]
    assert (finding["file"], finding["line"], finding["column"]) == ("roles.yaml", 46, 19)
    assert finding["code"] == "unknown-permission"


def test_a_finding_stays_one_line_whatever_a_name_holds(configuration: Configuration) -> None:
    configuration.edit("roles.yaml", "realm:\n", '"a\\nfake.yaml:1:1: x: \\e[31my": 1\nrealm:\n')
    configuration.write("b: c:1\n.yaml", "")
    done = validate(configuration, "--json")
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["b", "roles.yaml"]
    assert "\x1b" not in done.err
    assert [one["code"] for one in done.json()["findings"]] == ["unknown-file", "unknown-field"]


def test_a_message_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.complain("admin-sync: role \x1b[2Kx\r\nsecond line")
    console.say("\u202ename")
    assert capsys.readouterr().err == "admin-sync: role \\u001b[2Kx\\u000d\nsecond line\n\\u202ename\n"


def test_closed_streams_and_a_narrow_locale_change_neither_exit_code_nor_data(configuration: Configuration) -> None:
    command = f'"{sys.executable}" -m admin_sync explain trader.one@tradepulse.example --config "$1"'

    def shell(redirected: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["sh", "-c", f"{command} {redirected}", "sh", str(configuration.directory)],
            cwd=ROOT,
            env=plain_environment() | environ,
            capture_output=True,
            check=False,
        )

    closed = shell(">&-")
    assert (closed.returncode, closed.stderr) == (0, b"")
    assert shell("2>&-").returncode == 0
    full = shell("--json >/dev/full")
    assert (full.returncode, b"Traceback" in full.stderr) == (1, False)
    narrow = shell("", PYTHONIOENCODING="latin-1")
    assert narrow.stdout.decode("utf-8").count("→") > 1


def test_findings_become_annotations_for_a_workflow(configuration: Configuration) -> None:
    configuration.edit("roles.yaml", "[analytics:read, portfolio:read]", "[analytics:reed]")
    done = validate(configuration, "--format", "github")
    assert done.out.startswith("::error file=")
    assert "line=46,col=19" in done.out


def test_an_empty_file_is_exit_5(configuration: Configuration) -> None:
    configuration.write("role_bindings.yaml", b"")
    done = validate(configuration)
    assert done.code == 5
    assert "role_bindings.yaml:1:1: empty-file" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("plan", "--format", "xml"),
        ("validate", "--nope"),
        ("who-can",),
        (),
        ("validate", "--env", "mars"),
    ],
)
def test_bad_usage_is_exit_3_because_2_means_changes(arguments: tuple[str, ...]) -> None:
    done = admin_sync(*arguments)
    assert done.code == 3
    assert "Traceback" not in done.err


def test_missing_settings_are_named_all_at_once() -> None:
    done = admin_sync("plan")
    assert done.code == 3
    for name in ("ADMIN_SYNC_KEYCLOAK_URL", "ADMIN_SYNC_CLIENT_ID", "ADMIN_SYNC_CLIENT_SECRET_FILE"):
        assert name in done.err


def test_a_saved_plan_is_not_applied_to_an_environment_that_it_is_not_for(tmp_path: Path) -> None:
    counts = {"summary": {"add": 0, "change": 0, "destroy": 0}}
    counts["access"] = {"gains": 0, "losses": 0, "rules": 0, "undeclared": 0}
    empty = {"changes": [], "effects": [], "pending": [], **counts}
    made = [{"gateway": "rest", "secrets": {}}]
    saved_plan.save(tmp_path / "plan.json", [{"environment": "dev", "realm": "tradepulse-dev", **empty}], made)
    done = admin_sync("apply", tmp_path / "plan.json", "--env", "prod")
    assert done.code == 5
    assert "not for prod" in done.err
    saved_plan.save(tmp_path / "plan.json", [], [])
    assert admin_sync("apply", tmp_path / "plan.json").code == 5


def test_an_apply_that_could_not_sign_its_bundle_changes_nothing_first(tmp_path: Path) -> None:
    done = admin_sync("apply", environ={"ADMIN_SYNC_BUNDLE_DIR": str(tmp_path)})
    assert done.code == 3
    assert "ADMIN_SYNC_BUNDLE_KEY_FILE" in done.err


def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary", "utf-8")
    secret.chmod(0o644)
    environ = {
        "ADMIN_SYNC_KEYCLOAK_URL": "http://localhost:1",
        "ADMIN_SYNC_CLIENT_ID": "x",
        "ADMIN_SYNC_CLIENT_SECRET_FILE": str(secret),
    }
    done = admin_sync("plan", environ=environ)
    assert done.code == 3
    assert "chmod 600" in done.err
    assert "canary" not in done.err


def test_a_server_that_is_away_is_exit_1_after_a_bounded_time(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", "utf-8")
    secret.chmod(0o600)
    environ = {
        "ADMIN_SYNC_KEYCLOAK_URL": "http://localhost:1",
        "ADMIN_SYNC_CLIENT_ID": "x",
        "ADMIN_SYNC_CLIENT_SECRET_FILE": str(secret),
    }
    start = time.monotonic()
    done = admin_sync("plan", "--env", "dev", "--json", environ=environ, timeout=120)
    assert done.code == 1
    assert time.monotonic() - start < 60
    assert json.loads(done.out)["exit"] == 1
    assert "Traceback" not in done.err


def test_explain_names_roles_permissions_ways_and_ends() -> None:
    config = ("--config", SAMPLE)
    done = admin_sync("explain", "Platform.One@tradepulse.example", "--env", "staging", "--json", *config)
    assert done.code == 0
    (staging,) = done.json()["environments"]
    roles = {one["role"]: one["expires"] for one in staging["roles"]}
    assert roles == {"viewer": None, "sre": "2027-01-31T18:00:00+00:00"}
    text = admin_sync("explain", "nobody@example.org").out
    assert text.count("nothing is granted by the configuration") == 3


def test_who_can_names_people_mappings_services_and_partners() -> None:
    subjects = admin_sync("who-can", "deployment:rollout", "--env", "staging", "--json").json()["environments"][0][
        "subjects"
    ]
    assert {one["subject"] for one in subjects} == {
        "platform.one@tradepulse.example",
        "client ci-deployer",
        "whoever workforce puts in tp-platform",
    }
    assert "partner acme-capital by partner role partner-admin" in admin_sync("who-can", "member:manage").out
    assert admin_sync("who-can", "no:such").code == 3


def test_output_that_nobody_reads_changes_no_exit_code() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "admin_sync", "who-can", "iam:modify"],
        cwd=ROOT,
        env=plain_environment(),
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


def test_nothing_is_coloured_without_a_terminal() -> None:
    done = admin_sync("who-can", "iam:modify", environ={"FORCE_COLOR": "1"})
    assert "\x1b" not in done.out + done.err


def test_audit_verify_names_the_first_bad_line(tmp_path: Path) -> None:
    from identity.audit.event import AuditEvent  # noqa: PLC0415
    from identity.audit.log import AuditLog  # noqa: PLC0415

    file = tmp_path / "iam_events.jsonl"
    log = AuditLog(file, source="admin-sync", node="test")
    for number in range(3):
        log.append_sync(AuditEvent(event="realm.changed", outcome="success", resource=str(number)))
    log.close()
    assert admin_sync("audit", "verify", file).code == 0
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace('"resource":"1"', '"resource":"9"'), lines[2]]), "utf-8")
    done = admin_sync("audit", "verify", file)
    assert done.code == 1
    assert "line 2" in done.err
    assert "seq 2" in done.err
    assert admin_sync("audit", "verify", tmp_path / "absent.jsonl").code == 1


def test_doctor_says_one_line_for_each_thing(tmp_path: Path) -> None:
    done = admin_sync("doctor", environ={"TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit")})
    assert done.code == 1, "Keycloak is not configured here"
    lines = done.out.splitlines()
    assert any(line.startswith("ok") and "configuration" in line for line in lines)
    assert any(line.startswith("failed") and "keycloak" in line and "ADMIN_SYNC_KEYCLOAK_URL" in line for line in lines)
