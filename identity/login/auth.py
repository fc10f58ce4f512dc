"""The session as an `httpx` authentication: requests carry the person's token, and a demand to prove more is met.

with httpx.Client(base_url=url, auth=PersonAuth(session, url)) as http: ...
"""

from __future__ import annotations

from collections.abc import Generator

import httpx

from identity.login.challenge import demand, parameters
from identity.login.errors import Code, LoginFailed
from identity.login.registration import origin, safe_url
from identity.login.session import PersonSession


class PersonAuth(httpx.Auth):
    """Authentication as the person who is logged in; for synchronous clients.

    service:  the origin that may have the token, such as https://vault.example; it goes nowhere else, not even
              by a redirect
    step_up:  whether a demand for a stronger login opens one; False leaves the 401 to the caller

    Raises LoginFailed from the request: foreign-origin, and whatever `PersonSession.bearer` and `step_up` raise.
    """

    # A request is sent again after a step-up, so its body has to be there a second time.
    requires_request_body = True

    def __init__(self, session: PersonSession, service: str, *, step_up: bool = True) -> None:
        if not safe_url(service):
            raise LoginFailed(Code.FOREIGN_ORIGIN, "a token goes to https, or to http on this host, and nowhere else")
        self._session = session
        self._origin = origin(service)
        self._step_up = step_up

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sends with the token; once more after a refresh or a step-up where the service asked for it."""
        if origin(str(request.url)) != self._origin:
            raise LoginFailed(Code.FOREIGN_ORIGIN, f"{request.url.host} is not the service that this token is for")
        token = self._session.bearer()
        request.headers["Authorization"] = f"Bearer {token.text()}"
        response = yield request
        if response.status_code != 401:
            return
        challenge = ", ".join(response.headers.get_list("www-authenticate"))
        wanted = demand(challenge)
        if wanted is not None:
            if not self._step_up:
                return
            self._session.step_up(wanted)
            token = self._session.bearer()
        elif parameters(challenge).get("error") == "invalid_token":
            token = self._session.bearer(refused=token.text())
        else:
            return
        request.headers["Authorization"] = f"Bearer {token.text()}"
        yield request
