-- The earlier row format beside the present one (docs/decisions/0024): its rows, the phase, and what both
-- need in one transaction. A connection's newest version wins, whichever table it is in.

CREATE TABLE vault.legacy_credential (
    partner             text        NOT NULL,
    connection          text        NOT NULL,
    version             bigint      NOT NULL CHECK (version >= 1),
    payload             bytea       NOT NULL CHECK (octet_length(payload) BETWEEN 31 AND 65536),
    access_expires_at   timestamptz,
    refresh_expires_at  timestamptz,
    scopes              text[]      NOT NULL,
    stored_at           timestamptz NOT NULL,
    stored_by           text        NOT NULL,
    idempotency         bytea       CHECK (octet_length(idempotency) = 32),
    PRIMARY KEY (partner, connection),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection
);
ALTER TABLE vault.legacy_credential ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.legacy_credential FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.legacy_credential
    USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE TRIGGER only_forward BEFORE UPDATE ON vault.legacy_credential
    FOR EACH ROW EXECUTE FUNCTION vault.only_forward();

-- One row about the platform. It says which tables are written; that every reader may look into both is what
-- makes a switch harmless.
CREATE TABLE vault.legacy_phase (
    only_one  boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    phase     integer     NOT NULL CHECK (phase BETWEEN 0 AND 3),
    since     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO vault.legacy_phase (phase, since) VALUES (0, '-infinity');

REVOKE ALL ON vault.legacy_credential, vault.legacy_phase FROM PUBLIC;
GRANT SELECT, INSERT ON vault.legacy_credential TO vault_app;
GRANT UPDATE (version, payload, access_expires_at, refresh_expires_at, scopes, stored_at, stored_by, idempotency)
    ON vault.legacy_credential TO vault_app;
GRANT SELECT ON vault.legacy_phase TO vault_app;
GRANT UPDATE (phase, since) ON vault.legacy_phase TO vault_app;

-- One step forward or back, if nobody else was faster and the phase has lasted long enough to be seen by all.
CREATE FUNCTION vault.legacy_switch(p_from integer, p_to integer, p_dwell interval, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_phase   integer;
    v_since   timestamptz;
    v_outcome text;
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    SELECT l.phase, l.since INTO v_phase, v_since FROM vault.legacy_phase l FOR UPDATE;
    IF v_phase <> p_from OR abs(p_to - p_from) <> 1 THEN
        v_outcome := 'phase_differs';
    ELSIF v_since > clock_timestamp() - p_dwell THEN
        v_outcome := 'too_soon';
    ELSE
        UPDATE vault.legacy_phase SET phase = p_to, since = clock_timestamp();
        v_outcome := 'switched';
    END IF;
    PERFORM vault.append_audit('-', NULL, p_line, 'legacy.switch',
        CASE v_outcome WHEN 'switched' THEN 'success' ELSE 'denied' END,
        CASE v_outcome WHEN 'switched' THEN format('phase_%s_to_%s', p_from, p_to) ELSE v_outcome END, NULL);
    RETURN v_outcome;
END
$$;

-- Which versions of connections the two tables have; 0 for none. A value that was wiped keeps its version, so
-- that a connection which was revoked does not come back to life out of the other table.
CREATE FUNCTION vault.legacy_heads(p_partner text, p_connections text[])
    RETURNS TABLE (connection text, broker text, legacy bigint, present bigint, access_expires_at timestamptz,
                   refresh_expires_at timestamptz, scopes text[], stored_at timestamptz, stored_by text)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT c.connection, c.broker,
               CASE WHEN k.state IN ('revoked', 'pending_link', 'pending_approval') THEN 0 ELSE coalesce(l.version, 0) END,
               coalesce(n.version, 0), l.access_expires_at, l.refresh_expires_at, l.scopes, l.stored_at, l.stored_by
        FROM vault.connection c
        LEFT JOIN vault.legacy_credential l USING (partner, connection)
        LEFT JOIN vault.credential n USING (partner, connection)
        LEFT JOIN vault.link k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = ANY (p_connections);
END
$$;

-- The earlier format's row, for a release, with its line. Only of version p_version: another one is read again.
CREATE FUNCTION vault.legacy_release(p_partner text, p_connection text, p_version bigint, p_line text[])
    RETURNS TABLE (outcome text, payload bytea, expires_at timestamptz, scopes text[])
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT l.payload, l.access_expires_at, l.scopes INTO payload, expires_at, scopes
        FROM vault.legacy_credential l
        WHERE l.partner = p_partner AND l.connection = p_connection AND l.version = p_version;
    IF NOT FOUND THEN
        outcome := 'moved';
        RETURN NEXT;
        RETURN;
    END IF;
    outcome := 'success';
    IF expires_at <= clock_timestamp() THEN
        outcome := 'expired';
        payload := NULL;
    END IF;
    PERFORM vault.append_audit(p_partner, p_connection, p_line, 'credential.release',
        CASE outcome WHEN 'success' THEN 'success' ELSE 'denied' END, nullif(outcome, 'success'), NULL);
    RETURN NEXT;
END
$$;

-- Stores version p_expected + 1 into the tables of the phase. Whoever still believes in a phase that is not
-- the present one or its neighbour is told so and asks again.
CREATE FUNCTION vault.legacy_store(
    p_phase integer, p_partner text, p_connection text, p_expected bigint, p_broker text, p_payload bytea,
    p_key_version bigint, p_access bytea, p_refresh bytea, p_access_expires timestamptz,
    p_refresh_expires timestamptz, p_scopes text[], p_idempotency bytea, p_subject text, p_line text[]
)
    RETURNS TABLE (outcome text, broker text, version bigint, payload bytea, stored_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_phase   integer;
    v_legacy  vault.legacy_credential;
    v_present vault.credential;
    v_version bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT l.phase INTO v_phase FROM vault.legacy_phase l FOR SHARE;
    IF abs(v_phase - p_phase) > 1 THEN
        outcome := 'phase_stale';
        RETURN NEXT;
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner || '/' || p_connection, 20261124));
    SELECT * INTO v_legacy FROM vault.legacy_credential l
        WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    SELECT * INTO v_present FROM vault.credential n
        WHERE n.partner = p_partner AND n.connection = p_connection FOR UPDATE;
    v_version := greatest(coalesce(v_legacy.version, 0), coalesce(v_present.version, 0));
    SELECT c.broker INTO broker FROM vault.connection c
        WHERE c.partner = p_partner AND c.connection = p_connection;
    IF p_idempotency IN (v_legacy.idempotency, v_present.idempotency) AND v_version = p_expected + 1 THEN
        outcome := 'replayed';
    ELSIF v_version = 0 AND p_expected > 0 THEN
        outcome := 'not_found';
    ELSIF v_version <> p_expected THEN
        outcome := 'precondition_failed';
    ELSIF broker <> p_broker THEN
        outcome := 'broker_differs';
    ELSE
        outcome := CASE p_expected WHEN 0 THEN 'created' ELSE 'replaced' END;
        IF broker IS NULL THEN
            INSERT INTO vault.connection (partner, connection, broker, created_by)
                VALUES (p_partner, p_connection, p_broker, p_subject);
            broker := p_broker;
        END IF;
        v_version := p_expected + 1;
        IF p_phase < 3 THEN
            INSERT INTO vault.legacy_credential AS l (partner, connection, version, payload, access_expires_at,
                    refresh_expires_at, scopes, stored_at, stored_by, idempotency)
                VALUES (p_partner, p_connection, v_version, p_payload, p_access_expires, p_refresh_expires, p_scopes,
                        now(), p_subject, p_idempotency)
                ON CONFLICT (partner, connection) DO UPDATE SET version = excluded.version,
                    payload = excluded.payload, access_expires_at = excluded.access_expires_at,
                    refresh_expires_at = excluded.refresh_expires_at, scopes = excluded.scopes,
                    stored_at = excluded.stored_at, stored_by = excluded.stored_by,
                    idempotency = excluded.idempotency;
        END IF;
        IF p_phase > 0 THEN
            INSERT INTO vault.credential AS n (partner, connection, version, key_version, access_sealed,
                    refresh_sealed, access_expires_at, refresh_expires_at, scopes, stored_at, stored_by, idempotency)
                VALUES (p_partner, p_connection, v_version, p_key_version, p_access, p_refresh, p_access_expires,
                        p_refresh_expires, p_scopes, now(), p_subject, p_idempotency)
                ON CONFLICT (partner, connection) DO UPDATE SET version = excluded.version,
                    key_version = excluded.key_version, access_sealed = excluded.access_sealed,
                    refresh_sealed = excluded.refresh_sealed, access_expires_at = excluded.access_expires_at,
                    refresh_expires_at = excluded.refresh_expires_at, scopes = excluded.scopes,
                    stored_at = excluded.stored_at, stored_by = excluded.stored_by,
                    idempotency = excluded.idempotency;
        END IF;
    END IF;
    version := v_version;
    stored_at := now();
    IF outcome = 'replayed' AND v_legacy.version = v_version THEN
        payload := v_legacy.payload;
    END IF;
    PERFORM vault.append_audit(p_partner, p_connection, p_line, 'credential.store',
        CASE WHEN outcome IN ('created', 'replaced', 'replayed') THEN 'success' ELSE 'denied' END, outcome, NULL);
    RETURN NEXT;
END
$$;

-- Rows of both tables side by side, for the back-fill and the report.
CREATE FUNCTION vault.legacy_rows(p_partner text, p_after text, p_limit integer)
    RETURNS TABLE (connection text, legacy bigint, present bigint, payload bytea, key_version bigint,
                   access_sealed bytea, refresh_sealed bytea, same_facts boolean)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT connection, coalesce(l.version, 0), coalesce(n.version, 0), l.payload, n.key_version, n.access_sealed,
               n.refresh_sealed,
               (l.access_expires_at, l.refresh_expires_at, l.scopes)
                   IS NOT DISTINCT FROM (n.access_expires_at, n.refresh_expires_at, n.scopes)
        FROM (SELECT * FROM vault.legacy_credential x WHERE x.partner = p_partner) l
        FULL JOIN (SELECT * FROM vault.credential y WHERE y.partner = p_partner) n USING (partner, connection)
        WHERE p_after IS NULL OR connection > p_after
        ORDER BY connection LIMIT p_limit;
END
$$;

-- Writes the present format's row of exactly the version that the earlier one has, if neither has moved since.
CREATE FUNCTION vault.legacy_fill(
    p_partner text, p_connection text, p_legacy bigint, p_present bigint, p_key_version bigint, p_access bytea,
    p_refresh bytea
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_present bigint;
    v_row     vault.legacy_credential;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner || '/' || p_connection, 20261124));
    SELECT * INTO v_row FROM vault.legacy_credential l
        WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    SELECT n.version INTO v_present FROM vault.credential n
        WHERE n.partner = p_partner AND n.connection = p_connection FOR UPDATE;
    IF v_row.version IS DISTINCT FROM p_legacy OR coalesce(v_present, 0) <> p_present OR p_present >= p_legacy THEN
        RETURN false;
    END IF;
    INSERT INTO vault.credential AS n (partner, connection, version, key_version, access_sealed, refresh_sealed,
            access_expires_at, refresh_expires_at, scopes, stored_at, stored_by, idempotency)
        VALUES (p_partner, p_connection, p_legacy, p_key_version, p_access, p_refresh, v_row.access_expires_at,
                v_row.refresh_expires_at, v_row.scopes, v_row.stored_at, v_row.stored_by, v_row.idempotency)
        ON CONFLICT (partner, connection) DO UPDATE SET version = excluded.version,
            key_version = excluded.key_version, access_sealed = excluded.access_sealed,
            refresh_sealed = excluded.refresh_sealed, access_expires_at = excluded.access_expires_at,
            refresh_expires_at = excluded.refresh_expires_at, scopes = excluded.scopes,
            stored_at = excluded.stored_at, stored_by = excluded.stored_by, idempotency = excluded.idempotency;
    RETURN true;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.legacy_switch(integer, integer, interval, text[]),
    vault.legacy_heads(text, text[]),
    vault.legacy_release(text, text, bigint, text[]),
    vault.legacy_store(integer, text, text, bigint, text, bytea, bigint, bytea, bytea, timestamptz, timestamptz,
                       text[], bytea, text, text[]),
    vault.legacy_rows(text, text, integer),
    vault.legacy_fill(text, text, bigint, bigint, bigint, bytea, bytea)
    TO vault_app;
