"""How logins go: what counts as what, that nothing counts twice, who may see it, and what the report says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from access_world import World

from admin_sync.auth_health import lines, scraped, summary
from admin_sync.auth_health.collector import Collector
from admin_sync.auth_health.daily import DailyReport
from admin_sync.auth_health.document import document
from admin_sync.auth_health.figures import OTHER, STEP, Count, Key, step_of, summed
from admin_sync.auth_health.markdown import markdown
from admin_sync.auth_health.pulse import answers_of, cleaned
from admin_sync.auth_health.report import report_of
from admin_sync.auth_health.store import Summed
from admin_sync.auth_health.targets import State, share, standings
from admin_sync.commands.options import Options
from admin_sync.commands.reporting import Form, auth_health
from admin_sync.console import DONE, Console
from admin_sync.errors import Misconfigured
from identity import chart

NOW = datetime.now(UTC)


def record(number: int, event: str, outcome: str = "success", **members: Any) -> dict[str, Any]:
    """A line of the audit log as Keycloak's listener writes it."""
    return {
        "event": event,
        "outcome": outcome,
        "source": "keycloak",
        "node": "kc",
        "seq": number,
        "time": NOW.isoformat(),
        "resource": "client=tradepulse realm=tradepulse-dev",
        "amr": [],
        "reason": None,
        "actor": "somebody@tradepulse.example",
        **members,
    }


def text(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in records)


MIXED = (
    record(1, "login", amr=["pwd", "hwk"]),
    record(2, "login", amr=["pwd", "otp"]),
    record(3, "login", amr=["pwd"]),
    record(4, "login.error", "failure", reason="invalid_user_credentials"),
    record(5, "login.error", "failure", reason="risk_denied"),
    record(6, "login.error", "failure", reason="invalid_redirect_uri"),
    record(7, "token.issued.error", "failure", reason="invalid_code"),
    record(8, "login", resource="client=admin-sync realm=master", amr=["pwd"]),
    record(9, "admin.user.update"),
    record(10, "login.error", "failure", reason="Somebody Else's <script>"),
    {
        **record(1, "policy.decided", "denied", reason="no_role outside_window"),
        "source": "opa",
        "resource": "prod/bundle/1",
    },
    {**record(2, "policy.decided"), "source": "opa", "resource": "dev/bundle/1"},
)


def rows(*found: tuple[Key, Count]) -> list[Summed]:
    moment = datetime.fromtimestamp(step_of(NOW), UTC)
    return [
        Summed(moment, key.environment, key.series, key.label, count.count, count.seconds)
        for key, count in summed(found).items()
    ]


def counted(*records: dict[str, Any], marks: lines.Marks | None = None) -> list[Summed]:
    return rows(*lines.counts(text(*records).splitlines(), marks or lines.Marks(), since=0))


def test_a_wrong_password_is_a_mistake_a_refusal_by_policy_is_none_and_the_rest_counts_against_us() -> None:
    found = summary.totals(counted(*MIXED))
    assert (found.logins, found.mistakes, found.turned_away, found.faults) == (3, 1, 1, 3)
    assert found.success_rate == 0.5
    assert found.redirect_failures == 2
    assert found.fault_reasons == {"invalid_redirect_uri": 1, "other": 1, "invalid_code": 1}
    assert found.factors == {"hwk": 1, "otp": 1, "pwd": 1}
    assert (found.hardware_share, found.second_factor_share) == (0.33333, 0.66667)
    assert (found.decisions, found.denied) == (2, 1)
    assert found.denied_reasons == {"no_role": 1, "outside_window": 1}


def test_each_environment_has_its_own_figures() -> None:
    found = counted(*MIXED)
    assert summary.totals(found, "dev").denied == 0
    assert summary.totals(found, "prod").denied == 1
    assert summary.totals(found, "prod").logins == 0
    assert summary.totals(found, "prod").success_rate is None


def test_a_label_that_somebody_made_up_is_counted_as_other_and_there_are_never_too_many() -> None:
    many = [record(n, "login.error", "failure", reason=f"reason_{n}") for n in range(1, 200)]
    labels = {row.label for row in counted(*many) if row.series == lines.REFUSED}
    assert len(labels) <= 61
    assert OTHER in labels
    assert sum(row.count for row in counted(*many) if row.series == lines.REFUSED) == 199


def test_a_line_that_comes_again_from_a_packed_file_counts_once_and_a_new_chain_counts() -> None:
    marks = lines.Marks()
    assert len(counted(*MIXED[:3], marks=marks)) == 3
    again = lines.Marks(marks.record())
    assert counted(*MIXED[:3], marks=again) == []
    later = record(1, "login", amr=["hwk"], time=(NOW + timedelta(seconds=1)).isoformat())
    assert len(counted(later, marks=again)) == 1


