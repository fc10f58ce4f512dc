"""What an identity provider's word is worth: which addresses it may vouch for, and which levels it may claim.

Both stand in the provider's settings in Keycloak, where our extension reads them at every login: the mapper
`tradepulse-address-authority` refuses a login with an address that the provider may not vouch for, and the first
step of the post-broker flow turns the claims of that login into levels. A provider without the mapper lets nobody
in, so that nothing opens where somebody removes it.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode, urlsplit

from admin_sync.load.schema import Provider, UpstreamAssurance
from admin_sync.model import Json

EMAIL_DOMAINS: Final = "tradepulse.email_domains"
"""Provider setting: a JSON list of lower-case domains."""
ASSURANCE: Final = "tradepulse.assurance"
"""Provider setting: `{"claim": "acr", "levels": {"phr": "aal2"}, "methods": ["hwk"]}`, or `{}` for nothing."""
ADDRESS_MAPPER: Final = "tradepulse-address-authority"


def settings(provider: Provider) -> dict[str, str]:
    """The provider's settings in Keycloak; every one is always written, so that what is withdrawn is gone."""
    trusted = provider.assurance
    return {
        EMAIL_DOMAINS: _text(sorted(set(provider.email_domains))),
        ASSURANCE: _text(_rules(trusted) if trusted else {}),
        # Only a provider that tells when somebody logged in can be asked for a fresh login; of any other Keycloak
        # would refuse every login that a client limits by max_age, also those with a factor of ours.
        "passMaxAge": "true" if trusted else "false",
        # Keycloak passes a client's acr_values on unless told otherwise, but aal2 is our word and not the provider's:
        # some refuse a request with a value that they do not know.
        "forwardParameters": "none",
    }


def nobody(provider: Provider) -> bool:
    """Whether a provider may vouch for no address at all, so that nobody can log in through it."""
    return not provider.email_domains


def asking(endpoint: str, provider: Provider) -> str:
    """The authorization endpoint with what every request to it asks for."""
    if provider.assurance is None or not provider.assurance.request:
        return endpoint
    joint = "&" if urlsplit(endpoint).query else "?"
    return f"{endpoint}{joint}{urlencode(sorted(provider.assurance.request.items()))}"


def _rules(trusted: UpstreamAssurance) -> Json:
    return {"claim": trusted.claim, "levels": trusted.levels, "methods": sorted(set(trusted.methods))}


def _text(value: Json) -> str:
    """One spelling for equal values, so that the order in the file is no change."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
