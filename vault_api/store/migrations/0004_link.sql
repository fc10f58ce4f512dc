-- Linking a broker: who began it, who approved it, what state a connection is in, and what is still to be
-- revoked at the broker. Nothing is deleted here: whoever serves requests has no right to, so a sealed
-- value that has had its day is overwritten with NULL, and its key version with it. A census of what is
-- sealed under a key thus counts rows by `key_version` in credential, link_attempt, link_pending and
-- revocation, and finds none of the wiped.

ALTER TABLE vault.credential ALTER access_sealed DROP NOT NULL;
ALTER TABLE vault.credential ALTER key_version DROP NOT NULL;
ALTER TABLE vault.credential ADD CONSTRAINT wiped_whole CHECK (
    (access_sealed IS NULL) = (key_version IS NULL) AND (access_sealed IS NOT NULL OR refresh_sealed IS NULL));

-- What is to be done about a connection and when; work goes over all partners by this list, takes rows with
-- SKIP LOCKED, and enters one tenant at a time. Names and times, nothing else. `fence` counts the
-- claims: whoever comes back with an older number than the row has is not listened to.
CREATE TABLE vault.schedule (
    partner       text        NOT NULL,
    connection    text        NOT NULL,
    work          text        NOT NULL CHECK (work IN ('refresh', 'relink', 'revoke', 'alerts')),
    broker        text,
    due_at        timestamptz,
    claimed_until timestamptz,
    fence         bigint      NOT NULL DEFAULT 0,
    attempts      integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (partner, connection, work)
);
CREATE INDEX schedule_due ON vault.schedule (work, due_at) WHERE due_at IS NOT NULL;

-- A connection without a row here was made by storing a token set, and is active.
CREATE TABLE vault.link (
    partner     text        NOT NULL,
    connection  text        NOT NULL,
    state       text        NOT NULL CHECK (state IN ('pending_link', 'pending_approval', 'active',
                                                      'reconnect_needed', 'revoked')),
    reason      text,
    since       timestamptz NOT NULL DEFAULT now(),
    linked_by   text,
    linked_at   timestamptz,
    approved_by text,
    approved_at timestamptz,
    relink_at   timestamptz,
    PRIMARY KEY (partner, connection),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection
);

-- An authorization request on its way through somebody's browser: one at most for each person and connection.
CREATE TABLE vault.link_attempt (
    partner         text        NOT NULL,
    connection      text        NOT NULL,
    subject         text        NOT NULL,
    session         text        NOT NULL,
    state_hash      bytea       NOT NULL CHECK (octet_length(state_hash) = 32),
    nonce_hash      bytea       CHECK (octet_length(nonce_hash) = 32),
    key_version     bigint,
    verifier_sealed bytea,
    redirect_uri    text        NOT NULL,
    scopes          text[]      NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    PRIMARY KEY (partner, connection, subject),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection,
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context,
    CHECK ((verifier_sealed IS NULL) = (key_version IS NULL))
);
CREATE UNIQUE INDEX link_attempt_state ON vault.link_attempt (partner, state_hash);

-- A token set that somebody linked and nobody else has approved yet. It is not in `credential`, so that
-- nothing which reads credentials can give it out.
CREATE TABLE vault.link_pending (
    partner            text        NOT NULL,
    connection         text        NOT NULL,
    version            bigint      NOT NULL,
    key_version        bigint,
    access_sealed      bytea,
    refresh_sealed     bytea,
    access_expires_at  timestamptz,
    refresh_expires_at timestamptz,
    relink_at          timestamptz,
    scopes             text[]      NOT NULL,
    linked_by          text        NOT NULL,
    linked_at          timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    PRIMARY KEY (partner, connection),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection,
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context,
    CHECK ((access_sealed IS NULL) = (key_version IS NULL))
);

