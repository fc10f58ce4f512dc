"""Propose, plan, leave out what the plan would change, and again until it would change nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admin_sync.adopt.candidates import Left, candidates, orphans
from admin_sync.adopt.proposal import Proposal, Realm, propose
from admin_sync.adopt.remembered import Marked, Remembered
from admin_sync.adopt.writing import write
from admin_sync.check import checked
from admin_sync.desired import desire
from admin_sync.desired.facts import Facts
from admin_sync.diff import Action, Change, diff
from admin_sync.errors import Finding, InvalidInput, Refused
from admin_sync.impact import effects
from admin_sync.keycloak.iam.group import by_path
from admin_sync.keycloak.registry import ORDER
from admin_sync.keycloak.state import read_through
from admin_sync.load.document import Document
from admin_sync.model import Current, Desired, Ref
from admin_sync.ownership import Undeclared, settle
from admin_sync.refs import BINDING, CLIENT, CLIENT_ROLE, GROUP, ROLE

Facts_ = Callable[[Document], Facts]
Asked = Callable[[Ref], bool]


@dataclass(frozen=True, slots=True)
class Survey:
    """What an adoption would write and take, and what it leaves."""

    proposal: Proposal
    document: Document
    desired: Desired
    found: Current
    """The realm as it is now."""
    declared: frozenset[Ref]
    taken: frozenset[Ref]
    left: tuple[Left, ...]
    accepted: tuple[Undeclared, ...]
    """What people hold that this configuration has no word for, and keep."""


@dataclass(slots=True)
class _Draft:
    declared: set[Ref]
    taken: set[Ref]
    left: dict[Ref, Left]

    def drop(self, ref: Ref, why: str) -> None:
        """Do not declare an object at all."""
        self.declared.discard(ref)
        self.taken.discard(ref)
        self.left[ref] = Left(ref, why)

    def release(self, ref: Ref, why: str) -> None:
        """Declare an object and do not take it over."""
        self.taken.discard(ref)
        self.left.setdefault(ref, Left(ref, f"it is watched and not taken over: {why}", declared=True))


def survey(remembered: Remembered, realm: Realm, facts: Facts_, environ: Mapping[str, str], asked: Asked) -> Survey:
    """The largest part of a realm that can be declared such that the plan is empty.

    `asked` says which objects are to be taken over. Raises Refused where a realm cannot be adopted.
    """
    found = read_through(remembered)
    if not found.exists:
        raise Refused(f"there is no realm {remembered.realm!r}; name one with --realm")
    named, unspeakable = candidates(found)
    ours = {ref for ref in named if found.resources[ref].managed}
    draft = _Draft(set(named), {ref for ref in named if asked(ref)} | ours, {one.ref: one for one in unspeakable})
    _release_provided(draft, remembered)
    accepted: tuple[Undeclared, ...] = ()
    # Every round leaves out one object at least, or accepts a grant, so that there is a last one.
    for _ in range(2 * len(named) + 10):
        for orphan in orphans(draft.declared):
            draft.drop(orphan.ref, orphan.why)
        current = read_through(Marked(remembered, draft.taken))
        proposal = propose(current, realm, draft.declared, draft.taken, accepted)
        try:
            document = _loaded(proposal, environ)
        except InvalidInput as problem:
            _blame_findings(draft, proposal, problem.findings)
            continue
        desired = desire(document, realm.environment, current, facts(document))
        desired, current, undeclared = settle(document, desired, current)
        changes = diff(desired, current, ORDER).changes
        if changes:
            _blame_changes(draft, changes)
        elif undeclared:
            accepted = (*accepted, *undeclared)
        else:
            lost = [one for one in effects(desired, current) if not one.gained]
            if lost:
                raise Refused(
                    f"adopting would take {lost[0].thing.name} from {lost[0].subject.name}; nothing was written"
                )
            return Survey(
                proposal,
                document,
                desired,
                found,
                frozenset(draft.declared),
                frozenset(draft.taken),
                tuple(sorted((*draft.left.values(), *_not_asked(draft)))),
                accepted,
            )
    raise Refused("no configuration was found for which the plan is empty; nothing was written")


def _not_asked(draft: _Draft) -> Iterator[Left]:
    for ref in draft.declared - draft.taken - draft.left.keys():
        yield Left(ref, "it is watched; --take-over would make it ours", declared=True)


def _release_provided(draft: _Draft, remembered: Remembered) -> None:
    """What an identity provider gives at every login has members that no file can name."""
    provided: dict[str, str] = {}
    for mapper in remembered.export.get("identityProviderMappers") or ():
        values = (mapper.get("config") or {}).values()
        provided |= {str(value): mapper["identityProviderAlias"] for value in values if isinstance(value, str)}
    paths = dict.fromkeys(path for path, _ in by_path(remembered.export.get("groups") or ()))
    for ref in sorted(draft.taken):
        spelt = f"/{ref.name}" if ref.kind == GROUP else ref.name
        below = [f"/{path}" for path in paths if ref.kind == GROUP and path.startswith(f"{ref.name}/")]
        alias = next((provided[one] for one in (spelt, *below) if one in provided), None)
        if alias is not None and ref.kind in (ROLE, GROUP):
            draft.release(ref, f"identity provider {alias}, which is not declared, decides who has it")


def _loaded(proposal: Proposal, environ: Mapping[str, str]) -> Document:
    with tempfile.TemporaryDirectory(prefix="admin-sync-adopt-") as place:
        for name, text in proposal.texts.items():
            write(Path(place) / name, text)
        return checked(Path(place), environ)


def _blame_findings(draft: _Draft, proposal: Proposal, findings: Sequence[Finding]) -> None:
    blamed = False
    for finding in findings:
        lines = proposal.files.get(finding.file)
        ref = lines.owner(finding.line) if lines is not None else None
        if ref is None:
            continue
        blamed = True
        if ref.kind == BINDING:
            # The grant cannot be declared, so what it gives is not taken over.
            for giver in list(_givers(draft.taken, ref.name)):
                draft.release(giver, f"{ref.name!r} cannot be declared ({finding.message})")
        else:
            draft.drop(ref, f"{finding.code}: {finding.message}")
    if not blamed:
        raise InvalidInput(findings)


def _givers(taken: Iterable[Ref], binding: str) -> Iterator[Ref]:
    for ref in taken:
        word = {ROLE: "role", GROUP: "group"}.get(ref.kind)
        client, _, role = ref.name.partition("/")
        spelt = f" {word} {ref.name}" if word else f" client {client} role {role}"
        if binding.endswith(spelt):
            yield ref


def _blame_changes(draft: _Draft, changes: Sequence[Change]) -> None:
    # What one change released still explains the next one of the same round.
    taken = frozenset(draft.taken)
    for change in changes:
        if change.ref in draft.declared:
            what = "; ".join(f"{one.path} is {_shown(one.before)}" for one in change.differences[:6])
            draft.drop(change.ref, f"it differs from what this format can say: {what}")
            continue
        blamed = list(_blamed(change, taken))
        verb = "give" if change.action is Action.CREATE else "take away"
        for ref in blamed:
            draft.release(ref, f"that would {verb} {change.ref.name!r}, which cannot be declared")
        if not blamed:
            raise Refused(f"adopting would change {change.ref}, and nothing that could be left out explains it")


def _blamed(change: Change, taken: Collection[Ref]) -> Iterator[Ref]:
    """What of the taken objects makes a grant ours."""
    resource = change.before or change.after
    attrs: Mapping[str, Any] = resource.attrs if resource is not None else {}
    suspects: list[Ref] = []
    if "group" in attrs:
        parts = str(attrs["group"]).split("/")
        suspects += [Ref(GROUP, "/".join(parts[:length])) for length in range(len(parts), 0, -1)]
    if "owner" in attrs:
        suspects += [Ref(CLIENT_ROLE, f"{attrs['owner']}/{attrs['role']}"), Ref(CLIENT, str(attrs["owner"]))]
    elif "role" in attrs:
        suspects.append(Ref(ROLE, str(attrs["role"])))
    found = next((ref for ref in suspects if ref in taken), None)
    if found is None and "client" in attrs:
        found = next((ref for ref in (Ref(CLIENT, str(attrs["client"])),) if ref in taken), None)
    if found is not None:
        yield found


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
