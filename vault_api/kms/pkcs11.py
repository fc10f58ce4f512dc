"""Root keys in an HSM, through PKCS #11 (OASIS, v2.40): generic secret keys that MAC and never leave it.

Version 3 of the root key is the secret key labelled `<key>-3`; the current version is the highest one.
A key counts only if the token says that it is sensitive and not extractable and may sign with
CKM_SHA256_HMAC. `kms-rotate-root` generates the next one inside the token.

The library is C code that blocks, so it is spoken to from one thread of its own. A question that is not
answered in time is given up, while the thread may still hang in it; later ones then fail at once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from identity.secret import Secret
from vault_api.kms.seam import KmsHealth, KmsRefused, KmsUnavailable, require_message, require_older

_log = structlog.get_logger("vault_api.kms")

_T = TypeVar("_T")


class Pkcs11Kms:
    """CKM_SHA256_HMAC under secret keys of one token."""

    def __init__(self, module: Path, token: str, pin: Secret, key: str, *, timeout: float = 5.0) -> None:
        """Raises KmsRefused when the library cannot be had; the token itself may come later."""
        try:
            import pkcs11  # noqa: PLC0415 - a C extension that only those with an HSM need
        except ImportError:
            raise KmsRefused("VAULT_KMS=pkcs11 needs python-pkcs11; install requirements/kms.txt") from None
        if not module.is_file():
            raise KmsRefused(f"VAULT_PKCS11_MODULE: {module} is no file; name the PKCS #11 library of your HSM")
        self._pkcs11 = pkcs11
        self._module = module
        self._token = token
        self._pin = pin
        self._key = key
        self._timeout = timeout
        # One thread: a session of PKCS #11 does one thing at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")
        self._overdue: asyncio.Future[Any] | None = None
        self._library: Any = None
        self._session: Any = None
        self._keys: Mapping[int, Any] = {}
        self._shut_out: str | None = None

    @property
    def current_version(self) -> int:
        return max(self._keys, default=0)

    async def mac(self, key_version: int, message: bytes) -> bytes:
        require_message(message)
        return await self._ask(lambda: self._mac(key_version, message))

    async def look(self) -> None:
        await self._ask(self._find)

    async def health(self) -> KmsHealth:
        try:
            await self.look()
        except (KmsUnavailable, KmsRefused) as error:
            return KmsHealth(ok=False, provider="pkcs11", current_version=self.current_version, detail=str(error))
        return KmsHealth(ok=True, provider="pkcs11", current_version=self.current_version, detail=self._token)

    async def add_version(self) -> int:
        return await self._ask(self._generate)

    async def remove_version(self, version: int) -> None:
        await self._ask(lambda: self._destroy(version))

    async def close(self) -> None:
        if self._overdue is None or self._overdue.done():
            await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: Callable[[], _T]) -> _T:
        if self._overdue is not None and not self._overdue.done():
            raise KmsUnavailable("the HSM still owes an earlier answer")
        flight = asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, question)
        done, _ = await asyncio.wait([flight], timeout=self._timeout)
        if not done:
            self._overdue = flight
            # Whatever it comes to one day, nobody waits for it any more.
            flight.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise KmsUnavailable(f"the HSM did not answer within {self._timeout:g} s")
        return flight.result()

    # What follows runs in the one thread.

    def _attempt(self, question: Callable[[], _T]) -> _T:
        if self._shut_out is not None:
            raise KmsRefused(self._shut_out)
        for attempt in (1, 2):
            try:
                return question()
            except (self._pkcs11.PinIncorrect, self._pkcs11.PinLenRange, self._pkcs11.PinLocked) as error:
                # Never a second time: a few wrong PINs lock the token for everybody.
                self._drop()
                self._shut_out = f"the HSM refuses the PIN ({type(error).__name__}); see VAULT_PKCS11_PIN_FILE"
                raise KmsRefused(self._shut_out) from None
            except self._pkcs11.PKCS11Error as error:
                # The session may have ended with the token's power or another process's logout: once more in a new one.
                problem = type(error).__name__
                self._drop()
                if attempt == 2:
                    _log.error("kms.pkcs11_failed", problem=problem)
                    raise KmsUnavailable(f"the HSM does not answer ({problem})") from None
        raise AssertionError("unreachable")

    def _mac(self, key_version: int, message: bytes) -> bytes:
        if key_version not in self._keys:
            self._find()
        key = self._keys.get(key_version)
        if key is None:
            raise KmsRefused(f"the token has no secret key labelled {self._key}-{key_version}")
        answer: bytes = key.sign(message, mechanism=self._pkcs11.Mechanism.SHA256_HMAC)
        return bytes(answer)

    def _find(self) -> None:
        """Finds every version of the root key, in a session that is opened if there is none."""
        session, keys = self._opened(), {}
        attribute = self._pkcs11.Attribute
        pattern = re.compile(re.escape(self._key) + r"-([1-9][0-9]{0,8})\Z")
        for found in session.get_objects({attribute.CLASS: self._pkcs11.ObjectClass.SECRET_KEY}):
            named = pattern.match(found.label or "")
            if named is None:
                continue
            version = int(named[1])
            if version in keys:
                raise KmsRefused(f"the token has two secret keys labelled {found.label}")
            if found[attribute.EXTRACTABLE] or not found[attribute.SENSITIVE] or not found[attribute.SIGN]:
                raise KmsRefused(f"{found.label} may leave the token or may not sign; a root key is neither")
            keys[version] = found
        if not keys:
            raise KmsRefused(f"the token has no secret key labelled {self._key}-1; `kms-rotate-root` generates one")
        if missing := set(self._keys) - set(keys):
            # Said once: what is sealed under it does not open until it is back.
            _log.critical("kms.version_lost", versions=sorted(missing))
        self._keys = keys

    def _opened(self) -> Any:
        if self._session is None:
            if self._library is None:
                self._library = self._pkcs11.lib(str(self._module))
            else:
                # A token that was plugged in since is seen only by a library that begins anew.
                self._library.reinitialize()
            token = self._library.get_token(token_label=self._token)
            self._session = token.open(rw=True, user_pin=self._pin.text())
        return self._session

    def _generate(self) -> int:
        try:
            self._find()
        except KmsRefused:
            if self._keys or self._session is None:
                raise
        version, attribute = self.current_version + 1, self._pkcs11.Attribute
        self._opened().generate_key(
            self._pkcs11.KeyType.GENERIC_SECRET,
            256,
            label=f"{self._key}-{version}",
            store=True,
            capabilities=self._pkcs11.MechanismFlag.SIGN,
            mechanism=self._pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
            template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.PRIVATE: True},
        )
        self._find()
        return version

    def _destroy(self, version: int) -> None:
        self._find()
        require_older(version, self.current_version)
        if version not in self._keys:
            raise KmsRefused(f"the token has no secret key labelled {self._key}-{version}")
        self._keys[version].destroy()
        self._keys = {number: key for number, key in self._keys.items() if number != version}

    def _drop(self) -> None:
        """Forgets the session and all that belongs to it."""
        session, self._session, self._keys = self._session, None, {}
        if session is not None:
            try:
                session.close()
            except self._pkcs11.PKCS11Error:
                _log.info("kms.session_was_gone")

    def __repr__(self) -> str:
        return f"<root keys {self._key} in token {self._token}>"