-- Tokens that are dead here already and are still to be revoked at their broker (RFC 7009).
CREATE TABLE vault.revocation (
    partner        text        NOT NULL,
    connection     text        NOT NULL,
    version        bigint      NOT NULL,
    broker         text        NOT NULL,
    key_version    bigint,
    access_sealed  bytea,
    refresh_sealed bytea,
    queued_at      timestamptz NOT NULL DEFAULT now(),
    settled_at     timestamptz,
    outcome        text,
    PRIMARY KEY (partner, connection, version),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection,
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context,
    CHECK ((access_sealed IS NULL) = (key_version IS NULL))
);

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['link', 'link_attempt', 'link_pending', 'revocation'] LOOP
        EXECUTE format('ALTER TABLE vault.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE vault.%I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY tenant ON vault.%I USING (partner = vault.tenant()) '
                       'WITH CHECK (partner = vault.tenant())', v_table);
    END LOOP;
END
$$;
REVOKE ALL ON vault.schedule, vault.link, vault.link_attempt, vault.link_pending, vault.revocation FROM PUBLIC;
GRANT SELECT, INSERT ON vault.schedule, vault.link, vault.link_attempt, vault.link_pending, vault.revocation TO vault_app;
GRANT UPDATE (broker, due_at, claimed_until, fence, attempts) ON vault.schedule TO vault_app;
GRANT UPDATE (state, reason, since, linked_by, linked_at, approved_by, approved_at, relink_at) ON vault.link TO vault_app;
GRANT UPDATE (session, state_hash, nonce_hash, key_version, verifier_sealed, redirect_uri, scopes, expires_at, used_at)
    ON vault.link_attempt TO vault_app;
GRANT UPDATE (version, key_version, access_sealed, refresh_sealed, access_expires_at, refresh_expires_at, relink_at,
              scopes, linked_by, linked_at, expires_at) ON vault.link_pending TO vault_app;
GRANT UPDATE (key_version, access_sealed, refresh_sealed, settled_at, outcome) ON vault.revocation TO vault_app;

