-- What a review of 0003 to 0008 found. A function here replaces the one of the same name.

-- 1. Two token sets of one connection can be of the same version: one that waited for approval was sealed for the
-- version that a refresh then took, or a link came after a revocation. Each that is to be revoked at its broker has a
-- number of its own, so that none is dropped in favour of another.
ALTER TABLE vault.revocation NO FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.revocation ADD COLUMN number bigint NOT NULL DEFAULT 1;
UPDATE vault.revocation SET number = version;
ALTER TABLE vault.revocation DROP CONSTRAINT revocation_pkey;
ALTER TABLE vault.revocation ADD PRIMARY KEY (partner, connection, number);
ALTER TABLE vault.revocation FORCE ROW LEVEL SECURITY;

CREATE FUNCTION vault.queue_revocation(
    p_partner text, p_connection text, p_version bigint, p_broker text, p_key_version bigint, p_access bytea,
    p_refresh bytea
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.revocation (partner, connection, number, version, broker, key_version, access_sealed,
                                  refresh_sealed)
        VALUES (p_partner, p_connection,
                (SELECT coalesce(max(r.number), 0) + 1 FROM vault.revocation r
                     WHERE r.partner = p_partner AND r.connection = p_connection),
                p_version, p_broker, p_key_version, p_access, p_refresh);
END
$$;

DROP FUNCTION vault.revocations(text, text);
CREATE FUNCTION vault.revocations(p_partner text, p_connection text)
    RETURNS TABLE (number bigint, version bigint, broker text, key_version bigint, access_sealed bytea,
                   refresh_sealed bytea, queued_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT r.number, r.version, r.broker, r.key_version, r.access_sealed, r.refresh_sealed, r.queued_at
        FROM vault.revocation r
        WHERE r.partner = p_partner AND r.connection = p_connection AND r.settled_at IS NULL ORDER BY r.number;
END
$$;

DROP FUNCTION vault.settle_revocation(text, text, bigint, text, text[]);
CREATE FUNCTION vault.settle_revocation(
    p_partner text, p_connection text, p_number bigint, p_outcome text, p_line text[]
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.revocation r SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL,
                                  settled_at = now(), outcome = p_outcome
        WHERE r.partner = p_partner AND r.connection = p_connection AND r.number = p_number
          AND r.settled_at IS NULL;
    IF FOUND THEN
        PERFORM vault.append_audit(
            p_partner, p_connection, p_line, 'connection.revoked_at_broker',
            CASE p_outcome WHEN 'revoked' THEN 'success' ELSE 'failure' END, nullif(p_outcome, 'revoked'), NULL);
    END IF;
END
$$;

-- 2. Versions are counted over both row formats. A link that counted in the present one alone was older than what the
-- earlier format had, so what it replaced went on being given out.
CREATE OR REPLACE FUNCTION vault.next_version(p_partner text, p_connection text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN greatest(
        coalesce((SELECT k.version FROM vault.credential k
                      WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE), 0),
        coalesce((SELECT l.version FROM vault.legacy_credential l
                      WHERE l.partner = p_partner AND l.connection = p_connection), 0)) + 1;
END
$$;

-- Whoever writes a connection's token set while both formats are there: one after the other.
CREATE FUNCTION vault.lock_formats(p_partner text, p_connection text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner || '/' || p_connection, 20261124));
END
$$;

-- A connection that only the earlier format has is active: to begin linking it anew must not take away what it has.
CREATE OR REPLACE FUNCTION vault.link_start(
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
                OR EXISTS (
                SELECT FROM vault.legacy_credential e WHERE e.partner = p_partner AND e.connection = p_connection)
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

-- 3. A connection that was revoked while its link was being finished stays revoked: 'revoked', and nothing is kept.
CREATE OR REPLACE FUNCTION vault.link_finish(
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
    v_link vault.link;
    v_used timestamptz;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM vault.lock_formats(p_partner, p_connection);
    -- Everything that changes a connection's state waits here for whoever else does.
    SELECT * INTO v_link FROM vault.link l WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    SELECT a.used_at INTO v_used FROM vault.link_attempt a
        WHERE a.partner = p_partner AND a.connection = p_connection AND a.subject = p_subject;
    version := vault.next_version(p_partner, p_connection);
    -- A revocation uses up every attempt, at the moment from which it counts.
    IF v_link.state = 'revoked' AND v_used <= v_link.since THEN
        outcome := 'revoked';
        RETURN NEXT;
        RETURN;
    END IF;
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
        IF p_relink IS NOT NULL THEN
            PERFORM vault.make_due(p_partner, p_connection, 'relink', NULL, now());
        END IF;
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
        -- What was approved before goes on working until the new token set is approved in its place.
        IF v_link.state <> 'active' THEN
            PERFORM vault.set_link_state(p_partner, p_connection, 'pending_approval', NULL);
        END IF;
        outcome := 'pending_approval';
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.linked', 'success', outcome, p_key_version);
    RETURN NEXT;
END
$$;

-- 4. What was sealed anew for another version is of the very token set that is approved: p_held is the SHA-256 of the
-- sealed value it was made from. Another one may have come to wait in its place meanwhile.
DROP FUNCTION vault.link_approve(text, text, text, bigint, bigint, bytea, bytea, text[]);
CREATE FUNCTION vault.link_approve(
    p_partner text, p_connection text, p_subject text, p_version bigint, p_key_version bigint, p_access bytea,
    p_refresh bytea, p_held bytea, p_line text[]
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
    PERFORM vault.lock_formats(p_partner, p_connection);
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
    ELSIF coalesce(p_version, v_held.version) <> next_version
       OR (p_version IS NOT NULL AND sha256(v_held.access_sealed) IS DISTINCT FROM p_held) THEN
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
        IF v_held.relink_at IS NOT NULL THEN
            PERFORM vault.make_due(p_partner, p_connection, 'relink', NULL, now());
        END IF;
        outcome := 'approved';
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.approve',
        CASE outcome WHEN 'approved' THEN 'success' ELSE 'denied' END, nullif(outcome, 'approved'),
        v_held.key_version);
    RETURN NEXT;
END
$$;

-- 5. Revoking leaves a wiped row that is newer than what the earlier format has, so that neither a back-fill nor a step
-- back between formats brings the connection to life again.
CREATE OR REPLACE FUNCTION vault.revoke(p_partner text, p_connection text, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_connection vault.connection;
    v_held       record;
    v_outcome    text := 'revoked';
    v_state      text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM vault.lock_formats(p_partner, p_connection);
    SELECT * INTO v_connection FROM vault.connection c WHERE c.partner = p_partner AND c.connection = p_connection;
    SELECT l.state INTO v_state FROM vault.link l
        WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    IF v_connection.partner IS NULL OR v_state = 'revoked' THEN
        v_outcome := 'not_found';
    ELSE
        FOR v_held IN
            SELECT k.version, k.key_version, k.access_sealed, k.refresh_sealed FROM vault.credential k
                WHERE k.partner = p_partner AND k.connection = p_connection AND k.access_sealed IS NOT NULL FOR UPDATE
        LOOP
            PERFORM vault.queue_revocation(p_partner, p_connection, v_held.version, v_connection.broker,
                                           v_held.key_version, v_held.access_sealed, v_held.refresh_sealed);
        END LOOP;
        FOR v_held IN
            SELECT h.version, h.key_version, h.access_sealed, h.refresh_sealed FROM vault.link_pending h
                WHERE h.partner = p_partner AND h.connection = p_connection AND h.access_sealed IS NOT NULL FOR UPDATE
        LOOP
            PERFORM vault.queue_revocation(p_partner, p_connection, v_held.version, v_connection.broker,
                                           v_held.key_version, v_held.access_sealed, v_held.refresh_sealed);
        END LOOP;
        INSERT INTO vault.credential AS k (partner, connection, version, scopes, stored_by)
            SELECT e.partner, e.connection, e.version + 1, '{}', e.stored_by FROM vault.legacy_credential e
                WHERE e.partner = p_partner AND e.connection = p_connection
            ON CONFLICT (partner, connection) DO UPDATE SET version = greatest(k.version, excluded.version);
        UPDATE vault.credential k SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL,
                                      access_expires_at = NULL, refresh_expires_at = NULL, idempotency = NULL
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.link_pending h SET key_version = NULL, access_sealed = NULL, refresh_sealed = NULL
            WHERE h.partner = p_partner AND h.connection = p_connection;
        UPDATE vault.link_attempt a SET used_at = now(), key_version = NULL, verifier_sealed = NULL
            WHERE a.partner = p_partner AND a.connection = p_connection;
        PERFORM vault.set_link_state(p_partner, p_connection, 'revoked', NULL);
        UPDATE vault.schedule s SET due_at = NULL, asked = true
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work IN ('refresh', 'relink');
        PERFORM vault.make_due(p_partner, p_connection, 'revoke', v_connection.broker, now());
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'connection.revoke',
        CASE v_outcome WHEN 'revoked' THEN 'success' ELSE 'denied' END, nullif(v_outcome, 'revoked'), NULL);
    RETURN v_outcome;
END
$$;

-- 6. A token set makes a connection active also when it is its first one. A connection that was revoked before it had
-- any stayed 'revoked' when one was stored, gave it out, and could not be revoked any more.
CREATE OR REPLACE FUNCTION vault.plan_refresh() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_life interval := NEW.access_expires_at - clock_timestamp();
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version = OLD.version AND NEW.access_sealed IS NOT NULL THEN
        RETURN NEW;
    END IF;
    NEW.refresh_by := NULL;
    IF NEW.refresh_sealed IS NOT NULL AND v_life IS NOT NULL THEN
        NEW.refresh_by := NEW.access_expires_at - least(greatest(v_life, interval '0') / 10, interval '2 minutes');
        INSERT INTO vault.schedule AS s (partner, connection, work, broker, due_at)
            SELECT c.partner, c.connection, 'refresh', c.broker,
                   clock_timestamp() + greatest(v_life, interval '0') * (0.8 - 0.1 * random())
                FROM vault.connection c WHERE c.partner = NEW.partner AND c.connection = NEW.connection
            ON CONFLICT (partner, connection, work) DO UPDATE SET
                due_at = excluded.due_at, attempts = 0, asked = true;
    ELSE
        UPDATE vault.schedule s SET due_at = NULL, asked = true
            WHERE s.partner = NEW.partner AND s.connection = NEW.connection AND s.work = 'refresh';
    END IF;
    IF NEW.access_sealed IS NOT NULL THEN
        -- A fresh token set is what a broken or revoked connection was waiting for.
        UPDATE vault.link l SET state = 'active', reason = NULL, since = now()
            WHERE l.partner = NEW.partner AND l.connection = NEW.connection AND l.state <> 'active';
    END IF;
    RETURN NEW;
END
$$;

-- 7. Work that somebody asks for while somebody else is at it is due again when they are through: `asked` says that it
-- was asked for since the claim began.
ALTER TABLE vault.schedule ADD COLUMN asked boolean NOT NULL DEFAULT false;
GRANT UPDATE (asked) ON vault.schedule TO vault_app;

CREATE OR REPLACE FUNCTION vault.make_due(
    p_partner text, p_connection text, p_work text, p_broker text, p_due timestamptz
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.schedule AS s (partner, connection, work, broker, due_at)
        VALUES (p_partner, p_connection, p_work, p_broker, p_due)
        ON CONFLICT (partner, connection, work) DO UPDATE SET
            due_at = least(s.due_at, p_due), broker = coalesce(p_broker, s.broker), asked = true;
END
$$;

CREATE OR REPLACE FUNCTION vault.claim_due(p_work text, p_limit integer, p_lease interval)
    RETURNS TABLE (partner text, connection text, broker text, fence bigint, attempts integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        -- Materialized: a join may otherwise look a second time, and lock further rows.
        WITH due AS MATERIALIZED (
            SELECT d.partner, d.connection FROM vault.schedule d
                WHERE d.work = p_work AND d.due_at <= clock_timestamp()
                  AND (d.claimed_until IS NULL OR d.claimed_until <= clock_timestamp())
                  AND NOT EXISTS (SELECT FROM vault.circuit o
                                      WHERE o.broker = d.broker AND o.open_until > clock_timestamp())
                ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
        UPDATE vault.schedule s SET fence = s.fence + 1, claimed_until = clock_timestamp() + p_lease, asked = false
        FROM due WHERE s.partner = due.partner AND s.connection = due.connection AND s.work = p_work
        RETURNING s.partner, s.connection, s.broker, s.fence, s.attempts;
END
$$;

CREATE OR REPLACE FUNCTION vault.claim_refresh(
    p_partner text, p_connection text, p_version bigint, p_lease interval
)
    RETURNS TABLE (outcome text, fence bigint, broker text, attempts integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_row vault.schedule;
    v_now bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_row FROM vault.schedule s
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' FOR UPDATE;
    broker := v_row.broker;
    attempts := v_row.attempts;
    SELECT k.version INTO v_now FROM vault.credential k WHERE k.partner = p_partner AND k.connection = p_connection;
    IF v_now IS DISTINCT FROM p_version THEN
        -- Somebody refreshed it while we waited for the row.
        outcome := 'done';
    ELSIF v_row.partner IS NULL OR v_row.due_at IS NULL THEN
        outcome := 'none';
    ELSIF v_row.claimed_until > clock_timestamp() THEN
        outcome := 'busy';
    ELSIF (v_row.attempts > 0 AND v_row.due_at > clock_timestamp())
       OR EXISTS (SELECT FROM vault.circuit o WHERE o.broker = v_row.broker AND o.open_until > clock_timestamp()) THEN
        outcome := 'later';
    ELSE
        UPDATE vault.schedule s SET fence = s.fence + 1, claimed_until = clock_timestamp() + p_lease, asked = false
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh'
            RETURNING s.fence INTO fence;
        outcome := 'taken';
    END IF;
    RETURN NEXT;
END
$$;

CREATE OR REPLACE FUNCTION vault.release_claim(
    p_partner text, p_connection text, p_work text, p_fence bigint, p_due timestamptz, p_attempts integer
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE vault.schedule s SET
        due_at = CASE WHEN NOT s.asked THEN p_due WHEN s.due_at IS NULL THEN NULL ELSE least(s.due_at, p_due) END,
        claimed_until = NULL, attempts = p_attempts
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = p_work AND s.fence = p_fence;
    RETURN FOUND;
END
$$;

-- 8. The claim begins anew right before the token is sent. Until then a slow holder of keys may have used most of it up,
-- and whoever came next would have sent the same token a second time while the first answer was on its way.
DROP FUNCTION vault.refresh_sending(text, text, bigint);
CREATE FUNCTION vault.refresh_sending(p_partner text, p_connection text, p_fence bigint, p_lease interval)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.schedule s SET claimed_until = clock_timestamp() + p_lease
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh'
          AND s.fence = p_fence AND s.claimed_until > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE vault.refresh_intent i SET phase = 'sent', at = now()
        WHERE i.partner = p_partner AND i.connection = p_connection AND i.fence = p_fence;
    RETURN FOUND;
END
$$;

-- 9. What the earlier format has a newer version of is not refreshed: it would come to be the newest one again.
CREATE OR REPLACE FUNCTION vault.refresh_begin(p_partner text, p_connection text, p_fence bigint)
    RETURNS TABLE (outcome text, broker text, version bigint, key_version bigint, refresh_sealed bytea,
                   access_expires_at timestamptz, refresh_expires_at timestamptz, scopes text[],
                   stored_at timestamptz, refresh_by timestamptz, state text, interrupted integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_before vault.refresh_intent;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM FROM vault.schedule s WHERE s.partner = p_partner AND s.connection = p_connection
        AND s.work = 'refresh' AND s.fence = p_fence FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'fenced';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT c.broker, k.version, k.key_version, k.refresh_sealed, k.access_expires_at, k.refresh_expires_at, k.scopes,
           k.stored_at, k.refresh_by, coalesce(l.state, 'active')
        INTO broker, version, key_version, refresh_sealed, access_expires_at, refresh_expires_at, scopes,
             stored_at, refresh_by, state
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
        LEFT JOIN vault.link l USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = p_connection AND k.refresh_sealed IS NOT NULL
          AND NOT EXISTS (SELECT FROM vault.legacy_credential e WHERE e.partner = p_partner
                              AND e.connection = p_connection AND e.version > k.version);
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_before FROM vault.refresh_intent i
        WHERE i.partner = p_partner AND i.connection = p_connection FOR UPDATE;
    interrupted := CASE WHEN v_before.version = version AND v_before.phase <> 'settled'
                        THEN v_before.interrupted + (v_before.phase = 'sent')::integer
                        WHEN v_before.version = version AND v_before.outcome IN ('uncertain', 'deferred')
                        THEN v_before.interrupted
                        ELSE 0 END;
    INSERT INTO vault.refresh_intent AS i (partner, connection, fence, version, phase, interrupted)
        VALUES (p_partner, p_connection, p_fence, version, 'claimed', interrupted)
        ON CONFLICT (partner, connection) DO UPDATE SET
            fence = excluded.fence, version = excluded.version, phase = 'claimed',
            interrupted = excluded.interrupted, at = now(), outcome = NULL;
    outcome := 'go';
    RETURN NEXT;
END
$$;

CREATE OR REPLACE FUNCTION vault.refresh_commit(
    p_partner text, p_connection text, p_fence bigint, p_version bigint, p_key_version bigint, p_access bytea,
    p_refresh bytea, p_access_expires timestamptz, p_refresh_expires timestamptz, p_scopes text[],
    p_due timestamptz, p_refresh_by timestamptz, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now      vault.credential;
    v_fence    bigint;
    v_outcome  text := 'committed';
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    -- In the order in which everybody else takes them: link, credential, schedule.
    SELECT * INTO v_now FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
    SELECT s.fence INTO v_fence FROM vault.schedule s
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' FOR UPDATE;
    IF v_now.access_sealed IS NULL THEN
        v_outcome := 'gone';
    ELSIF v_now.version <> p_version OR EXISTS (
            SELECT FROM vault.legacy_credential e
                WHERE e.partner = p_partner AND e.connection = p_connection AND e.version > p_version) THEN
        v_outcome := 'superseded';
    ELSIF v_fence <> p_fence THEN
        v_outcome := 'fenced';
    ELSE
        UPDATE vault.credential k SET
            version = p_version + 1, key_version = p_key_version, access_sealed = p_access,
            refresh_sealed = p_refresh, access_expires_at = p_access_expires, refresh_expires_at = p_refresh_expires,
            scopes = p_scopes, stored_at = now(), stored_by = 'refresh', idempotency = NULL
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.credential k SET refresh_by = p_refresh_by
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.schedule s SET due_at = p_due, claimed_until = NULL, attempts = 0
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh';
    END IF;
    UPDATE vault.refresh_intent i SET phase = 'settled', outcome = v_outcome
        WHERE i.partner = p_partner AND i.connection = p_connection AND i.fence = p_fence;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'credential.refresh',
        CASE v_outcome WHEN 'committed' THEN 'success' ELSE 'failure' END, nullif(v_outcome, 'committed'),
        p_key_version);
    RETURN v_outcome;
END
$$;

-- Rows in the same order here, so that a refresh and a link of the same connection do not wait for each other.
CREATE OR REPLACE FUNCTION vault.refresh_fail(
    p_partner text, p_connection text, p_fence bigint, p_version bigint, p_reason text, p_final boolean,
    p_uncertain boolean, p_due timestamptz, p_hold timestamptz, p_alert text, p_kind text, p_detail jsonb,
    p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now     vault.credential;
    v_fence   bigint;
    v_outcome text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM FROM vault.link l WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    SELECT * INTO v_now FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
    SELECT s.fence INTO v_fence FROM vault.schedule s
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' FOR UPDATE;
    IF v_now.access_sealed IS NULL THEN
        v_outcome := 'gone';
    ELSIF v_now.version <> p_version THEN
        v_outcome := 'superseded';
    ELSIF v_fence IS DISTINCT FROM p_fence THEN
        v_outcome := 'fenced';
    ELSIF p_final THEN
        v_outcome := 'reconnect_needed';
        PERFORM vault.set_link_state(p_partner, p_connection, 'reconnect_needed', p_reason);
        UPDATE vault.credential k SET refresh_by = NULL
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.schedule s SET due_at = NULL, claimed_until = NULL
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh';
    ELSE
        v_outcome := 'retry';
        UPDATE vault.credential k SET refresh_by = p_hold
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.schedule s SET due_at = p_due, claimed_until = NULL, attempts = s.attempts + 1
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh';
    END IF;
    IF v_outcome IN ('gone', 'superseded') THEN
        UPDATE vault.schedule s SET claimed_until = NULL
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' AND s.fence = p_fence;
    END IF;
    UPDATE vault.refresh_intent i SET
        phase = 'settled', outcome = CASE WHEN p_uncertain THEN 'uncertain' ELSE v_outcome END,
        interrupted = i.interrupted + (p_uncertain AND v_outcome = 'retry')::integer
        WHERE i.partner = p_partner AND i.connection = p_connection AND i.fence = p_fence;
    IF p_kind IS NOT NULL AND v_outcome IN ('reconnect_needed', 'retry') THEN
        PERFORM vault.raise_alert(
            p_partner, p_alert, format('%s/%s/%s', p_connection, p_kind, p_version), p_kind, p_connection, p_detail);
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'credential.refresh', 'failure',
        CASE WHEN v_outcome IN ('reconnect_needed', 'retry') THEN p_reason ELSE v_outcome END, v_now.key_version);
    RETURN v_outcome;
END
$$;

-- Only 'revoked' hides what the earlier format has: the other states are about a link that is not finished, and what
-- was there before goes on working meanwhile.
CREATE OR REPLACE FUNCTION vault.legacy_heads(p_partner text, p_connections text[])
    RETURNS TABLE (connection text, broker text, legacy bigint, present bigint, access_expires_at timestamptz,
                   refresh_expires_at timestamptz, scopes text[], stored_at timestamptz, stored_by text)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT c.connection, c.broker, CASE k.state WHEN 'revoked' THEN 0 ELSE coalesce(l.version, 0) END,
               coalesce(n.version, 0), l.access_expires_at, l.refresh_expires_at, l.scopes, l.stored_at, l.stored_by
        FROM vault.connection c
        LEFT JOIN vault.legacy_credential l USING (partner, connection)
        LEFT JOIN vault.credential n USING (partner, connection)
        LEFT JOIN vault.link k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = ANY (p_connections);
END
$$;

CREATE FUNCTION vault.legacy_active() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As in plan_refresh, for a phase that writes the earlier format alone.
    UPDATE vault.link l SET state = 'active', reason = NULL, since = now()
        WHERE l.partner = NEW.partner AND l.connection = NEW.connection AND l.state <> 'active';
    RETURN NEW;
END
$$;
CREATE TRIGGER active BEFORE INSERT OR UPDATE OF version ON vault.legacy_credential
    FOR EACH ROW EXECUTE FUNCTION vault.legacy_active();

-- 10. A partner that was shredded has nothing left to rotate or to move, and must not hold up those that have.
ALTER TABLE vault.partner ADD COLUMN shredded_at timestamptz;
GRANT UPDATE (shredded_at) ON vault.partner TO vault_app;

-- What the earlier format holds is under one key for everybody, which the loss of a salt does not touch: it is
-- overwritten. Answers how many rows that were.
CREATE FUNCTION vault.shred_partner(p_partner text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_empty  bytea := decode(repeat('00', 31), 'hex');
    v_rows   bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.legacy_credential e SET payload = v_empty WHERE e.partner = p_partner AND e.payload <> v_empty;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    UPDATE vault.partner p SET shredded_at = coalesce(p.shredded_at, now()) WHERE p.partner = p_partner;
    RETURN v_rows;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.queue_revocation(text, text, bigint, text, bigint, bytea, bytea),
    vault.revocations(text, text),
    vault.settle_revocation(text, text, bigint, text, text[]),
    vault.lock_formats(text, text),
    vault.link_approve(text, text, text, bigint, bigint, bytea, bytea, bytea, text[]),
    vault.refresh_sending(text, text, bigint, interval),
    vault.legacy_active(),
    vault.shred_partner(text)
    TO vault_app;
