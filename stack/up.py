"""`make up`: from a fresh clone to a running, configured stack, and in seconds from there to the same again."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial

from stack import (
    access,
    control,
    install,
    keycloak,
    neighbours,
    opa,
    postgres,
    prerequisites,
    proxy,
    reconciler,
    session_broker,
    vault,
    watching,
    workspace,
)
from stack.files import digest, locked, read_json, write_json
from stack.keycloak import built_home
from stack.layout import Layout
from stack.paper_broker import run as paper_broker
from stack.ports import DEFAULTS, choose
from stack.process import Known
from stack.service import Service
from stack.settings import read
from stack.steps import UNCHANGED, Commands, Step, StepFailed, run, say

INSTALL = ("venv", "keycloak", "extension", "neighbours", "opa", "build")
"""Steps that only install and build; nothing runs after them."""


class Up:
    """The steps, for one layout.

    owner:       a process that the stack must not outlive (the test run that started it), if there is one
    short_lived: no server has to warm up and no data to survive a power cut; a stack that was begun so stays so
    """

    def __init__(self, layout: Layout, *, owner: Known | None = None, short_lived: bool = False) -> None:
        self._layout = layout
        self._owner = owner
        self._short_lived = short_lived
        self._commands = Commands()
        self._ports: dict[str, int] = {}
        self._roster: control.Roster | None = None
        self._applied = True
        self._build = ""

    def steps(self) -> dict[str, Step]:
        """Every step by name, with what it needs."""
        layout, commands = self._layout, self._commands
        return {
            "venv": Step("Python environment", partial(install.python_environment, layout, commands)),
            "keycloak": Step(f"Keycloak {keycloak.VERSION}", partial(keycloak.fetch, layout, commands)),
            "extension": Step("Keycloak extension", partial(keycloak.package, layout, commands), ("keycloak",)),
            "neighbours": Step("neighbours", partial(neighbours.fetch, layout, commands), ("extension",)),
            "opa": Step("OPA", partial(install.opa_binary, layout, commands)),
            "build": Step("Keycloak build", partial(keycloak.build, layout, commands), ("keycloak", "extension")),
            "provision": Step("keys and settings", self._provision, ("venv",)),
            "kms": Step("vault root key", self._kms, ("provision",)),
            "run-postgres": Step("start PostgreSQL", self._postgres, ("provision",)),
            "run-opa": Step("start OPA", self._opa, ("provision", "opa")),
            "run-neighbours": Step("start neighbours", self._neighbours, ("provision", "neighbours")),
            "run-paper-broker": Step("start the practice broker", self._paper_broker, ("provision",)),
            "run-keycloak": Step("start Keycloak", self._keycloak, ("build", "run-postgres")),
            "migrate": Step("vault schema", self._migrate, ("kms", "run-postgres")),
            "repository": Step("repository of configs/iam", self._repository, ("provision",)),
            "apply": Step(
                "apply configs/iam", self._apply, ("repository", "run-keycloak", "run-opa", "run-neighbours")
            ),
            "people": Step("one-time passwords", self._people, ("apply",)),
            "run-vault": Step("start vault-api", self._vault, ("migrate", "apply")),
            "run-vault-worker": Step("start vault worker", self._worker, ("migrate", "apply")),
            "access-migrate": Step("schema of requests", self._access_migrate, ("run-postgres",)),
            "run-access": Step("start access", self._access, ("access-migrate", "apply")),
            "workspace-migrate": Step("schema of sessions", self._workspace_migrate, ("run-postgres",)),
            "run-workspace": Step("start workspace", self._workspace, ("workspace-migrate", "apply")),
            "run-reconciler": Step("start reconciler", self._reconciler, ("access-migrate", "apply")),
            "run-monitor": Step("start monitor", self._monitor, ("apply",)),
            "run-audit-reconcile": Step("start audit reconcile", self._audit_reconcile, ("apply",)),
            "run-session-broker": Step("start session-broker", self._session_broker, ("apply",)),
            "run-proxy": Step("start DMZ proxy", self._proxy, ("provision",)),
        }

    def install(self) -> None:
        """Install and build everything, start nothing. Raises StepFailed."""
        self._check()
        steps = self.steps()
        run({name: steps[name] for name in INSTALL}, self._commands, terse=True)

    def bring(self, only: Collection[str] = (), *, without: Collection[str] = ()) -> None:
        """Bring up the services named in `only` and what they need, all if it is empty, and leave out those in
        `without`. Raises StepFailed."""
        started = time.monotonic()
        layout = self._layout
        self._check()
        with locked(layout.run / "up.lock", wait=False):
            control.ensure(layout, owner=self._owner)
            stays = layout.run / "short-lived"
            if self._short_lived:
                stays.touch()
            self._short_lived = stays.exists()
            # A stack that runs keeps its ports; one that starts takes those it had, if they are still free.
            told = read_json(layout.run / "services.json").get("ports", {})
            # A service that the running stack does not know yet gets a port beside those in use.
            wanted = {name: port for name, port in _usual_ports(layout).items() if name not in told}
            self._ports = {**told, **choose(read_json(layout.run / "ports.json"), wanted=wanted)}
            write_json(layout.run / "ports.json", self._ports)
            self._roster = control.Roster(layout, ports=self._ports)
            steps = {name: step for name, step in self.steps().items() if name.removeprefix("run-") not in without}
            run(_needed(steps, only), self._commands, started=started)
        say(f"{time.monotonic() - started:6.1f} s  done")

    def _check(self) -> None:
        lines = prerequisites.missing(self._layout.tools)
        if lines:
            raise StepFailed("\n".join(lines))
        self._layout.make()

    def _started(self, service: Service, seconds: float) -> str | None:
        if self._roster is None:
            raise StepFailed("nothing starts before the supervisor does")
        return self._roster.start(service, seconds=seconds)

    def _provision(self) -> None:
        layout = self._layout
        self._commands.run(
            [layout.python, "-m", "stack.provision"],
            log=layout.logs / "provision.log",
            environment={"TRADEPULSE_STACK_DIR": str(layout.state)},
            cwd=layout.checkout,
        )

    def _kms(self) -> str | None:
        return vault.root_key(self._layout, self._commands, read(self._layout))

    def _postgres(self) -> str | None:
        layout = self._layout
        place, settings = layout.state / "postgres", {"fsync": "off"} if self._short_lived else {}
        cluster = postgres.cluster(place, self._ports["postgres"], python=layout.python, settings=settings)
        superuser = layout.secret(f"postgres-{postgres.SUPERUSER}").read_text().strip()
        if not cluster.initialised:
            cluster.initialise(superuser)
        remark = self._started(cluster.service(), 60.0)
        passwords = {role: layout.secret(f"postgres-{role}").read_text().strip() for role in postgres.ROLES}
        cluster.provide(superuser, passwords)
        outside = None if cluster.data.is_relative_to(layout.state) else f"data in {cluster.data}"
        return remark or outside

    def _opa(self) -> str | None:
        bundles, decisions = opa.services(self._layout, self._ports)
        self._started(bundles, 30.0)
        return self._started(decisions, 30.0)

    def _neighbours(self) -> str | None:
        return self._started(neighbours.service(self._layout, self._ports["neighbours"]), 60.0)

    def _paper_broker(self) -> str | None:
        return self._started(paper_broker.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _keycloak(self) -> str | None:
        layout = self._layout
        secrets = {
            "KC_DB_PASSWORD": str(layout.secret("postgres-keycloak")),
            "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": str(layout.secret("keycloak-admin")),
        }
        # Sources that somebody edits while the server starts do not change what runs.
        self._build = built_home(layout).name
        # A busy machine needs a minute for the schema; one that is stuck is not helped by waiting longer than this.
        return self._started(
            keycloak.service(layout, self._ports, secrets=secrets, short_lived=self._short_lived), 300.0
        )

    def _migrate(self) -> str | None:
        layout = self._layout
        wanted = {"inputs": digest([layout.checkout / "vault_api" / "store"])}
        stamp = layout.run / "migrated.json"
        if read_json(stamp) == wanted:
            return UNCHANGED
        vault.migrate(layout, self._commands, read(layout))
        write_json(stamp, wanted)
        return None

    def _apply(self) -> str | None:
        layout = self._layout
        checkout = layout.checkout
        inputs = [checkout / name for name in ("configs/iam", "realm/base", "policy", "admin_sync", "identity")]
        wanted = {"inputs": digest([*inputs, layout.environment], self._build)}
        stamp = layout.run / "applied.json"
        if read_json(stamp) == wanted and (layout.bundles / "bundle.tar.gz").exists():
            self._applied = False
            return UNCHANGED
        self._commands.run(
            [layout.venv / "bin" / "admin-sync", "apply", "--config", layout.iam / "configs" / "iam", "--wait", "60"],
            log=layout.logs / "apply.log",
            environment=read(layout),
            cwd=checkout,
        )
        write_json(stamp, wanted)
        return _last_line(layout)

    def _people(self) -> str | None:
        layout = self._layout
        if not self._applied and layout.secret("logins.txt").exists():
            return UNCHANGED
        self._commands.run(
            [layout.python, "-m", "stack.people"],
            log=layout.logs / "people.log",
            environment=read(layout),
            cwd=layout.checkout,
        )
        return f"in {layout.secret('logins.txt')}"

    def _vault(self) -> str | None:
        return self._started(vault.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _access_migrate(self) -> str | None:
        layout = self._layout
        wanted = {"inputs": digest([layout.checkout / "admin_sync" / "access" / "store"])}
        stamp = layout.run / "access-migrated.json"
        if read_json(stamp) == wanted:
            return UNCHANGED
        access.migrate(layout, self._commands, read(layout))
        write_json(stamp, wanted)
        return None

    def _access(self) -> str | None:
        return self._started(access.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _workspace_migrate(self) -> str | None:
        layout = self._layout
        wanted = {"inputs": digest([layout.checkout / "workspace" / "session" / "migrations"])}
        stamp = layout.run / "workspace-migrated.json"
        if read_json(stamp) == wanted:
            return UNCHANGED
        workspace.migrate(layout, self._commands, read(layout))
        write_json(stamp, wanted)
        return None

    def _workspace(self) -> str | None:
        return self._started(workspace.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _repository(self) -> str | None:
        return reconciler.repository(self._layout, self._commands, read(self._layout))

    def _reconciler(self) -> str | None:
        return self._started(reconciler.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _monitor(self) -> str | None:
        return self._started(watching.monitor(self._layout, self._ports, read(self._layout)), 60.0)

    def _audit_reconcile(self) -> str | None:
        return self._started(watching.reconciliation(self._layout, self._ports, read(self._layout)), 60.0)

    def _worker(self) -> str | None:
        return self._started(vault.worker(self._layout, self._ports, read(self._layout)), 60.0)

    def _session_broker(self) -> str | None:
        return self._started(session_broker.service(self._layout, self._ports, read(self._layout)), 60.0)

    def _proxy(self) -> str | None:
        port = self._ports["proxy"]
        return self._started(proxy.service(self._layout, port, self._commands, read(self._layout)), 30.0)


def _usual_ports(layout: Layout) -> dict[str, int]:
    """The documented ports for the checkout's own stack; any other takes what is free and leaves them alone."""
    return {name: port if layout.is_default else 0 for name, port in DEFAULTS.items()}


def _last_line(layout: Layout) -> str | None:
    lines = (layout.logs / "apply.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else None


def _needed(steps: dict[str, Step], only: Collection[str]) -> dict[str, Step]:
    """The steps that start these services, with all that they need."""
    if not only:
        return steps
    wanted: set[str] = set()
    pending = [f"run-{name}" for name in only]
    while pending:
        name = pending.pop()
        if name not in steps:
            raise StepFailed(f"no service {name.removeprefix('run-')!r}")
        if name not in wanted:
            wanted.add(name)
            pending.extend(steps[name].needs)
    return {name: step for name, step in steps.items() if name in wanted}
