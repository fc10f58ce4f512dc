"""The conversation with Keycloak: one connection, one adapter per kind of object."""
