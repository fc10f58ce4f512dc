-- What the compliance digest counts: a partner's own trail since a moment, and the ages of what it holds.
-- The trail has no index on time, which every release would have to pay for; numbers and times grow together,
-- so the first line since a moment is found by halving.

CREATE FUNCTION vault.digest_first(p_partner text, p_since timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_low  bigint := 1;
    v_high bigint;
    v_mid  bigint;
    v_at   timestamptz;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT coalesce(max(a.seq), 0) + 1 INTO v_high FROM vault.audit a WHERE a.partner = p_partner;
    WHILE v_low < v_high LOOP
        v_mid := (v_low + v_high) / 2;
        SELECT a.recorded_at INTO v_at FROM vault.audit a WHERE a.partner = p_partner AND a.seq = v_mid;
        IF v_at < p_since THEN
            v_low := v_mid + 1;
        ELSE
            v_high := v_mid;
        END IF;
    END LOOP;
    RETURN v_low;
END
$$;

-- Counts of p_rows lines from p_first on; `following` is where to go on, NULL at the end of p_until.
CREATE FUNCTION vault.digest_events(p_partner text, p_first bigint, p_rows bigint, p_until timestamptz)
    RETURNS TABLE (event text, outcome text, reason text, roles text, counted bigint, following bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_last bigint;
    v_next bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT max(a.seq) INTO v_last FROM vault.audit a
        WHERE a.partner = p_partner AND a.seq >= p_first AND a.seq < p_first + p_rows AND a.recorded_at < p_until;
    IF v_last = p_first + p_rows - 1 THEN
        v_next := p_first + p_rows;
    END IF;
    RETURN QUERY
        -- The lines are canonical JSON, so these members look the same in each of them.
        SELECT a.event, a.outcome, substring(a.line FROM '"reason":"([^"]*)'),
               substring(a.line FROM '"roles":\[([^]]*)\]'), count(*), v_next
            FROM vault.audit a
            WHERE a.partner = p_partner AND a.seq >= p_first AND a.seq < p_first + p_rows AND a.recorded_at < p_until
            GROUP BY 1, 2, 3, 4;
END
$$;

CREATE FUNCTION vault.digest_holdings(p_partner text)
    RETURNS TABLE (credentials bigint, expired bigint, oldest timestamptz, keys jsonb, leases bigint, irrevocable bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT count(*), count(*) FILTER (WHERE c.access_expires_at <= now()), min(c.stored_at)
        INTO credentials, expired, oldest
        FROM vault.credential c WHERE c.partner = p_partner AND c.access_sealed IS NOT NULL;
    SELECT coalesce(jsonb_agg(jsonb_build_object('version', k.key_version, 'pinned_at', k.pinned_at, 'rows',
               (SELECT count(*) FROM vault.credential c WHERE c.partner = k.partner AND c.key_version = k.key_version))
               ORDER BY k.key_version), '[]')
        INTO keys FROM vault.key_context k WHERE k.partner = p_partner;
    SELECT count(*), count(*) FILTER (WHERE l.irrevocable) INTO leases, irrevocable
        FROM vault.lease l WHERE l.partner = p_partner AND l.state <> 'ended';
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION vault.digest_first(text, timestamptz),
    vault.digest_events(text, bigint, bigint, timestamptz), vault.digest_holdings(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.digest_first(text, timestamptz),
    vault.digest_events(text, bigint, bigint, timestamptz), vault.digest_holdings(text) TO vault_app;