-- Puts a connection into a state; the time of the change is kept only when it is one.
CREATE FUNCTION vault.set_link_state(p_partner text, p_connection text, p_state text, p_reason text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.link AS l (partner, connection, state, reason) VALUES (p_partner, p_connection, p_state, p_reason)
        ON CONFLICT (partner, connection) DO UPDATE SET
            since = CASE WHEN l.state = p_state THEN l.since ELSE now() END, state = p_state, reason = p_reason;
END
$$;

-- Makes work due, sooner if it is due already.
CREATE FUNCTION vault.make_due(p_partner text, p_connection text, p_work text, p_broker text, p_due timestamptz)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.schedule AS s (partner, connection, work, broker, due_at)
        VALUES (p_partner, p_connection, p_work, p_broker, p_due)
        ON CONFLICT (partner, connection, work) DO UPDATE SET
            due_at = least(s.due_at, p_due), broker = coalesce(p_broker, s.broker);
END
$$;

-- The version that the next token set of a connection gets.
CREATE FUNCTION vault.next_version(p_partner text, p_connection text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce((SELECT k.version FROM vault.credential k
                         WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE), 0) + 1;
END
$$;

-- Begins a link. An attempt of the same person for the same connection is replaced by it.
CREATE FUNCTION vault.link_start(
    p_partner text, p_connection text, p_broker text, p_subject text, p_session text, p_state_hash bytea,
    p_nonce_hash bytea, p_key_version bigint, p_verifier bytea, p_redirect_uri text, p_scopes text[],
    p_expires timestamptz, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_broker  text;
    v_outcome text := 'started';
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    INSERT INTO vault.connection (partner, connection, broker, created_by)
        VALUES (p_partner, p_connection, p_broker, p_subject) ON CONFLICT DO NOTHING;
    SELECT c.broker INTO v_broker FROM vault.connection c WHERE c.partner = p_partner AND c.connection = p_connection;
    IF v_broker <> p_broker THEN
        v_outcome := 'broker_differs';
    ELSE
        INSERT INTO vault.link (partner, connection, state)
            SELECT p_partner, p_connection, CASE WHEN EXISTS (
                SELECT FROM vault.credential k WHERE k.partner = p_partner AND k.connection = p_connection)
                THEN 'active' ELSE 'pending_link' END
            ON CONFLICT DO NOTHING;
        INSERT INTO vault.link_attempt (partner, connection, subject, session, state_hash, nonce_hash, key_version,
                                        verifier_sealed, redirect_uri, scopes, expires_at)
            VALUES (p_partner, p_connection, p_subject, p_session, p_state_hash, p_nonce_hash, p_key_version,
                    p_verifier, p_redirect_uri, p_scopes, p_expires)
            ON CONFLICT (partner, connection, subject) DO UPDATE SET
                session = excluded.session, state_hash = excluded.state_hash, nonce_hash = excluded.nonce_hash,
                key_version = excluded.key_version, verifier_sealed = excluded.verifier_sealed,
                redirect_uri = excluded.redirect_uri, scopes = excluded.scopes, expires_at = excluded.expires_at,
                used_at = NULL;
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.link',
        CASE v_outcome WHEN 'started' THEN 'success' ELSE 'denied' END, nullif(v_outcome, 'started'), p_key_version);
    RETURN v_outcome;
END
$$;

-- Takes up an attempt by its state, once, for the person and the session that began it. A state of nobody
-- in this partner is 'unknown', and nothing is recorded: it may be another partner's of the same person.
CREATE FUNCTION vault.link_take(
    p_partner text, p_state_hash bytea, p_subject text, p_session text, p_line text[]
)
    RETURNS TABLE (outcome text, connection text, broker text, key_version bigint, verifier_sealed bytea,
                   nonce_hash bytea, redirect_uri text, scopes text[], next_version bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_attempt vault.link_attempt;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_attempt FROM vault.link_attempt a
        WHERE a.partner = p_partner AND a.state_hash = p_state_hash FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'unknown';
        RETURN NEXT;
        RETURN;
    END IF;
    IF v_attempt.subject <> p_subject THEN
        outcome := 'other_person';
    ELSIF v_attempt.session <> p_session THEN
        outcome := 'other_session';
    ELSIF v_attempt.used_at IS NOT NULL THEN
        outcome := 'used';
    ELSIF v_attempt.expires_at <= clock_timestamp() THEN
        outcome := 'expired';
    ELSE
        outcome := 'taken';
        connection := v_attempt.connection;
        key_version := v_attempt.key_version;
        verifier_sealed := v_attempt.verifier_sealed;
        nonce_hash := v_attempt.nonce_hash;
        redirect_uri := v_attempt.redirect_uri;
        scopes := v_attempt.scopes;
        next_version := vault.next_version(p_partner, connection);
        SELECT c.broker INTO broker FROM vault.connection c
            WHERE c.partner = p_partner AND c.connection = v_attempt.connection;
        UPDATE vault.link_attempt a SET used_at = now(), key_version = NULL, verifier_sealed = NULL
            WHERE a.partner = p_partner AND a.state_hash = p_state_hash;
    END IF;
    PERFORM vault.append_audit(
        p_partner, v_attempt.connection, p_line, 'connection.callback',
        CASE outcome WHEN 'taken' THEN 'success' ELSE 'denied' END, nullif(outcome, 'taken'), v_attempt.key_version);
    RETURN NEXT;
END
$$;

-- Keeps what a broker gave for a link: as the credential, or for somebody else to approve. 'moved' says
-- that the connection has another version meanwhile, and which one to seal for.
CREATE FUNCTION vault.link_finish(
    p_partner text, p_connection text, p_subject text, p_version bigint, p_key_version bigint, p_access bytea,
    p_refresh bytea, p_access_expires timestamptz, p_refresh_expires timestamptz, p_relink timestamptz,
    p_scopes text[], p_approval_until timestamptz, p_line text[]
)
    RETURNS TABLE (outcome text, version bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_live boolean;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    -- Everything that changes a connection's state waits here for whoever else does.
    PERFORM FROM vault.link l WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    version := vault.next_version(p_partner, p_connection);
    IF version <> p_version THEN
        outcome := 'moved';
        RETURN NEXT;
        RETURN;
    END IF;
    IF p_approval_until IS NULL THEN
        PERFORM vault.put_credential(
            p_partner, p_connection, p_version, p_key_version, p_access, p_refresh, p_access_expires,
            p_refresh_expires, p_scopes, p_subject);
        UPDATE vault.link l SET linked_by = p_subject, linked_at = now(), approved_by = NULL, approved_at = NULL,
                                relink_at = p_relink
            WHERE l.partner = p_partner AND l.connection = p_connection;
        PERFORM vault.set_link_state(p_partner, p_connection, 'active', NULL);
        outcome := 'active';
    ELSE
        INSERT INTO vault.link_pending (partner, connection, version, key_version, access_sealed, refresh_sealed,
                                        access_expires_at, refresh_expires_at, relink_at, scopes, linked_by,
                                        linked_at, expires_at)
            VALUES (p_partner, p_connection, p_version, p_key_version, p_access, p_refresh, p_access_expires,
                    p_refresh_expires, p_relink, p_scopes, p_subject, now(), p_approval_until)
            ON CONFLICT (partner, connection) DO UPDATE SET
                version = excluded.version, key_version = excluded.key_version,
                access_sealed = excluded.access_sealed, refresh_sealed = excluded.refresh_sealed,
                access_expires_at = excluded.access_expires_at, refresh_expires_at = excluded.refresh_expires_at,
                relink_at = excluded.relink_at, scopes = excluded.scopes, linked_by = excluded.linked_by,
                linked_at = excluded.linked_at, expires_at = excluded.expires_at;
        SELECT l.state = 'active' INTO v_live FROM vault.link l
            WHERE l.partner = p_partner AND l.connection = p_connection;
        -- What was approved before goes on working until the new token set is approved in its place.
        IF NOT v_live THEN
            PERFORM vault.set_link_state(p_partner, p_connection, 'pending_approval', NULL);
        END IF;
        outcome := 'pending_approval';
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.linked', 'success', outcome, p_key_version);
    RETURN NEXT;
END
$$;

-- Writes a token set into the credential's row, made if need be.
CREATE FUNCTION vault.put_credential(
    p_partner text, p_connection text, p_version bigint, p_key_version bigint, p_access bytea, p_refresh bytea,
    p_access_expires timestamptz, p_refresh_expires timestamptz, p_scopes text[], p_subject text
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.credential (partner, connection, version, key_version, access_sealed, refresh_sealed,
                                  access_expires_at, refresh_expires_at, scopes, stored_by)
        VALUES (p_partner, p_connection, p_version, p_key_version, p_access, p_refresh,
                p_access_expires, p_refresh_expires, p_scopes, p_subject)
        ON CONFLICT (partner, connection) DO UPDATE SET
            version = excluded.version, key_version = excluded.key_version,
            access_sealed = excluded.access_sealed, refresh_sealed = excluded.refresh_sealed,
            access_expires_at = excluded.access_expires_at, refresh_expires_at = excluded.refresh_expires_at,
            scopes = excluded.scopes, stored_at = now(), stored_by = excluded.stored_by, idempotency = NULL;
END
$$;

-- Approves what was linked. The sealed values stay as they are while the connection is at the version they
-- were sealed for; 'moved' gives them out to be sealed for another, and p_version says for which they are.
CREATE FUNCTION vault.link_approve(
    p_partner text, p_connection text, p_subject text, p_version bigint, p_key_version bigint, p_access bytea,
    p_refresh bytea, p_line text[]
)
    RETURNS TABLE (outcome text, next_version bigint, version bigint, key_version bigint, access_sealed bytea,
                   refresh_sealed bytea)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_held vault.link_pending;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM FROM vault.link l WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    SELECT * INTO v_held FROM vault.link_pending h
        WHERE h.partner = p_partner AND h.connection = p_connection FOR UPDATE;
    next_version := vault.next_version(p_partner, p_connection);
    IF v_held.access_sealed IS NULL THEN
        outcome := CASE WHEN EXISTS (SELECT FROM vault.connection c
                            WHERE c.partner = p_partner AND c.connection = p_connection)
                        THEN 'nothing_pending' ELSE 'not_found' END;
    ELSIF v_held.linked_by = p_subject THEN
        outcome := 'own_link';
    ELSIF v_held.expires_at <= clock_timestamp() THEN
        outcome := 'approval_expired';
    ELSIF coalesce(p_version, v_held.version) <> next_version THEN
        outcome := 'moved';
        version := v_held.version;
        key_version := v_held.key_version;
        access_sealed := v_held.access_sealed;
        refresh_sealed := v_held.refresh_sealed;
        RETURN NEXT;
        RETURN;
    ELSE
        PERFORM vault.put_credential(
            p_partner, p_connection, next_version,
            CASE WHEN p_version IS NULL THEN v_held.key_version ELSE p_key_version END,
            CASE WHEN p_version IS NULL THEN v_held.access_sealed ELSE p_access END,
            CASE WHEN p_version IS NULL THEN v_held.refresh_sealed ELSE p_refresh END,
            v_held.access_expires_at, v_held.refresh_expires_at, v_held.scopes, v_held.linked_by);
        UPDATE vault.link l SET linked_by = v_held.linked_by, linked_at = v_held.linked_at,
                                approved_by = p_subject, approved_at = now(), relink_at = v_held.relink_at
            WHERE l.partner = p_partner AND l.connection = p_connection;
        UPDATE vault.link_pending h SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL
            WHERE h.partner = p_partner AND h.connection = p_connection;
        PERFORM vault.set_link_state(p_partner, p_connection, 'active', NULL);
        outcome := 'approved';
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.approve',
        CASE outcome WHEN 'approved' THEN 'success' ELSE 'denied' END, nullif(outcome, 'approved'),
        v_held.key_version);
    RETURN NEXT;
END
$$;

-- Ends a connection here and now, and queues what its broker still has to be told.
CREATE FUNCTION vault.revoke(p_partner text, p_connection text, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_connection vault.connection;
    v_outcome    text := 'revoked';
    v_state      text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_connection FROM vault.connection c WHERE c.partner = p_partner AND c.connection = p_connection;
    SELECT l.state INTO v_state FROM vault.link l
        WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    IF v_connection.partner IS NULL OR v_state = 'revoked' THEN
        v_outcome := 'not_found';
    ELSE
        INSERT INTO vault.revocation (partner, connection, version, broker, key_version, access_sealed, refresh_sealed)
            SELECT k.partner, k.connection, k.version, v_connection.broker, k.key_version, k.access_sealed,
                   k.refresh_sealed
                FROM vault.credential k
                WHERE k.partner = p_partner AND k.connection = p_connection AND k.access_sealed IS NOT NULL FOR UPDATE
            ON CONFLICT DO NOTHING;
        INSERT INTO vault.revocation (partner, connection, version, broker, key_version, access_sealed, refresh_sealed)
            SELECT h.partner, h.connection, h.version, v_connection.broker, h.key_version, h.access_sealed,
                   h.refresh_sealed
                FROM vault.link_pending h
                WHERE h.partner = p_partner AND h.connection = p_connection AND h.access_sealed IS NOT NULL FOR UPDATE
            ON CONFLICT DO NOTHING;
        UPDATE vault.credential k SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL,
                                      access_expires_at = NULL, refresh_expires_at = NULL, idempotency = NULL
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.link_pending h SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL
            WHERE h.partner = p_partner AND h.connection = p_connection;
        UPDATE vault.link_attempt a SET used_at = now(), key_version = NULL, verifier_sealed = NULL
            WHERE a.partner = p_partner AND a.connection = p_connection;
        PERFORM vault.set_link_state(p_partner, p_connection, 'revoked', NULL);
        UPDATE vault.schedule s SET due_at = NULL
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work IN ('refresh', 'relink');
        PERFORM vault.make_due(p_partner, p_connection, 'revoke', v_connection.broker, now());
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.revoke',
        CASE v_outcome WHEN 'revoked' THEN 'success' ELSE 'denied' END, nullif(v_outcome, 'revoked'), NULL);
    RETURN v_outcome;
END
$$;

-- What a broker still has to be told about one connection.
CREATE FUNCTION vault.revocations(p_partner text, p_connection text)
    RETURNS TABLE (version bigint, broker text, key_version bigint, access_sealed bytea, refresh_sealed bytea,
                   queued_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT r.version, r.broker, r.key_version, r.access_sealed, r.refresh_sealed, r.queued_at
        FROM vault.revocation r
        WHERE r.partner = p_partner AND r.connection = p_connection AND r.settled_at IS NULL ORDER BY r.version;
END
$$;

-- Says what came of telling the broker; either way the tokens are kept no longer.
CREATE FUNCTION vault.settle_revocation(
    p_partner text, p_connection text, p_version bigint, p_outcome text, p_line text[]
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.revocation r SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL,
                                  settled_at = now(), outcome = p_outcome
        WHERE r.partner = p_partner AND r.connection = p_connection AND r.version = p_version
          AND r.settled_at IS NULL;
    IF FOUND THEN
        PERFORM vault.append_audit(
            p_partner, p_connection, p_line, 'connection.revoked_at_broker',
            CASE p_outcome WHEN 'revoked' THEN 'success' ELSE 'failure' END, nullif(p_outcome, 'revoked'), NULL);
    END IF;
END
$$;

-- A release of a connection that was revoked finds nothing: its row is there for the sake of its version only.
CREATE OR REPLACE FUNCTION vault.broker_to_release(p_partner text, p_connection text, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_broker text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT c.broker INTO v_broker
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = p_connection AND k.access_sealed IS NOT NULL;
    IF NOT FOUND THEN
        PERFORM vault.append_audit(
            p_partner, p_connection, p_line, 'credential.release', 'denied', 'not_found', NULL);
    END IF;
    RETURN v_broker;
END
$$;

-- Connections as before, with the state each is in; one that is not linked yet has no version.
DROP FUNCTION vault.connections(text, text, text, integer, text, text[]);
CREATE FUNCTION vault.connections(
    p_partner text, p_connection text, p_after text, p_limit integer, p_event text, p_line text[]
)
    RETURNS TABLE (connection text, broker text, created_at timestamptz, created_by text, state text,
                   state_reason text, state_since timestamptz, linked_by text, linked_at timestamptz,
                   approved_by text, approved_at timestamptz, relink_at timestamptz, awaiting_approval boolean,
                   version bigint, key_version bigint, has_refresh_token boolean, access_expires_at timestamptz,
                   refresh_expires_at timestamptz, scopes text[], stored_at timestamptz, stored_by text,
                   last_released_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_found bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT c.connection, c.broker, c.created_at, c.created_by,
               coalesce(l.state, CASE WHEN k.access_sealed IS NULL THEN 'pending_link' ELSE 'active' END),
               l.reason, coalesce(l.since, c.created_at),
               coalesce(CASE WHEN h.access_sealed IS NULL THEN l.linked_by ELSE h.linked_by END, k.stored_by),
               CASE WHEN h.access_sealed IS NULL THEN l.linked_at ELSE h.linked_at END,
               l.approved_by, l.approved_at, l.relink_at, h.access_sealed IS NOT NULL,
               k.version, k.key_version, k.refresh_sealed IS NOT NULL,
               k.access_expires_at, k.refresh_expires_at, coalesce(k.scopes, '{}'),
               k.stored_at, k.stored_by,
               (SELECT a.recorded_at FROM vault.audit a
                    WHERE a.partner = c.partner AND a.connection = c.connection
                      AND a.event = 'credential.release' AND a.outcome = 'success'
                    ORDER BY a.seq DESC LIMIT 1)
        FROM vault.connection c
        LEFT JOIN vault.credential k USING (partner, connection)
        LEFT JOIN vault.link l USING (partner, connection)
        LEFT JOIN vault.link_pending h USING (partner, connection)
        WHERE c.partner = p_partner
          AND (p_connection IS NULL OR c.connection = p_connection)
          AND (p_after IS NULL OR c.connection > p_after)
        ORDER BY c.connection LIMIT p_limit;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, p_event,
        CASE WHEN v_found = 0 AND p_connection IS NOT NULL THEN 'denied' ELSE 'success' END,
        CASE WHEN v_found = 0 AND p_connection IS NOT NULL THEN 'not_found' END, NULL);
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO vault_app;
