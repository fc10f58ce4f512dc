-- What the application calls: one function for each thing a request does, so that setting the tenant,
-- the work and the audit line are one round trip and one transaction. All of them run with the rights
-- of their caller and under the row security of their tables.
--
-- The audit line comes in eight pieces (vault_api/trail/line.py cuts them) around the values that are
-- only known here: hash, key version, outcome, previous hash, reason, sequence number, time.

CREATE FUNCTION vault.append_audit(
    p_partner text, p_connection text, p_line text[], p_event text, p_outcome text, p_reason text,
    p_key_version bigint
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_seq  bigint;
    v_prev text;
    v_now  timestamptz;
    v_head text;
    v_tail text;
    v_hash text;
BEGIN
    IF coalesce(array_length(p_line, 1), 0) <> 8 THEN
        RAISE EXCEPTION 'an audit line comes in eight pieces' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- One writer at a time for each chain. The lock ends after the commit is visible, so the next
    -- statement of whoever waited here, which sees with a new snapshot, finds the new head. Were the
    -- lock ever missed, the primary key would refuse the second line of the same number.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner, 20261122));
    SELECT a.seq, a.hash INTO v_seq, v_prev
        FROM vault.audit a WHERE a.partner = p_partner ORDER BY a.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        v_seq := 0;
        v_prev := repeat('0', 64);
        INSERT INTO vault.shipping (chain) VALUES (p_partner) ON CONFLICT DO NOTHING;
    END IF;
    v_seq := v_seq + 1;
    v_now := clock_timestamp();
    v_head := p_line[1];
    v_tail := p_line[2] || coalesce(p_key_version::text, 'null')
           || p_line[3] || p_outcome
           || p_line[4] || v_prev
           || p_line[5] || coalesce(to_json(p_reason)::text, 'null')
           || p_line[6] || v_seq::text
           || p_line[7] || to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || p_line[8];
    v_hash := encode(sha256(decode(v_prev, 'hex') || convert_to(v_head || v_tail, 'UTF8')), 'hex');
    INSERT INTO vault.audit (partner, seq, recorded_at, event, outcome, connection, hash, line)
        VALUES (p_partner, v_seq, v_now, p_event, p_outcome, p_connection, v_hash,
                v_head || '"hash":"' || v_hash || '",' || v_tail);
    RETURN v_seq;
END
$$;

-- A denial or a failure: nothing is done, and that is recorded.
CREATE FUNCTION vault.record(
    p_partner text, p_connection text, p_line text[], p_event text, p_outcome text, p_reason text,
    p_key_version bigint
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN vault.append_audit(p_partner, p_connection, p_line, p_event, p_outcome, p_reason, p_key_version);
END
$$;

-- The credential to release. p_ready: the key versions that the caller could open it with right now; of
-- another one only the number is answered, and nothing is recorded, so that "success" is never said of
-- a release that then fails for want of a key.
CREATE FUNCTION vault.release(p_partner text, p_connection text, p_ready bigint[], p_line text[])
    RETURNS TABLE (outcome text, broker text, version bigint, key_version bigint, sealed bytea,
                   expires_at timestamptz, scopes text[])
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT c.broker, k.version, k.key_version, k.access_sealed, k.access_expires_at, k.scopes
        INTO broker, version, key_version, sealed, expires_at, scopes
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = p_connection;
    IF NOT FOUND THEN
        outcome := 'not_found';
    ELSIF expires_at <= clock_timestamp() THEN
        outcome := 'expired';
        sealed := NULL;
    ELSIF key_version <> ALL (p_ready) THEN
        outcome := 'key_needed';
        sealed := NULL;
        RETURN NEXT;
        RETURN;
    ELSE
        outcome := 'success';
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'credential.release',
        CASE outcome WHEN 'success' THEN 'success' ELSE 'denied' END, nullif(outcome, 'success'), key_version);
    RETURN NEXT;
END
$$;

