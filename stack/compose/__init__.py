"""The jobs of docker-compose.yml that make what a deployment on one host starts with.

    keys ─▶ a volume of secrets for each service ─▶ schema ─▶ admin-sync apply ─▶ people (development)

Each is a container of its own, because each needs something that the others must not have: `keys` has every
secret and no network, `schema` the database's superuser and no Keycloak, `people` an account of Keycloak.
All of them may be repeated: what exists stays, since data is sealed and signed with it.

    __main__.py   python -m stack.compose keys | schema | people | invite | directories
    holders.py    who holds which secret: the table that the volumes are made from
    keys.py       makes the secrets once and gives every holder its own
    authority.py  the site's own certificate authority and the servers' certificates
    schema.py     roles and databases of PostgreSQL, then the schemas
    people.py     one-time passwords, and an invitation for a partner's member
"""
