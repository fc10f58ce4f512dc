"""A roster put into effect: one person after the other, the rest in spite of one who failed, and a report.

The report is plain data: `roster`, `joined`, `moved`, `left`, `failed`. A person in `joined` has for every
environment what became of their account (`made`, `present`, `disabled`, `barred`, `at first login`, `failed`; `would be
made` and `would be invited` in a dry run) and of the invitation (`mail`, `one-time password`, `none`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date

from admin_sync.errors import Refused
from admin_sync.keycloak.connection import KeycloakProblem, NotAllowed
from admin_sync.load.document import Document
from admin_sync.model import Current, Json, printable
from admin_sync.onboarding.invitations import Inviter
from admin_sync.onboarding.movement import Moved, Movement
from admin_sync.onboarding.survey import Survey
from admin_sync.roster import Employee, Roster, implausible


def refuse_implausible(previous: Roster | None, new: Roster, today: date, leavers_allowed: int | None) -> None:
    """Raises Refused for a roster that cannot be the next one, with every reason."""
    reasons = implausible(previous, new, today, leavers_allowed=leavers_allowed)
    if reasons:
        listed = "\n".join(f"refused: implausible-roster: {reason}" for reason in reasons)
        raise Refused(f"{listed}\nnothing was done; correct the roster, or say --allow-leavers N if that is meant")


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What is known when a roster is put into effect. `inviters` are those of the environments with local people."""

    document: Document
    roster: Roster
    movement: Movement
    realms: Mapping[str, Current]
    inviters: Mapping[str, Inviter]
    wanted: Collection[str]
    """The environments in which accounts are looked after; the others are only read."""
    dry_run: bool = False
    progress: Callable[[str], None] = lambda text: None

    def carry_out(self) -> dict[str, Json]:
        """Do it, or only say what would be done. Raises Interrupted when going on makes no sense."""
        survey = Survey(self.document, self.realms)
        joined = []
        for number, person in enumerate(self.movement.joined, 1):
            self.progress(f"joined: {number} of {len(self.movement.joined)}")
            joined.append(self._joined(person, survey))
        left = [shown for person in self.movement.left if (shown := _left(person, survey)) is not None]
        failed = [one["email"] for one in joined if any(at["account"] == "failed" for at in one["accounts"].values())]
        return {
            "version": 1,
            "dry_run": self.dry_run,
            "roster": {"source": self.roster.source, "digest": self.roster.digest, "people": len(self.roster)},
            "joined": joined,
            "moved": [_moved(one, survey) for one in self.movement.moved],
            "left": left,
            "failed": failed,
        }

    def _joined(self, person: Employee, survey: Survey) -> dict[str, Json]:
        accounts: dict[str, Json] = {}
        for environment in self.wanted:
            accounts[environment] = self._account(environment, person, survey)
        # Whoever was offboarded once stays out until somebody says that this is right.
        barred = survey.barred(person)
        return {
            "email": person.email,
            "name": person.name,
            "department": person.department,
            "manager": person.manager,
            "accounts": accounts,
            "grants": [one.shown() for one in survey.grants(person)],
            "next": f"admin-sync reinstate {person.email}" if barred else None,
        }

    def _account(self, environment: str, person: Employee, survey: Survey) -> dict[str, Json]:
        try:
            return self._brought(environment, person, survey)
        except NotAllowed:
            # It would be refused for everybody else as well.
            raise
        except KeycloakProblem as problem:
            return {**_is("failed"), "reason": printable(str(problem))}

    def _brought(self, environment: str, person: Employee, survey: Survey) -> dict[str, Json]:
        account = survey.account(environment, person)
        inviter = self.inviters.get(environment)
        if survey.barred(person):
            return _is("barred")
        if inviter is None:
            return _is("at first login" if account is None else "present" if account else "disabled")
        if not self.realms[environment].exists:
            return {**_is("failed"), "reason": "there is no realm yet; admin-sync apply makes it"}
        # `apply` makes accounts as well, for bindings, and invites nobody.
        if account is not None and not (account and inviter.uninvited(person)):
            return _is("present" if account else "disabled")
        if self.dry_run:
            return _is("would be invited" if account else "would be made")
        invitation = inviter.invite(person, made=account is not None)
        return {"account": "present" if account else "made", "invitation": invitation}


def _is(account: str) -> dict[str, Json]:
    return {"account": account, "invitation": "none"}


def _moved(one: Moved, survey: Survey) -> dict[str, Json]:
    return {
        "email": one.after.email,
        "what": list(one.what),
        "before": {name: getattr(one.before, name) for name in one.what},
        "after": {name: getattr(one.after, name) for name in one.what},
        # The manager who answered for these grants is another one now.
        "certify_again": [held.shown() for held in survey.grants(one.after)],
    }


def _left(person: Employee, survey: Survey) -> dict[str, Json] | None:
    """What is left of somebody who left; None when nothing is."""
    grants, accounts = survey.grants(person), survey.enabled(person)
    if not accounts and (survey.barred(person) or not grants):
        return None
    return {
        "email": person.email,
        "last_day": person.end and person.end.isoformat(),
        "grants": [one.shown() for one in grants],
        "accounts": accounts,
        "next": f"admin-sync offboard {person.email}",
    }


def still_here(movement: Movement, report: Mapping[str, Json]) -> tuple[Employee, ...]:
    """Those who left and of whom something is left, to be looked for again at the next run."""
    listed = {one["email"] for one in report["left"]}
    return tuple(person for person in movement.left if person.email in listed)


def finished(report: Mapping[str, Json]) -> bool:
    """Whether everybody was dealt with; otherwise the same run has to be made again."""
    return not report["failed"]
