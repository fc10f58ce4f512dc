"""admin-sync: the configuration in `configs/iam` becomes Keycloak realms and a signed OPA bundle.

    configs/iam ─ load ─▶ Document ─ check ─▶ desired ─┐
                               Keycloak ─ read ─▶ Current ─┴ diff ─▶ Plan ─ guard ─▶ render │ apply ─▶ audit
                                                                                       └▶ policy ─▶ bundle ─▶ OPA

    cli.py, console.py   the commands, their exit codes and streams; `commands/` is what each does
    load/                strict YAML, variables, schema: files to a `Document`
    check/               what a document may not mean; a table of pure functions
    holdings.py          who has what, by which way: the one reading of roles, groups and grants
    desired/             the document as the state of one realm, and the facts it needs from outside
    model.py, refs.py    states and their resources as values, and how they are called
    diff.py              desired against current, purely
    impact.py            who gains or loses what; rules.py: what OPA would decide otherwise
    answers.py           who has what, for `explain` and `who-can`
    ownership.py         what people of ours hold that nobody declared, and what becomes of it
    static_secrets.py    clients that hold a secret which somebody has to rotate
    adopt/               a realm that somebody else made, as a configuration whose plan is empty
    guard.py             what a plan must not do without being told so
    sync.py              read, diff, guard, apply, look again: one `Session` for every command
    keycloak/            one connection, a reader and a writer, one adapter per kind
    audit_reconcile/     Keycloak's own events held against the audit files
    offboarding/         a person loses everything at once; a freeze ends sessions; the way back
    lock.py, trail.py    one apply per realm; the audit lines of a run
    render/              a plan for people and machines; `saved_plan.py` for later
    catalogue.py         the checks and guards as a page; schemas/: what machines may rely on
    policy.py, bundle/   what OPA decides by, signed and published
    roster/, onboarding/ who works here and for whom, as HR says, and what a new roster means
    monitor/, measures/  what the audit log says somebody has to be told of, and numbers
    certification/       who still needs what they hold; service_secrets/: static secrets that are rotated
    access/              requests for access and who has to agree: a service of its own (docs/access-requests.md)
    break_glass/         emergency accounts: sealed, opened by two approvals, closed by themselves, reviewed
    settings.py          environment variables; errors.py: what can go wrong, by exit code

Only objects that carry our mark (`model.MANAGED_ATTRIBUTE`) are ever deleted. A re-run is always
safe: every run reads the whole state and writes what differs.
"""
