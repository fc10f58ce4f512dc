"""The pages of a login in a browser: how each is known, and what a person played by a program answers."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

from stack.login.factor import SavedFactor
from stack.login.oidc import Login, LoginFailed

# The pages of a login by what only they have, the more particular first.
PAGES: Final = {
    "update-password": "#kc-passwd-update-form",
    "choose-factor": "#tradepulse-choose-factor",
    "register-key": "#registerWebAuthn",
    "register-app": "#kc-totp-settings-form",
    "use-key": "#kc-form-webauthn",
    "use-app": "#kc-otp-login-form",
    "register-recovery-codes": "#kc-recovery-codes-settings-form",
    "use-recovery-code": "#kc-recovery-code-login-form",
    "use-emergency-code": "#tradepulse-mfa-bypass",
    "choose-way": "#kc-select-credential-form",
    "password": "#kc-form-login",
    "provider": "textarea[name=claims]",
    "link-account": "#linkAccount",
}
KEY_PAGES: Final = frozenset({"register-key", "use-key"})
"""Those on which the security key is plugged in."""


def passed_over(name: str, login: Login) -> bool:
    """Whether a page that asks for a factor is left for another way, without giving it."""
    return name in ("use-key", "use-app") and bool(login.recovery_code or login.emergency_code)


def answer(page: Page, name: str, login: Login, saved: SavedFactor, *, passkey: bool) -> None:
    """Fill in and send the page that `PAGES` calls `name`. Raises LoginFailed where nothing is known to answer."""
    if name.startswith("register-") or name in ("choose-factor", "update-password"):
        _set_up(page, name, login, saved)
    else:
        _prove(page, name, login, saved, passkey=passkey)


def _prove(page: Page, name: str, login: Login, saved: SavedFactor, *, passkey: bool) -> None:
    match name:
        case "password" if login.forgotten:
            page.click("a[href*='reset-credentials']")
        case "password" if passkey:
            page.click("#authenticateWebAuthnButton")
        case "password":
            if page.locator("#username").count() and page.locator("#username").is_visible():
                page.fill("#username", login.username)
            page.fill("#password", login.password)
            page.click("#kc-login")
        case "provider":
            page.fill("[name=username]", login.username)
            page.fill("[name=claims]", login.claims)
            page.click("[type=submit]")
        case "link-account":
            page.click("#linkAccount")
        case "use-key" | "use-app" if passed_over(name, login):
            page.click("#try-another-way")
        case "choose-way":
            page.get_by_role("button").filter(has_text="Recovery" if login.recovery_code else "Emergency").click()
        case "use-recovery-code" | "use-emergency-code":
            _type_code(page, name, saved)
        case "use-key":
            page.click("#authenticateWebAuthnButton")
        case "use-app":
            page.fill("#otp", saved.code())
            page.click("#kc-login")


def _type_code(page: Page, name: str, saved: SavedFactor) -> None:
    if name == "use-recovery-code":
        page.fill("#recoveryCodeInput", saved.recovery_code())
    elif saved.emergency_code is None:
        raise LoginFailed("no emergency code was handed over")
    else:
        page.fill("#own", saved.emergency_code[0])
        page.fill("#handed", saved.emergency_code[1])
        saved.emergency_code = None
    page.click("#kc-login")


def _set_up(page: Page, name: str, login: Login, saved: SavedFactor) -> None:
    match name:
        case "update-password":
            if login.new_password is None:
                raise LoginFailed(f"{login.username} has to set a new password: use first_login")
            page.fill("#password-new", login.new_password)
            page.fill("#password-confirm", login.new_password)
            page.locator("#kc-passwd-update-form [type=submit]").first.click()
        case "choose-factor":
            if login.recovery_codes:
                page.check("#tradepulse-recovery-codes")
            page.click(f"#tradepulse-{login.factor}")
        case "register-key":
            page.click("#registerWebAuthn")
        case "register-app":
            saved.secret = page.input_value("#totpSecret")
            page.fill("#totp", saved.code())
            page.fill("#userLabel", "authenticator app")
            page.click("#saveTOTPBtn")
        case "register-recovery-codes":
            codes = page.locator("[name=generatedRecoveryAuthnCodes]").input_value()
            saved.recovery_codes = codes.split(",")
            page.check("#kcRecoveryCodesConfirmationCheck")
            page.click("#saveRecoveryAuthnCodesBtn")
