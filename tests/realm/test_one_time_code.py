"""The codes of a played authenticator app: those of RFC 6238, each used once."""

from __future__ import annotations

import pytest

from stack.login import SavedFactor
from stack.login.factor import totp

SECRET = "12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    # RFC 6238, appendix B, has eight digits; the last six are the same number modulo a million.
    assert totp(SECRET, seconds // 30) == code


def test_a_code_is_never_given_twice_and_never_before_it_is_taken() -> None:
    now = 3000.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    app = SavedFactor(secret=SECRET)
    codes = [app.code(lambda: now, sleep) for _ in range(3)]
    # The second is the next period's, which Keycloak takes early; the third has to wait for its turn.
    assert codes == [totp(SECRET, step) for step in (100, 101, 102)]
    assert slept == pytest.approx([30.0])


def test_a_saved_factor_comes_back_and_hides_its_secret() -> None:
    app = SavedFactor(key=[{"privateKey": "k"}], secret=SECRET, last_step=7)
    assert SavedFactor.from_json(app.to_json()) == app
    assert SECRET not in repr(app)
    assert "privateKey" not in repr(app)
