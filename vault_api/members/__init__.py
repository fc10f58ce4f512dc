"""Members of a partner: invited, given roles, lent roles until a day, taken leave of. By the partner itself.

    permission `member:manage` (or `partner:manage`, for the first one) ─▶ line in the partner's trail ─▶ Keycloak

    code.py        pure: the code that an invitation is taken up with
    limits.py      pure: what somebody who may manage members may give, and to whom not
    schemas.py     what requests and answers look like
    desk.py        list, give, take, remove, each in its order
    invitations.py make, withdraw, take up as somebody new or as somebody who is logged in
    directory.py   Keycloak: its extension `tradepulse-members`, which can do this and nothing else
    repository.py  PostgreSQL: invitations, and who gave what
    endings.py     the worker's task that takes what is over out of Keycloak
    endpoints.py   HTTP for members;   joining.py: for those who are invited, and for the platform's staff

What holds is what Keycloak says, because tokens come from there. A line stands in the trail before Keycloak is told,
and a second one says so if that then failed. The end of a role that is lent is part of the membership itself
(`/role/until-<seconds>`), so it is in every token, and the policy counts it out whether anybody removes it or not.
"""
