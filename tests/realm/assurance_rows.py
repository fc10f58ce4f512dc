"""The rows of `docs/assurance.md`: every way to log in, what the person holds, what the client asks for.

A row is named by three words and knows nothing of how it is walked (`assurance_walk`) or judged (`assurance_oracle`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASKED: Final = ("nothing", "aal1", "aal2", "aal3", "aal2, essential", "aal3, essential")
"""What a client asks for: `acr_values`, or an essential claim. The client's own default is `aal2`."""

FACTORS: Final = ("nothing", "authenticator app", "recovery codes", "security key", "passkey")

PROVIDERS: Final = ("workforce", "workforce saying mfa", "workforce saying phrh", "mock", "mock saying aal3")


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One login: the way, what the account has, what was asked for."""

    way: str
    holds: str
    asked: str

    @property
    def acr(self) -> str | None:
        """The level asked for."""
        return None if self.asked == "nothing" else self.asked.split(",")[0]

    @property
    def essential(self) -> bool:
        """Whether the client insists."""
        return self.asked.endswith("essential")

    @property
    def needs_browser(self) -> bool:
        """Whether plain HTTP cannot do it."""
        return self.holds in ("security key", "passkey")

    def __str__(self) -> str:
        return f"{self.way} / {self.holds} / {self.asked}"


def _product(ways: tuple[str, ...], holds: tuple[str, ...], asked: tuple[str, ...]) -> list[Row]:
    return [Row(way, held, level) for way in ways for held in holds for level in asked]


ROWS: Final = (
    *_product(("password",), FACTORS, ASKED),
    # The account exists already; what it holds was registered in an earlier login.
    *_product(PROVIDERS, ("nothing", "authenticator app"), ASKED),
    *_product(("workforce",), ("recovery codes", "security key"), ASKED),
    # Without any factor, and with one that is out of reach.
    *_product(("password", "workforce"), ("emergency code",), ASKED),
    # What is registered in the very login that the row is about.
    *_product(
        ("first login, registering",),
        ("authenticator app", "recovery codes", "security key"),
        ("nothing", "aal1", "aal2", "aal3"),
    ),
    # A running session, proved so far by the password alone, or by the factor before an `aal1` login.
    *_product(("session of a password",), ("nothing", "authenticator app", "security key"), ("aal1", "aal2", "aal3")),
    *_product(("session of a factor",), ("authenticator app", "security key"), ("aal1", "aal2", "aal3")),
    *_product(("forgotten password",), ("passkey",), ("nothing", "aal2")),
    *_product(("device",), ("nothing", "authenticator app"), ("nothing",)),
    *_product(("refresh",), ("nothing", "authenticator app", "security key"), ("aal1", "aal2", "aal3")),
    *_product(("service account", "workload"), ("nothing",), ("nothing",)),
)

ALWAYS: Final = frozenset(
    row
    for row in ROWS
    if not row.needs_browser
    and (row.way != "password" or row.asked in ("nothing", "aal3", "aal2, essential"))
    and (row.way not in PROVIDERS or row.asked in ("aal2", "aal3, essential"))
    and row.holds != "emergency code"
) | {
    Row("password", "emergency code", "aal2, essential"),
    Row("workforce", "emergency code", "aal3, essential"),
    Row("password", "security key", "nothing"),
    Row("password", "security key", "aal3, essential"),
    Row("password", "passkey", "aal2, essential"),
    Row("first login, registering", "security key", "aal3"),
    Row("forgotten password", "passkey", "aal2"),
}
"""The rows that every run of the tests walks; the others are walked with TRADEPULSE_SOAK."""
