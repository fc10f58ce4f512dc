"""The base realm: what every TradePulse realm has before anybody gets a role.

    realm/base/*.yaml ─ desired.base_resources ─▶ Resource … ─ diff ─▶ Change ─ one adapter per kind ─▶ Keycloak

- `desired`         reads the YAML and makes the resources, normalised as the adapters read them back
- `kinds`           the adapters, and the order in which their kinds depend on each other
- `realm`           settings of the realm; creates it
- `events`          what Keycloak stores and which listeners it calls
- `user_profile`    attributes of an account and who may change them
- `required_action` what a person may be asked to do after the login
- `builtin_client`  which of Keycloak's own clients are closed
- `client_scope`    claims, and which scopes a new client gets
- `client_policy`   rules that every client has to keep (kinds `client_profile` and `client_policy`)
- `flow`            login flows (`flow_tree` is their normal form), and which one is used where (`flow_binding`)
- `representation`  the one safe way to change a realm's representation

Nothing here is ever deleted but client scopes of our own: the rest is Keycloak's, or holds up somebody's login.
"""