METRICS = """
# HELP workspace_request_seconds Time until a page is answered.
workspace_request_seconds_bucket{page="callback",le="0.25"} 2
workspace_request_seconds_bucket{page="callback",le="0.5"} 8
workspace_request_seconds_bucket{page="callback",le="1.0"} 10
workspace_request_seconds_bucket{page="callback",le="+Inf"} 10
workspace_request_seconds_count{page="callback"} 10
workspace_request_seconds_sum{page="callback"} 4.0
workspace_request_seconds_count{page="home"} 99
workspace_logins_total{outcome="failure"} 1
vault_holdings{what="keys_overdue"} 2
http_server_requests_seconds_count{uri="/realms/{realm}/protocol/{protocol}/token",method="POST"} 4
http_server_requests_seconds_sum{uri="/realms/{realm}/protocol/{protocol}/token",method="POST"} 0.2
http_server_requests_seconds_count{uri="/admin/realms/{realm}"} 7
vault_holdings{what="keys"} NaN
"""


def test_metrics_count_by_what_became_more_and_a_restart_begins_at_zero() -> None:
    standing = scraped.totals(scraped.samples(METRICS))
    first = rows(*scraped.grown({}, standing, step=step_of(NOW), environment="dev"))
    found = summary.totals(first)
    assert found.callback.count == 10
    assert found.callback.mean == 0.4
    assert found.callback.p95 == 0.875
    assert (found.realm.count, found.realm.mean) == (4, 0.05)
    assert found.returned_failed == 1
    slow = {("latency.callback", "all"): 1.0, ("latency.callback", "le:1"): 1.0, ("latency.callback", "le:10"): 1.0}
    alone = summary.totals(rows(*scraped.grown({}, slow, step=step_of(NOW), environment="dev")))
    assert alone.callback.p95 == 0.975, "between the last bound that nothing came under and the first that it did"
    assert list(scraped.grown(standing, standing, step=0, environment="dev")) == []
    smaller = {("returned", "failure"): 3.0}
    assert list(scraped.grown({("returned", "failure"): 9.0}, smaller, step=0, environment="dev")) == [
        (Key(0, "dev", "returned", "failure"), Count(3))
    ]
    told = {one.series: one.value for one in scraped.levels(scraped.samples(METRICS), step=0, environment="dev")}
    assert told == {"keys.overdue": 2.0}


def test_what_nobody_measured_is_unknown_and_neither_good_nor_bad() -> None:
    empty = summary.totals([])
    assert {one.state for one in standings(empty, {}, None)} == {State.UNKNOWN}
    found = {one.name: one.state for one in standings(summary.totals(counted(*MIXED)), {"keys.overdue": 0.0}, 0.96)}
    assert found["success_rate"] is State.BAD
    assert found["keys_overdue"] is State.GOOD
    assert found["satisfied"] is State.GOOD
    assert share(0.99999) == "99.99 %", "a share that is not whole is never shown as a hundred"


def test_a_history_has_every_span_and_begins_at_the_start_of_one() -> None:
    until = NOW
    for hours in (1, 24, 168, 720):
        period = timedelta(hours=hours)
        since, span = summary.begin(until, period), summary.span_of(period)
        points = summary.history([], since=since, until=until, span=span)
        assert len(points) <= 98
        assert since.timestamp() % span.total_seconds() == 0
        assert points[-1].since <= until < points[-1].since + span
        assert span.total_seconds() % STEP == 0


def test_a_chart_escapes_names_and_has_a_gap_where_nothing_was_measured() -> None:
    drawn = chart.lines("<b>title</b>", ["a", "b", "c", "d"], [chart.Line("x", [1.0, None, 2.0, 3.0])])
    assert "<b>" not in drawn
    assert drawn.count("<polyline") == 1
    assert drawn.count("<circle") == 1
    assert "style=" not in drawn
    assert chart.bars("none", [], []).endswith("</svg>")


@pytest.fixture
def page_of_metrics() -> Iterator[tuple[str, list[str]]]:
    """A server whose page of metrics a test may change."""
    shown = [METRICS]

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            content = shown[0].encode()
            # As Keycloak does, which has no other kind to give.
            self.send_response(200 if "text/plain" in self.headers.get("Accept", "") else 406)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics", shown
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def collector(world: World, audit: Path, **pages: str) -> Collector:
    return Collector(
        world.access.figures,
        world.access.http,
        audit=audit,
        pages=pages,
        environment="dev",
        node="other",
        emergencies=world.access.emergencies.figures,
    )


def viewer(world: World) -> dict[str, str]:
    """Somebody who may read audit trails."""
    return world.auth("platform.one", groups=["viewer", "sre"])


