"""What the policy engine answered, as a value that cannot be mistaken for a yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from identity.principal import AssuranceLevel
from identity.strict_json import StrictJsonError, loads_object

_MAX_BYTES = 65_536


class PolicyUnavailable(Exception):
    """No decision that can be trusted; the caller answers 503. `retry_after` is in seconds."""

    retry_after = 2


@dataclass(frozen=True, slots=True)
class StepUp:
    """The stronger or fresher login that would turn a denial into a yes; `max_age` in seconds."""

    acr: AssuranceLevel
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of one bundle. Ask `decision.allow`; the object itself is neither true nor false.

    `reasons` are the policy's stable codes, `decision_id` is OPA's own for its log, `revision` and
    `serial` say which bundle decided, `valid_until` is unix seconds. `step_up` is set only on a
    denial that a stronger login would change.
    """

    allow: bool
    reasons: tuple[str, ...]
    decision_id: str
    revision: str
    serial: int
    valid_until: int
    step_up: StepUp | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value; ask decision.allow")


def parse_answer(body: bytes) -> Decision:
    """OPA's answer to a data query. Raises `PolicyUnavailable` for anything but a whole decision.

    An undefined decision has no `result` at all: OPA answers 200 `{}` when no bundle is loaded.
    """
    try:
        answer = loads_object(body, max_bytes=_MAX_BYTES)
    except StrictJsonError as error:
        raise PolicyUnavailable(f"the policy engine's answer cannot be read: {error}") from None
    result = answer.get("result")
    if not isinstance(result, dict):
        raise PolicyUnavailable("the policy engine has no decision; see that its bundle is loaded")
    decision_id = answer.get("decision_id")
    if not isinstance(decision_id, str) or not decision_id:
        raise PolicyUnavailable("the policy engine gave no decision id; see that its decision log is on")
    decision = Decision(
        allow=_flag(result, "allow"),
        reasons=_reasons(result),
        decision_id=decision_id,
        revision=_text(result, "revision"),
        serial=_whole(result, "serial"),
        valid_until=_whole(result, "valid_until"),
        step_up=_step_up(result),
    )
    if decision.allow and decision.step_up is not None:
        raise PolicyUnavailable("the policy engine's answer contradicts itself: allowed, and a step-up asked")
    return decision


def _flag(result: Mapping[str, Any], name: str) -> bool:
    value = result.get(name)
    if value is not True and value is not False:
        raise _malformed(name)
    return value


def _text(result: Mapping[str, Any], name: str) -> str:
    value = result.get(name)
    if not isinstance(value, str) or not value:
        raise _malformed(name)
    return value


def _whole(result: Mapping[str, Any], name: str) -> int:
    value = result.get(name)
    if type(value) is not int or value < 0:
        raise _malformed(name)
    return value


def _reasons(result: Mapping[str, Any]) -> tuple[str, ...]:
    value = result.get("reasons")
    if not isinstance(value, list) or not all(isinstance(reason, str) for reason in value):
        raise _malformed("reasons")
    return tuple(value)


def _step_up(result: Mapping[str, Any]) -> StepUp | None:
    value = result.get("step_up")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _malformed("step_up")
    max_age = None if value.get("max_age") is None else _whole(value, "max_age")
    try:
        return StepUp(AssuranceLevel(_text(value, "acr")), max_age)
    except ValueError:
        raise _malformed("step_up.acr") from None


def _malformed(name: str) -> PolicyUnavailable:
    return PolicyUnavailable(f"the policy engine's answer has no proper {name}")
