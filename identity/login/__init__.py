"""A person logs in from a terminal, once for all their programs on this host.

    from identity.login import PersonAuth, PersonSession, folder, registration

    session = PersonSession(registration(os.environ), folder(os.environ))
    session.log_in()                                    # a browser opens; with device=True a code is shown
    with httpx.Client(base_url=url, auth=PersonAuth(session, url)) as http:
        http.get("/v1/partners")                        # refreshes, and steps up when the service demands it

    log_in ─ discover ─▶ loopback │ device ─▶ code ─▶ tokens, verified ─▶ store (keyring, or a file by choice)
    bearer ◀─ kept │ lock ─ refresh ─ verify ─ keep ◀─ 401 with a demand ─▶ step_up

In the order of the flow:

- `registration.py`: issuer, client and audience; `provider.py` asks the issuer for its endpoints and keys,
  `wire.py` is how.
- `browser_login.py`: authorization code with PKCE (RFC 8252); `request.py` builds the request and reads the answer,
  `loopback.py` receives it. `device_login.py`: RFC 8628. `conversation.py` is what the person sees.
- `tokens.py`: what comes back is verified: signature, issuer, audience, nonce, level, age.
- `session.py`: keeps, refreshes one at a time, steps up, logs out; `place.py` knows where, `store.py` holds.
- `challenge.py`: a service's demand (RFC 9470); `auth.py` is all of it for `httpx`.
- `commands.py`: what `login`, `logout` and `whoami` of every command line share.
- `errors.py`: one exception, with stable codes.

No token is in an address, an argument, a log or a repr.
"""

from __future__ import annotations

from identity.login.auth import PersonAuth
from identity.login.challenge import demand
from identity.login.conversation import Conversation, Terminal
from identity.login.errors import Code, LoginFailed
from identity.login.place import folder
from identity.login.registration import Registration, Wanted, registration
from identity.login.session import LoggedOut, PersonSession
from identity.login.store import Kind

__all__ = [
    "Code",
    "Conversation",
    "Kind",
    "LoggedOut",
    "LoginFailed",
    "PersonAuth",
    "PersonSession",
    "Registration",
    "Terminal",
    "Wanted",
    "demand",
    "folder",
    "registration",
]
