-- Tables, row level security and grants of the vault. Run by the migration as vault_owner.
--
-- Two rules hold for everything in this schema, and vault_api/store/posture.py refuses to start a
-- vault where one does not: every tenant table has FORCE ROW LEVEL SECURITY with one policy on
-- vault.tenant(), and nothing (function, view, grant) reaches around it.

CREATE FUNCTION vault.tenant() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Missing in a fresh session, and an empty string after a transaction that had set it: both mean
    -- that somebody forgot the tenant. An empty result would hide that; an error cannot be overlooked.
    v_partner text := current_setting('vault.partner', true);
BEGIN
    IF v_partner IS NULL OR v_partner = '' THEN
        RAISE EXCEPTION 'vault.partner is not set in this transaction'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_partner;
END
$$;

CREATE TABLE vault.connection (
    partner     text        NOT NULL CHECK (partner ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    connection  text        NOT NULL CHECK (connection ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    broker      text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text        NOT NULL,
    PRIMARY KEY (partner, connection)
);

-- The salt version, the root key version and the fingerprint of every key that ever sealed something.
-- A row is written at the first use of a key and never changed: another fingerprint is another key.
CREATE TABLE vault.key_context (
    partner       text        NOT NULL,
    key_version   bigint      NOT NULL CHECK (key_version BETWEEN 1 AND 4294967295),
    root_version  bigint      NOT NULL CHECK (root_version >= 1),
    fingerprint   bytea       NOT NULL CHECK (octet_length(fingerprint) = 16),
    pinned_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partner, key_version)
);

CREATE TABLE vault.credential (
    partner             text        NOT NULL,
    connection          text        NOT NULL,
    version             bigint      NOT NULL CHECK (version >= 1),
    key_version         bigint      NOT NULL,
    access_sealed       bytea       NOT NULL CHECK (octet_length(access_sealed) BETWEEN 78 AND 65536),
    refresh_sealed      bytea       CHECK (octet_length(refresh_sealed) BETWEEN 78 AND 65536),
    access_expires_at   timestamptz,
    refresh_expires_at  timestamptz,
    scopes              text[]      NOT NULL,
    stored_at           timestamptz NOT NULL DEFAULT now(),
    stored_by           text        NOT NULL,
    -- SHA-256 over the caller and their Idempotency-Key of the store that made this version, and of no older one.
    idempotency         bytea       CHECK (octet_length(idempotency) = 32),
    PRIMARY KEY (partner, connection),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection,
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context
);

-- A version counts up or stays (re-sealing under another key); it never goes back, because an older
-- sealed value would open in a row that says it is of that version.
CREATE FUNCTION vault.only_forward() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.version < OLD.version THEN
        RAISE EXCEPTION 'a credential version never goes back' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER only_forward BEFORE UPDATE ON vault.credential
    FOR EACH ROW EXECUTE FUNCTION vault.only_forward();

-- The trail. The primary key is what makes a fork of a chain impossible: there is one row for each
-- sequence number, and nobody who serves requests may change or delete it.
CREATE TABLE vault.audit (
    partner     text        NOT NULL,
    seq         bigint      NOT NULL CHECK (seq >= 1),
    recorded_at timestamptz NOT NULL,
    event       text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('success', 'denied', 'failure')),
    connection  text,
    hash        text        NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    line        text        NOT NULL,
    PRIMARY KEY (partner, seq)
);
CREATE INDEX audit_last_release ON vault.audit (partner, connection, seq)
    WHERE event = 'credential.release' AND outcome = 'success';

ALTER TABLE vault.connection  ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.connection  FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.key_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.key_context FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.credential  ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.credential  FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.audit       ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.audit       FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.connection  USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE POLICY tenant ON vault.key_context USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE POLICY tenant ON vault.credential  USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE POLICY tenant ON vault.audit       USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());

-- Two tables are about the shipper and not about a tenant: how far each chain has been written to the
-- file, and how far each file has been accounted for. They hold names and numbers.
CREATE TABLE vault.shipping (
    chain text   PRIMARY KEY,
    seq   bigint NOT NULL DEFAULT 0
);
CREATE TABLE vault.shipped_file (
    node     text   NOT NULL,
    file     text   NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (node, file)
);

REVOKE ALL ON ALL TABLES IN SCHEMA vault FROM PUBLIC;
REVOKE ALL ON SCHEMA vault FROM PUBLIC;
GRANT USAGE ON SCHEMA vault TO vault_app;
GRANT SELECT, INSERT ON vault.connection, vault.key_context, vault.audit TO vault_app;
GRANT SELECT, INSERT ON vault.credential TO vault_app;
GRANT UPDATE (version, key_version, access_sealed, refresh_sealed, access_expires_at, refresh_expires_at,
              scopes, stored_at, stored_by, idempotency) ON vault.credential TO vault_app;
GRANT SELECT, INSERT, UPDATE ON vault.shipping, vault.shipped_file TO vault_app;
GRANT SELECT ON vault.alembic_version TO vault_app;
