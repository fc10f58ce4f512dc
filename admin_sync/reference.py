"""The reference page and the schemas for editors, written from the code itself.

python -m admin_sync.reference            write docs/reference and admin_sync/schemas
python -m admin_sync.reference --check    write nothing; exit 1 and name what is not current
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from admin_sync import catalogue
from admin_sync.cli import app
from admin_sync.console import BAD_INPUT, CHANGES, DONE, FAILED, NOT_ALLOWED, REFUSED
from admin_sync.interface import Command, Parameter, commands
from admin_sync.load.json_schema import schemas
from admin_sync.lock import LockHeld

EXITS: Final[Mapping[int, str]] = {
    DONE: "done; for `plan --detailed-exitcode` and `drift`: nothing to change",
    FAILED: "failed part-way or a server failed; the message says what was done and that a re-run is safe",
    CHANGES: "`plan --detailed-exitcode` and `drift`: there are changes",
    BAD_INPUT: "bad input: every error in one run, sorted, as `file:line:column: code: message`",
    NOT_ALLOWED: "not authenticated or not allowed",
    REFUSED: "refused by a guard: mass deletion, lock-out, stale or edited plan, segregation of duties, a freeze",
    LockHeld.exit_code: "somebody else holds the realm's lock",
}

VARIABLES: Final[Mapping[str, str]] = {
    "ADMIN_SYNC_KEYCLOAK_URL": "Keycloak's address",
    "ADMIN_SYNC_REALM": "the realm that our account belongs to; `master` without it",
    "ADMIN_SYNC_CLIENT_ID": "our account: a client with a service account",
    "ADMIN_SYNC_CLIENT_SECRET_FILE": "the file with its secret, readable by its owner alone",
    "ADMIN_SYNC_CLIENT_ASSERTION_FILE": "instead of a secret: the file with a JWT by which our platform vouches for us",
    "ADMIN_SYNC_CLIENT_JWKS_DIR": "public keys of confidential clients, `<client>.json`",
    "ADMIN_SYNC_GATEWAY": "`auto`, `rest` or `bulk`: how Keycloak is read and written",
    "ADMIN_SYNC_PARALLELISM": "how many requests are under way at once",
    "ADMIN_SYNC_REALM_DIR": "the base realm; the checkout's `realm/base` without it",
    "ADMIN_SYNC_POLICY_DIR": "the rules; the checkout's `policy` without it",
    "ADMIN_SYNC_BUNDLE_TARGET": "where bundles are published: a directory, `https://…`, `oci://registry/name:tag`",
    "ADMIN_SYNC_BUNDLE_DIR": "the same for a directory; counts where no target is set",
    "ADMIN_SYNC_BUNDLE_TOKEN_FILE": "the file with the bearer token, or `user:password`, of the target",
    "ADMIN_SYNC_BUNDLE_CA_FILE": "authorities (PEM) of the target's certificate; the system's without it",
    "ADMIN_SYNC_BUNDLE_KEY_FILE": "the P-256 key (PEM) that signs bundles, readable by its owner alone",
    "ADMIN_SYNC_BUNDLE_VALIDITY": "how long a bundle is good, such as `7d`",
    "ADMIN_SYNC_OPA_BIN": "the `opa` program; `PATH` and `.tools/bin` are searched without it",
    "ADMIN_SYNC_SECRETS_DIR": "the folder, ours alone, that clients with an excepted static secret read theirs from",
    "ADMIN_SYNC_EVIDENCE_KEY_FILE": "the Ed25519 key that signs certifications; default: the key of audit checkpoints",
    "ADMIN_SYNC_OPA_URL": "the OPA that has to serve a bundle before publishing it is done",
    "ADMIN_SYNC_REPORTS_URL": "the server that OPAs report to, for `doctor`",
    "ADMIN_SYNC_REPORTS_TOKEN_FILE": "the file with the token that it asks for",
    "TRADEPULSE_AUDIT_DIR": "where audit files lie; `observability/audit` without it",
    "TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE": "the Ed25519 key (PEM) that signs checkpoints",
    "TRADEPULSE_NODE": "this host's name in audit lines; its own without it",
    "TRADEPULSE_ISSUER": "the realm that `login` logs a person in to, unless --env or --issuer names one",
    "TRADEPULSE_CLI_CLIENT_ID": "the public client that it is registered as; `tradepulse-cli` without it",
    "TRADEPULSE_OAUTH2_AUDIENCE": "what a person's token has to be for; `tradepulse-internal` without it",
    "TRADEPULSE_LOGIN_DIR": "where sessions are kept; `tradepulse/login` below `XDG_STATE_HOME` without it",
    "TRADEPULSE_ENVIRONMENT": "set by us while the base realm of an environment is read; setting it has no effect",
    "ADMIN_SYNC_MONITOR_WEBHOOK": "where `monitor` sends alerts: an https URL, Standard Webhooks",
    "ADMIN_SYNC_MONITOR_SECRET_FILE": "the file with the secret that signs them: 24 bytes or more, or `whsec_…`",
    "ADMIN_SYNC_MONITOR_STATE_DIR": "where `monitor` keeps how far it has read; `observability/monitor` without it",
    "ADMIN_SYNC_AUDIT_LISTEN": "where `audit reconcile --every` serves its metrics; `127.0.0.1:8311` without it",
    "ADMIN_SYNC_MONITOR_LISTEN": "where `monitor` serves its metrics; `127.0.0.1:8310` without it, port 0 for nowhere",
    "ADMIN_SYNC_ONBOARDING_DIR": "what `onboard` remembers; `onboarding` beside the audit files without it",
    "ADMIN_SYNC_OFFBOARDING_DIR": "where `offboard` keeps journals; `offboarding` beside the audit files without it",
    "ADMIN_SYNC_OFFBOARDING_CLIENT_ID": "the client that ends leases in the vaults; `offboarding` without it",
    "ADMIN_SYNC_OFFBOARDING_KEY_FILE": "the file with that client's private key",
    "ADMIN_SYNC_VAULTS": "the vault of each environment, `dev=https://vault.example,…`, or `none`",
    "NO_COLOR": "no colours, whatever its value",
    "CI": "no progress lines, whatever its value",
    "ADMIN_SYNC_ACCESS_URL": "the access service, for requests, approvals and openings",
    "ADMIN_SYNC_VAULT_URL": "the vault, for emergency accounts",
    "ADMIN_SYNC_KEEPER_KEY_FILE": "the key of the client that seals emergency credentials in the vault",
    "ADMIN_SYNC_CONFIG": "the configuration that the access service reads, never writes",
    "ADMIN_SYNC_REPOSITORY": "the Git work tree that holds the configuration and takes grants as commits",
    "ADMIN_SYNC_REPOSITORY_REMOTE": "the remote that commits are pushed to",
    "ADMIN_SYNC_REPOSITORY_WAIT": "how long another writer of the repository is waited for",
    "ADMIN_SYNC_COMMITTER_NAME": "who commits, as Git says it",
    "ADMIN_SYNC_COMMITTER_EMAIL": "the address of who commits",
    "ADMIN_SYNC_FORGE": "the forge that takes pull requests; direct commits without it",
    "ADMIN_SYNC_FORGE_URL": "the address of the forge's API",
    "ADMIN_SYNC_FORGE_PROJECT": "the project there",
    "ADMIN_SYNC_FORGE_TOKEN_FILE": "the file with the token for it, readable by its owner alone",
    "ADMIN_SYNC_RECONCILER_EVERY": "after which time the reconciler reads the realms again, such as 5m",
    "ADMIN_SYNC_RECONCILER_POLL": "after which time it asks the database although that said nothing",
    "ADMIN_SYNC_RECONCILER_LOCK_WAIT": "how long it waits for a realm's lock",
    "ADMIN_SYNC_RECONCILER_LISTEN": "where it answers for health and metrics; port 0 for nowhere",
}
"""Every environment variable that is read, besides those that configs/iam itself names."""

_GLOBAL: Final = ("--config", "--env", "--json", "--no-color", "--quiet")
_PAGE: Final = Path("docs/reference/admin-sync.md")
_CHECKS: Final = Path("docs/reference/checks.md")
_SCHEMAS: Final = Path("admin_sync/schemas")


def page() -> str:
    """The reference as Markdown."""
    return "\n".join(_lines(commands(app))) + "\n"


def generated() -> dict[Path, str]:
    """Every generated file below the checkout, with what it has to hold."""
    return {_PAGE: page(), _CHECKS: catalogue.page(), **{_SCHEMAS / name: text for name, text in schemas().items()}}


def main(words: Sequence[str]) -> int:
    """Write or check. Exit code 1 if something is not current."""
    checkout = Path(__file__).resolve().parent.parent
    stale = [
        path
        for path, text in generated().items()
        if not (checkout / path).exists() or (checkout / path).read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--check" in words:
            sys.stderr.write(f"{path} is not what the code says; run: make docs\n")
        else:
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text(generated()[path], encoding="utf-8")
            sys.stderr.write(f"wrote {path}\n")
    return 1 if stale and "--check" in words else 0


def _lines(found: Sequence[Command]) -> Iterator[str]:
    program = found[0]
    yield "# admin-sync: every command"
    yield ""
    yield "Written by `make docs` from what `--help` says. How it goes together: [admin-sync.md](../admin-sync.md)."
    yield ""
    yield program.help
    yield ""
    yield "Data goes to stdout, messages and progress to stderr. Every command takes:"
    yield ""
    some = next(one for one in found if not one.subcommands)
    yield from _table([one for one in some.parameters if one.names[0] in _GLOBAL])
    for command in found[1:]:
        yield ""
        yield f"{'##' if len(command.path) == 1 else '###'} {' '.join(command.path)}"
        yield ""
        if command.subcommands:
            yield command.help
            continue
        own = [one for one in command.parameters if one.names[0] not in _GLOBAL]
        yield f"    {_usage(command, own)}"
        yield ""
        yield " ".join(command.help.split())
        if own:
            yield ""
            yield from _table(own)
    yield ""
    yield "## Exit codes"
    yield ""
    yield "| exit | meaning |"
    yield "| --- | --- |"
    yield from (f"| {code} | {meaning} |" for code, meaning in sorted(EXITS.items()))
    yield ""
    yield "## Environment variables"
    yield ""
    yield "Secrets are given as paths of files. Besides these, `configs/iam` names variables of its own."
    yield ""
    yield "| variable | meaning |"
    yield "| --- | --- |"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())


def _usage(command: Command, own: Sequence[Parameter]) -> str:
    arguments = [one.names[0] if one.required else f"[{one.names[0]}]" for one in own if one.argument]
    return " ".join(["admin-sync", *command.path, "[OPTIONS]", *arguments])


def _table(parameters: Sequence[Parameter]) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    for one in parameters:
        value = "|".join(one.values) or ("" if one.argument else one.metavar)
        name = " ".join(part for part in (", ".join(one.names), value.replace("|", "\\|")) if part)
        notes = [text for text in (one.help, f"Default: `{one.default}`." if one.default else "") if text]
        notes += ["Required."] if one.required and not one.argument else []
        yield f"| `{name}` | {' '.join(notes)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
