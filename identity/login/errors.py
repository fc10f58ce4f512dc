"""What can go wrong between a person at a terminal and a token, each with a stable code."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The stable part of an error, for programs. The text beside it is for people and may change."""

    NOT_LOGGED_IN = "not-logged-in"
    SESSION_ENDED = "session-ended"
    LOGIN_REFUSED = "login-refused"
    TIMED_OUT = "timed-out"
    OPENED_ELSEWHERE = "opened-elsewhere"
    ISSUER_MISMATCH = "issuer-mismatch"
    ANSWER_MALFORMED = "answer-malformed"
    TOKEN_REJECTED = "token-rejected"  # noqa: S105 - the name of an error
    ASSURANCE_TOO_LOW = "assurance-too-low"
    ANOTHER_PERSON = "another-person"
    UNREACHABLE = "unreachable"
    BAD_REGISTRATION = "bad-registration"
    NO_KEYRING = "no-keyring"
    STORE_UNUSABLE = "store-unusable"
    BUSY = "busy"
    FOREIGN_ORIGIN = "foreign-origin"
    NO_PERSON = "no-person"


class LoginFailed(Exception):
    """A login, a refresh or a logout did not come about.

    `code` is stable; the text says the next step and never holds a token, a code or an address with parameters.
    """

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
