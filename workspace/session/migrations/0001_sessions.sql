-- What is sealed here opens only with a secret that its person's browser holds: this database alone gives no session away.

CREATE TABLE workspace.session (
    -- SHA-256 over the browser's secret, which is nowhere else.
    id           bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    sealed       bytea NOT NULL CHECK (octet_length(sealed) <= 65536),
    -- The realm's own name of the session and of the account, by which it ends everywhere.
    sid          text NOT NULL CHECK (sid <> ''),
    subject      text NOT NULL CHECK (subject <> ''),
    opened_at    timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now(),
    ends_at      timestamptz NOT NULL
);
CREATE INDEX session_sid ON workspace.session (sid);
CREATE INDEX session_subject ON workspace.session (subject);
CREATE INDEX session_ends_at ON workspace.session (ends_at);

CREATE TABLE workspace.login (
    id           bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    sealed       bytea NOT NULL CHECK (octet_length(sealed) <= 8192),
    ends_at      timestamptz NOT NULL
);
CREATE INDEX login_ends_at ON workspace.login (ends_at);

GRANT USAGE ON SCHEMA workspace TO workspace_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON workspace.session, workspace.login TO workspace_app;
GRANT SELECT ON workspace.alembic_version TO workspace_app;
