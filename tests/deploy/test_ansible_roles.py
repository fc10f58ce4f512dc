"""Playbooks and roles, as far as they can be judged without a host. `make test-hosts` runs them on one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
ANSIBLE = CHECKOUT / "ansible"
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
PLAYBOOKS = sorted(path.name for path in ANSIBLE.glob("*.yml"))
KEYWORDS = {
    "name", "when", "loop", "loop_control", "register", "notify", "vars", "until", "retries", "delay", "check_mode",
    "changed_when", "failed_when", "no_log", "diff", "environment", "args",
    "become", "delegate_to", "run_once",
    "block", "rescue", "always", "listen",
}  # fmt: skip
PLAY = {"name", "hosts", "roles", "tasks", "gather_facts", "become", "vars", "serial", "any_errors_fatal"}


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _tasks(found: Any) -> Iterator[dict[str, Any]]:
    for task in found or []:
        yield task
        for inner in ("block", "rescue", "always"):
            yield from _tasks(task.get(inner))


def _all_tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in ("tasks", "handlers"):
        for path in sorted((ANSIBLE / "roles").glob(f"*/{folder}/*.yml")):
            yield from ((str(path.relative_to(ANSIBLE)), task) for task in _tasks(_read(path)))
    for name in PLAYBOOKS:
        for play in _read(ANSIBLE / name):
            yield from ((name, task) for task in _tasks(play.get("tasks")))


def test_there_are_roles_and_playbooks() -> None:
    # Every other test here passes on an empty list.
    assert len(ROLES) > 10
    assert "site.yml" in PLAYBOOKS


def test_ansible_itself_can_read_every_playbook() -> None:
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, "--syntax-check", "-i", "inventories/single/hosts.yml", *PLAYBOOKS],
        cwd=ANSIBLE, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_every_setting_of_a_role_has_a_type_and_a_meaning_and_something_that_it_is_unless_set(role: str) -> None:
    defaults = set(_read(ANSIBLE / "roles" / role / "defaults" / "main.yml") or {})
    options: dict[str, Any] = _read(ANSIBLE / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    assert all(option["type"] and option["description"] for option in options.values())
    # What follows from other settings is no setting.
    derived = {
        "tradepulse_url", "tradepulse_realm", "tradepulse_release", "tradepulse_home", "tradepulse_python",
        "tradepulse_in_container", "tradepulse_database", "tradepulse_identity_settings",
        "tradepulse_administration_settings",
    }  # fmt: skip
    required = {name for name, option in options.items() if option.get("required")}
    assert defaults - derived <= set(options)
    assert set(options) - required <= defaults


def test_every_task_is_named_and_uses_a_module_that_comes_with_ansible() -> None:
    for where, task in _all_tasks():
        assert task.get("name"), f"{where}: {task}"
        modules = set(task) - KEYWORDS
        assert all(module.startswith("ansible.builtin.") for module in modules), f"{where}: {modules}"
        assert len(modules) == 1 or "block" in task, f"{where}: {task['name']}"


def test_a_command_says_whether_it_changed_something() -> None:
    for where, task in _all_tasks():
        if {"ansible.builtin.command", "ansible.builtin.shell"} & set(task):
            assert "changed_when" in task, f"{where}: {task['name']}"


def test_what_copies_secrets_shows_nothing_of_them() -> None:
    found = 0
    for where, task in _all_tasks():
        source = str((task.get("ansible.builtin.copy") or {}).get("src", ""))
        if "tradepulse_secrets" in source and not source.endswith("keys/ca.pem"):
            found += 1
            assert task.get("no_log") is True, f"{where}: {task['name']}"
            assert task["ansible.builtin.copy"]["mode"] == "0600", f"{where}: {task['name']}"
    assert found >= 2


def test_no_unit_gets_a_secret_in_its_settings() -> None:
    secret = re.compile(r"([A-Z][A-Z0-9_]*(?:SECRET|PASSWORD|TOKEN|_KEY(?:_|\b|S))[A-Z0-9_]*)'?: *(\S+)")
    found = [
        (path, name, value)
        for path in sorted((ANSIBLE / "roles").glob("*/*/main.yml"))
        for name, value in secret.findall(path.read_text())
    ]
    assert len(found) > 10
    for path, name, value in found:
        assert name.endswith(("_FILE", "_DIR")), f"{path}: {name}"
        assert value.strip("'\",})").startswith("/run/tradepulse/"), f"{path}: {name}={value}"


def test_a_restart_that_is_asked_for_is_there() -> None:
    handlers = {handler["name"] for path in (ANSIBLE / "roles").glob("*/handlers/main.yml") for handler in _read(path)}
    for path in (ANSIBLE / "roles").glob("*/tasks/main.yml"):
        for task in _tasks(_read(path)):
            included = task.get("ansible.builtin.include_role") or {}
            if included.get("name") == "unit" and "tasks_from" not in included:
                assert f"Restart {task['vars']['unit_name']}" in handlers
