"""The benchmarks' own parts: a workload that is the same each time, results that say enough, requests counted once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from admin_sync.check import checked
from admin_sync.desired import Facts, desire
from admin_sync.model import Current, index
from admin_sync.refs import BINDING
from bench import measure, plot, results, table
from bench.results import ResultInvalid, Row
from bench.sync.formats import hcl, iam, kcadm, kcc
from bench.sync.workload import SIZES, Size, workload

SMALL = SIZES["small"]


def test_a_workload_depends_on_its_size_and_on_nothing_else() -> None:
    assert workload(SMALL, "r-dev") == workload(SMALL, "r-dev")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_workload_holds_as_many_of_each_as_its_size_says(size: Size) -> None:
    made = workload(size, "r-dev")
    groups = sum(1 + len(children) for children in made.groups.values())
    assert (len(made.roles), groups, len(made.clients), len(made.people)) == (
        size.roles, size.groups, size.clients, size.users,
    )  # fmt: skip
    assert len({person.email for person in made.people}) == size.users
    rights = {(client, right) for client, listed in made.clients.items() for right in listed}
    assert len(rights) == 5 * size.clients
    assert all(person.role in made.roles and person.right in rights for person in made.people)
    assert all(person.group[1] in made.groups[person.group[0]] for person in made.people)


def test_groups_that_do_not_come_out_even_are_refused() -> None:
    with pytest.raises(ValueError, match="a parent and 5 children"):
        workload(Size("odd", roles=1, groups=7, clients=1, users=1), "r-dev")


def test_a_change_is_one_description() -> None:
    made = workload(SMALL, "r-dev")
    before, after = kcc.representation(made), kcc.representation(made.changed())
    different = [
        (old, new)
        for old, new in zip(before["roles"]["realm"], after["roles"]["realm"], strict=True)  # type: ignore[index]
        if old != new
    ]
    assert len(different) == 1
    assert {name for name in before if before[name] != after[name]} == {"roles"}


def test_every_tool_is_given_the_same_objects(tmp_path: Path) -> None:
    made = workload(SMALL, "bench-dev")
    for form in (iam, kcc, hcl, kcadm):
        form.write(made, tmp_path)
    document = checked(tmp_path, {})
    assert set(document.roles.roles) == set(made.roles)
    assert document.roles.realm.name == "bench"
    assert len(document.bindings.bindings) == 3 * SMALL.users
    realm = json.loads((tmp_path / "realm.json").read_text())
    assert {user["username"] for user in realm["users"]} == {person.email for person in made.people}
    blocks = (tmp_path / "main.tf").read_text()
    counted = {
        kind: blocks.count(f'resource "{kind}"')
        for kind in (
            "keycloak_role",
            "keycloak_group",
            "keycloak_openid_client",
            "keycloak_user",
            "keycloak_user_roles",
        )
    }
    assert counted == {
        "keycloak_role": SMALL.roles + 5 * SMALL.clients,
        "keycloak_group": SMALL.groups,
        "keycloak_openid_client": SMALL.clients,
        "keycloak_user": SMALL.users,
        "keycloak_user_roles": SMALL.users,
    }
    script = (tmp_path / "apply.sh").read_text()
    assert script.count('"$KCADM"') == 1 + SMALL.roles + SMALL.groups + 6 * SMALL.clients + 3 * SMALL.users


def test_ours_gives_every_grant_at_once_as_the_peers_do(tmp_path: Path) -> None:
    """A grant that waits (for a second factor, for a login) would make a first apply shorter than it is."""
    iam.write(workload(SMALL, "bench-dev"), tmp_path)
    nothing = Current("bench-dev", exists=False, resources=index(()))
    desired = desire(checked(tmp_path, {}), "dev", nothing, Facts())
    assert desired.pending == ()
    assert sum(1 for ref in desired.resources if ref.kind == BINDING) == 3 * SMALL.users


def test_a_result_without_a_reason_for_what_is_missing_is_refused() -> None:
    row = Row(case="c", unit="s", better="lower", ours=1.0, peers={"other": None})
    with pytest.raises(ResultInvalid, match="other is null without a reason"):
        row.check()
    Row(case="c", unit="s", better="lower", ours=1.0, peers={"other": None}, why_null={"other": "absent"}).check()


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), True])
def test_a_result_that_is_no_figure_is_refused(value: float) -> None:
    with pytest.raises(ResultInvalid, match="ours is"):
        Row(case="c", unit="s", better="lower", ours=value, peers={}).check()


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = results.result([Row(case="c", unit="s", better="lower", ours=1.5, peers={"other": 3.0})], {"other": "1"})
    results.write(tmp_path / "r.json", made)
    assert results.read(tmp_path / "r.json") == made
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"date", "cores", "versions", "rows"}
    assert results.read(tmp_path / "none.json") is None


def test_a_later_run_replaces_its_own_rows_whole_and_keeps_the_others() -> None:
    old = [Row(case=case, unit="s", better="lower", ours=9.0, peers={"p": 9.0}) for case in ("small", "large")]
    new = Row(case="small", unit="s", better="lower", ours=1.0, peers={"q": 2.0})
    found = results.merged(results.result(old, {"p": "1"}), results.result([new], {"q": "2"}))
    assert found.rows == (new, old[1])
    assert found.versions == {"p": "1", "q": "2"}


def test_peers_of_an_earlier_run_are_kept_only_when_asked_and_with_their_time() -> None:
    old = Row(case="c", unit="s", better="lower", ours=None, peers={"p": 9.0}, why_null={"ours": "no"}, measured="one")
    new = Row(case="c", unit="s", better="lower", ours=1.0, peers={}, measured="two")
    assert results.merged(results.result([old], {}), results.result([new], {})).rows == (new,)
    kept = results.merged(results.result([old], {}), results.result([new], {}), keep_peers=True).rows[0]
    assert (kept.ours, kept.peers, kept.why_null, kept.measured) == (1.0, {"p": 9.0}, {}, "two; p: one")


def test_a_table_says_how_many_times_better_ours_is() -> None:
    made = results.result(
        [
            Row(case="a", unit="s", better="lower", ours=2.0, peers={"p": 10.0}),
            Row(case="b", unit="requests/s", better="higher", ours=300.0, peers={"p": 100.0}),
        ],
        {},
    )
    assert [line[3] for line in table.cells(made)] == ["p", "10 x5.0", "100 x3.0"]


def test_a_picture_names_every_case(tmp_path: Path) -> None:
    made = results.result([Row(case="a < b", unit="s", better="lower", ours=2.0, peers={"p": 10.0})], {})
    plot.write(tmp_path / "p.svg", made)
    assert "a &lt; b" in (tmp_path / "p.svg").read_text()


def test_requests_are_counted_from_where_the_log_stood(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[access] before\n")
    with measure.AccessLog(log, "[access]").counting(settle=0) as requests, log.open("a") as more:
        more.write("[access] one\nsomething else\n[access] two\n")
    assert requests == [2]


def test_a_command_costs_what_its_children_cost(tmp_path: Path) -> None:
    burn = "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.2: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('done')"
    cost = measure.run([sys.executable, "-c", parent], environment={}, cwd=tmp_path, log=tmp_path / "log")
    assert (cost.code, cost.output.strip()) == (0, "done")
    assert cost.cpu >= 0.2
    assert cost.peak > 2**20


def test_what_takes_too_long_is_ended_with_all_its_children(tmp_path: Path) -> None:
    cost = measure.run(["sh", "-c", "sleep 60"], environment={}, cwd=tmp_path, log=tmp_path / "log", timeout=0.3)
    assert cost.code != 0
    assert cost.wall < 30


def test_absent_peers_are_named_with_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[2],
        env={"PATH": str(tmp_path), "BENCH_TOFU": str(tmp_path / "nowhere")},
    )  # fmt: skip
    assert "OpenTofu is not on this machine; python -m bench.peers build tofu" in done.stdout