async def health(world: World, **query: Any) -> Any:
    reply = await world.http.get("/access/v1/auth-health", params=query, headers=viewer(world))
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_every_line_counts_once_over_restarts_rotations_and_two_who_read(
    access_world: World, tmp_path: Path
) -> None:
    audit = tmp_path / "iam_events.jsonl"
    audit.write_bytes(text(*MIXED[:6]) + b'{"event":"login","half')
    first, second = collector(access_world, audit), collector(access_world, audit)
    await asyncio.gather(first.catch_up(), second.catch_up())
    assert (await health(access_world))["totals"]["logins"] == 3
    second.close()
    audit.write_bytes(text(*MIXED[:6]))
    audit.rename(tmp_path / "iam_events.jsonl.1")
    audit.write_bytes(text(*MIXED[6:], record(11, "login", amr=["hwk"])))
    third = collector(access_world, audit)
    await asyncio.gather(first.catch_up(), third.catch_up())
    await third.catch_up()
    found = await health(access_world)
    assert found["totals"]["logins"] == 4
    assert found["totals"]["faults"] == 3
    assert found["totals"]["denied"] == 1
    assert sum(one["logins"] for one in found["history"]) == 4
    assert set(found["environments"]) == {"dev", "prod"}
    assert (await health(access_world, environment="prod"))["totals"]["denied"] == 1
    assert not (await access_world.sql("SELECT 1 FROM access.health_count WHERE label ~ '@'")), "a label names nobody"
    for one in (first, third):
        one.close()


async def test_a_source_that_does_not_answer_is_said_and_the_others_are_read(
    access_world: World, tmp_path: Path, page_of_metrics: tuple[str, list[str]]
) -> None:
    url, shown = page_of_metrics
    reading = collector(access_world, tmp_path / "none", good=url, dead="http://127.0.0.1:1/metrics")
    await reading.look()
    shown[0] = METRICS.replace("} 10\n", "} 30\n")
    await reading.look()
    found = await health(access_world)
    assert found["totals"]["callback"]["count"] == 20
    assert found["levels"]["keys.overdue"] == 2
    assert found["levels"]["emergencies.overdue"] == 0
    said = {one["name"]: one["problem"] for one in found["sources"]}
    assert said["good"] is None
    assert said["dead"] == "does not answer"
    states = {one["name"]: one["state"] for one in found["standings"]}
    assert states["keys_overdue"] == "bad"


@pytest.mark.parametrize("path", ["/access/v1/auth-health", f"/access/v1/auth-health/reports/{NOW.date()}"])
async def test_only_who_may_read_audit_trails_sees_how_logins_go(access_world: World, path: str) -> None:
    assert (await access_world.http.get(path)).status_code == 401
    for who, changes, expected in (
        ("quant.one", {"groups": ["viewer", "quant"]}, 403),
        ("member@acme.example", {"organization": {"acme-capital": {"id": "1", "groups": ["/partner-admin"]}}}, 403),
        ("security.one", {"groups": ["admin"]}, 403),
        ("platform.one", {"groups": ["viewer", "sre"]}, 200),
    ):
        reply = await access_world.http.get(path, headers=access_world.auth(who, **changes))
        assert reply.status_code == expected, reply.text


async def test_a_report_is_of_a_day_that_was_and_says_the_same_in_both_forms(
    access_world: World, tmp_path: Path
) -> None:
    audit = tmp_path / "iam_events.jsonl"
    audit.write_bytes(text(*MIXED))
    reading = collector(access_world, audit)
    await reading.catch_up()
    reading.close()
    path = "/access/v1/auth-health/reports/"
    headers = viewer(access_world)
    found = (await access_world.http.get(f"{path}{NOW.date()}", headers=headers)).json()
    assert found["complete"] is False
    for form in (found["markdown"], found["html"]):
        assert "50 %" in form
        assert "invalid\\_redirect\\_uri" in form or "invalid_redirect_uri" in form
        assert "security key or passkey on hardware" in form
        assert "<script" not in form
    for day, expected in ((NOW.date() + timedelta(days=1), 404), (date(2020, 1, 1), 404), ("yesterday", 422)):
        assert (await access_world.http.get(f"{path}{day}", headers=headers)).status_code == expected
    access = access_world.access
    made = await report_of(access.figures, access.pulse, NOW.date(), environment="dev", now=NOW + timedelta(days=2))
    assert made.complete
    assert "not over yet" not in markdown(made)
    assert document(made).count("<h1>") == 1
    folder = tmp_path / "reports"
    daily = DailyReport(access.figures, access.pulse, folder, environment="dev")
    await daily.written(NOW + timedelta(days=1, hours=1))
    assert sorted(one.name for one in folder.iterdir()) == [
        f"auth-health-{NOW:%Y-%m-%d}.html",
        f"auth-health-{NOW:%Y-%m-%d}.md",
    ]
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in folder.iterdir())