-- Stores a token set as version p_expected + 1; p_expected = 0 means that there must be none yet.
-- A repetition of the store that made the present version (same caller, same Idempotency-Key) answers
-- 'replayed' with what is sealed there; the caller compares it with what was sent.
CREATE FUNCTION vault.store(
    p_partner text, p_connection text, p_expected bigint, p_broker text, p_key_version bigint,
    p_access bytea, p_refresh bytea, p_access_expires timestamptz, p_refresh_expires timestamptz,
    p_scopes text[], p_idempotency bytea, p_subject text, p_line text[]
)
    RETURNS TABLE (outcome text, broker text, version bigint, key_version bigint, access_sealed bytea,
                   refresh_sealed bytea, access_expires_at timestamptz, refresh_expires_at timestamptz,
                   scopes text[], stored_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_broker text;
    v_now    vault.credential;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_now FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
    IF v_now.partner IS NULL AND p_expected = 0 THEN
        INSERT INTO vault.connection (partner, connection, broker, created_by)
            VALUES (p_partner, p_connection, p_broker, p_subject) ON CONFLICT DO NOTHING;
        SELECT c.broker INTO v_broker FROM vault.connection c
            WHERE c.partner = p_partner AND c.connection = p_connection;
        IF v_broker = p_broker THEN
            INSERT INTO vault.credential (partner, connection, version, key_version, access_sealed, refresh_sealed,
                                          access_expires_at, refresh_expires_at, scopes, stored_by, idempotency)
                VALUES (p_partner, p_connection, 1, p_key_version, p_access, p_refresh,
                        p_access_expires, p_refresh_expires, p_scopes, p_subject, p_idempotency)
                ON CONFLICT DO NOTHING;
            IF FOUND THEN
                outcome := 'created';
            ELSE
                -- Somebody else's first store won while this one waited; it is judged like any later one.
                SELECT * INTO v_now FROM vault.credential k
                    WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
            END IF;
        ELSE
            outcome := 'broker_differs';
        END IF;
    ELSIF v_now.partner IS NULL THEN
        outcome := 'not_found';
    ELSE
        SELECT c.broker INTO v_broker FROM vault.connection c
            WHERE c.partner = p_partner AND c.connection = p_connection;
    END IF;

    IF outcome IS NULL THEN
        IF v_now.idempotency = p_idempotency AND v_now.version = p_expected + 1 THEN
            outcome := 'replayed';
        ELSIF v_now.version <> p_expected THEN
            outcome := 'precondition_failed';
        ELSIF v_broker <> p_broker THEN
            outcome := 'broker_differs';
        ELSE
            UPDATE vault.credential k SET
                version = p_expected + 1, key_version = p_key_version,
                access_sealed = p_access, refresh_sealed = p_refresh,
                access_expires_at = p_access_expires, refresh_expires_at = p_refresh_expires,
                scopes = p_scopes, stored_at = now(), stored_by = p_subject, idempotency = p_idempotency
                WHERE k.partner = p_partner AND k.connection = p_connection;
            outcome := 'replaced';
        END IF;
    END IF;

    broker := v_broker;
    SELECT k.version, k.key_version, k.access_expires_at, k.refresh_expires_at, k.scopes, k.stored_at
        INTO version, key_version, access_expires_at, refresh_expires_at, scopes, stored_at
        FROM vault.credential k WHERE k.partner = p_partner AND k.connection = p_connection;
    IF outcome = 'replayed' THEN
        access_sealed := v_now.access_sealed;
        refresh_sealed := v_now.refresh_sealed;
    END IF;
    PERFORM vault.append_audit(
        p_partner, p_connection, p_line, 'credential.store',
        CASE WHEN outcome IN ('created', 'replaced', 'replayed') THEN 'success' ELSE 'denied' END, outcome, key_version);
    RETURN NEXT;
END
$$;

-- What there is to know about connections without opening anything: one of them, or a page of them all.
CREATE FUNCTION vault.connections(
    p_partner text, p_connection text, p_after text, p_limit integer, p_event text, p_line text[]
)
    RETURNS TABLE (connection text, broker text, created_at timestamptz, created_by text, version bigint,
                   key_version bigint, has_refresh_token boolean, access_expires_at timestamptz,
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
        SELECT c.connection, c.broker, c.created_at, c.created_by, k.version, k.key_version,
               k.refresh_sealed IS NOT NULL, k.access_expires_at, k.refresh_expires_at, k.scopes,
               k.stored_at, k.stored_by,
               (SELECT a.recorded_at FROM vault.audit a
                    WHERE a.partner = c.partner AND a.connection = c.connection
                      AND a.event = 'credential.release' AND a.outcome = 'success'
                    ORDER BY a.seq DESC LIMIT 1)
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
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

-- A page of a partner's trail after sequence number p_after, with the hash before it and the head. The
-- reading itself is recorded first, so a page can hold the line about its own reading.
CREATE FUNCTION vault.read_audit(p_partner text, p_after bigint, p_limit integer, p_line text[])
    RETURNS TABLE (prev text, lines text[], head_seq bigint, head_hash text, shipped_seq bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'audit.read', 'success', NULL, NULL);
    SELECT a.hash INTO prev FROM vault.audit a WHERE a.partner = p_partner AND a.seq = p_after;
    SELECT array_agg(page.line ORDER BY page.seq) INTO lines FROM (
        SELECT a.seq, a.line FROM vault.audit a
            WHERE a.partner = p_partner AND a.seq > p_after ORDER BY a.seq LIMIT p_limit) page;
    SELECT a.seq, a.hash INTO head_seq, head_hash FROM vault.audit a
        WHERE a.partner = p_partner ORDER BY a.seq DESC LIMIT 1;
    SELECT s.seq INTO shipped_seq FROM vault.shipping s WHERE s.chain = p_partner;
    RETURN NEXT;
END
$$;

-- Every key that ever sealed something of a partner.
CREATE FUNCTION vault.key_contexts(p_partner text)
    RETURNS TABLE (key_version bigint, root_version bigint, fingerprint bytea)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT x.key_version, x.root_version, x.fingerprint
        FROM vault.key_context x WHERE x.partner = p_partner ORDER BY x.key_version;
END
$$;

-- Pins a key at its first use and answers what is pinned, which may be what somebody else pinned first.
CREATE FUNCTION vault.pin_key(p_partner text, p_key_version bigint, p_root_version bigint, p_fingerprint bytea)
    RETURNS TABLE (root_version bigint, fingerprint bytea)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    INSERT INTO vault.key_context (partner, key_version, root_version, fingerprint)
        VALUES (p_partner, p_key_version, p_root_version, p_fingerprint) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT x.root_version, x.fingerprint FROM vault.key_context x
        WHERE x.partner = p_partner AND x.key_version = p_key_version;
END
$$;

-- Lines that no file has yet, in the order of their chains: at most p_limit, at most p_each of one chain,
-- of the chains named or of all of them.
CREATE FUNCTION vault.unshipped(p_chains text[], p_limit integer, p_each integer)
    RETURNS TABLE (chain text, seq bigint, recorded_at timestamptz, line text)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_chain record;
    v_found bigint;
    v_left  bigint := p_limit;
BEGIN
    FOR v_chain IN SELECT s.chain, s.seq FROM vault.shipping s
            WHERE p_chains IS NULL OR s.chain = ANY (p_chains) ORDER BY s.chain LOOP
        -- One tenant after the other: even the shipper sees one at a time.
        PERFORM set_config('vault.partner', v_chain.chain, true);
        RETURN QUERY SELECT a.partner, a.seq, a.recorded_at, a.line FROM vault.audit a
            WHERE a.partner = v_chain.chain AND a.seq > v_chain.seq
            ORDER BY a.seq LIMIT least(v_left, p_each);
        GET DIAGNOSTICS v_found = ROW_COUNT;
        v_left := v_left - v_found;
        EXIT WHEN v_left <= 0;
    END LOOP;
END
$$;

-- Says that lines are on disk: for each chain the last one, and for the file how far it is accounted for.
CREATE FUNCTION vault.mark_shipped(p_chains text[], p_seqs bigint[], p_node text, p_file text, p_position bigint)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE vault.shipping s SET seq = greatest(s.seq, u.seq)
        FROM unnest(p_chains, p_seqs) AS u (chain, seq) WHERE s.chain = u.chain;
    INSERT INTO vault.shipped_file AS f (node, file, position) VALUES (p_node, p_file, p_position)
        ON CONFLICT (node, file) DO UPDATE SET position = excluded.position;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
-- Row security calls vault.tenant() and the trigger calls vault.only_forward() as whoever runs the statement.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO vault_app;
