"""`make images`: every container image of the compose file, from Debian and language packages alone.

    Debian ─ debootstrap ─▶ debian:bookworm-slim ─┐
    requirements/*.txt ─ pip, by hash ─▶ wheels   ├─ context in .tools/images ─ docker build ─▶ the compose file's names
    Keycloak, extension ─ Maven │ OPA ─ Go        ┘

No container registry is asked. What comes from a registry of packages is fetched on this machine, with
this machine's settings, and checked as everywhere (hashes, Keycloak's digest); inside a build only apt is
used. So a site without internet needs the mirrors that it has anyway (docs/air_gapped.md).

    __main__.py  the command
    recipes.py   the table: image name, Dockerfile, stage, context
    base.py      the Debian image that all the others begin with
    gather.py    the contexts
"""