async def test_the_command_writes_the_report_as_the_operators_role(
    access_world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tmp_path / "iam_events.jsonl"
    audit.write_bytes(text(*MIXED))
    reading = collector(access_world, audit)
    await reading.catch_up()
    reading.close()
    environ = {
        "TRADEPULSE_ENVIRONMENT": "dev",
        **{
            name.replace("ACCESS_", "ACCESS_RECONCILER_"): value
            for name, value in access_world.reconciler_settings.items()
        },
    }
    day = NOW.date().isoformat()

    def run(**more: Any) -> int:
        return auth_health(Options(tmp_path, (), Console(), environ), day=day, **more)

    assert await asyncio.to_thread(run) == DONE
    assert "| Logins | 3 | 3 | 0 | 0 |" in capsys.readouterr().out
    assert await asyncio.to_thread(run, shape=Form.JSON) == DONE
    assert json.loads(capsys.readouterr().out)["whole"]["logins"] == 3
    assert await asyncio.to_thread(run, out=tmp_path / "out") == DONE
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        f"auth-health-{day}.html",
        f"auth-health-{day}.md",
    ]
    for wrong in ("yesterday", "2020-01-01", (NOW.date() + timedelta(days=1)).isoformat()):
        with pytest.raises(Misconfigured, match="--day"):
            auth_health(Options(tmp_path, (), Console(), environ), day=wrong)
    with pytest.raises(Misconfigured, match="ACCESS_RECONCILER_DATABASE_URL"):
        auth_health(Options(tmp_path, (), Console(), {}), day=day)


async def test_nobody_is_asked_twice_in_a_month_and_no_answer_leads_to_a_person(access_world: World) -> None:
    who = access_world.auth("quant.one", groups=["viewer"])
    due = "/access/v1/pulse"
    assert (await access_world.http.get(due, headers=who)).json() == {"due": True}
    body = {"score": 2, "words": "Ask quant.one@tradepulse.example,\n it took three tries"}
    together = await asyncio.gather(*(access_world.http.post(due, json=body, headers=who) for _ in range(8)))
    assert sorted(one.status_code for one in together) == [200] + [409] * 7
    assert (await access_world.http.get(due, headers=who)).json() == {"due": False}
    [answer] = await access_world.sql("SELECT * FROM access.pulse_answer")
    assert (answer["score"], answer["words"]) == (2, "Ask (address) it took three tries")
    assert set(answer.keys()) == {"id", "day", "audience", "score", "words"}
    await access_world.sql("UPDATE access.pulse_asked SET asked_on = asked_on - 30")
    assert (await access_world.http.get(due, headers=who)).json() == {"due": True}
    declined = await access_world.http.post(due, json={"score": None}, headers=who)
    assert declined.status_code == 200
    assert len(await access_world.sql("SELECT 1 FROM access.pulse_answer")) == 1
    assert (await access_world.http.get(due, headers=who)).json() == {"due": False}
    for wrong in ({"score": 6}, {"score": "3"}, {"score": 3, "name": "x"}, {"score": 3, "words": "x" * 501}, {}):
        assert (await access_world.http.post(due, json=wrong, headers=who)).status_code == 422


async def test_words_are_shown_only_among_enough_answers(access_world: World) -> None:
    for number in range(5):
        assert (await health(access_world))["pulse"]["words"] == []
        headers = access_world.auth(f"person{number}", sub=f"person-{number}")
        body = {"score": 5, "words": f"fine {number}"}
        assert (await access_world.http.post("/access/v1/pulse", json=body, headers=headers)).status_code == 200
    found = (await health(access_world))["pulse"]
    assert found["scores"] == [0, 0, 0, 0, 5]
    assert found["content"] == 1.0
    assert sorted(found["words"]) == [f"fine {number}" for number in range(5)]
    assert answers_of([("staff", 5, "alone")]).words == ()
    assert cleaned(" \x00 \n ") is None


async def test_old_steps_go_and_answers_stay(access_world: World) -> None:
    await access_world.sql(
        "INSERT INTO access.health_count (step, environment, series, label, count)"
        " VALUES ('2026-01-01T00:00:00Z', 'dev', 'login', 'hwk', 1)"
    )
    await access_world.access.figures.prune(NOW)
    assert await access_world.sql("SELECT 1 FROM access.health_count") == []
    denied = "permission denied"
    with pytest.raises(Exception, match=denied):
        await access_world.sql("DELETE FROM access.pulse_answer", dsn=access_world.app_dsn)
    with pytest.raises(Exception, match=denied):
        await access_world.sql("UPDATE access.pulse_answer SET score = 5", dsn=access_world.app_dsn)
