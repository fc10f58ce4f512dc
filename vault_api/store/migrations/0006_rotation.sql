-- Rotation of keys: what was asked for, how far it has got, and a census of rows by key version.
--
--     waiting ─ salt ─▶ settling ─ salt still there, key pinned, made current ─▶ sealing ─▶ draining ─▶ done │ failed
--
-- Serving processes ask for rotations and read about them; vault_rotator, whom only the worker is, does
-- them, one tenant at a time. Nobody may delete here, and nobody may change a partner's pins.

CREATE TABLE vault.rotation (
    rotation     uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    kind         text        NOT NULL CHECK (kind IN ('partner', 'root')),
    dry_run      boolean     NOT NULL,
    state        text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'aborted', 'completed')),
    reason       text,
    stages       text[]      NOT NULL CHECK (array_length(stages, 1) BETWEEN 1 AND 10),
    stage        integer     NOT NULL DEFAULT 1,
    requested_by text        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
-- Two at once would each wait for rows that the other moves on.
CREATE UNIQUE INDEX rotation_one ON vault.rotation ((true)) WHERE state IN ('running', 'paused') AND NOT dry_run;

-- A partner's turn. `fence` counts the claims: whoever comes back with an older number is not listened to.
CREATE TABLE vault.rotation_partner (
    rotation      uuid        NOT NULL REFERENCES vault.rotation,
    partner       text        NOT NULL,
    stage         integer     NOT NULL,
    state         text        NOT NULL DEFAULT 'waiting'
                              CHECK (state IN ('waiting', 'settling', 'sealing', 'draining', 'done', 'failed')),
    target        bigint,
    -- Where the partner's trail stood when its turn came: the health gate looks at what came after.
    trail_from    bigint,
    opened        bigint      NOT NULL DEFAULT 0,
    moved         bigint      NOT NULL DEFAULT 0,
    failed        bigint      NOT NULL DEFAULT 0,
    busy_seconds  double precision NOT NULL DEFAULT 0,
    problem       text,
    due_at        timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    fence         bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (rotation, partner)
);
CREATE INDEX rotation_due ON vault.rotation_partner (rotation, stage, due_at) WHERE state NOT IN ('done', 'failed');

REVOKE ALL ON vault.rotation, vault.rotation_partner FROM PUBLIC;
GRANT SELECT, INSERT ON vault.rotation, vault.rotation_partner TO vault_app;
GRANT UPDATE (state, reason, finished_at) ON vault.rotation TO vault_app;
GRANT SELECT ON vault.rotation, vault.rotation_partner TO vault_rotator;
GRANT UPDATE (state, reason, stage, finished_at) ON vault.rotation TO vault_rotator;
GRANT UPDATE (state, target, trail_from, opened, moved, failed, busy_seconds, problem, due_at, claimed_until, fence)
    ON vault.rotation_partner TO vault_rotator;

-- What moving a row takes: to see what is sealed and to replace it, and to write the line about it. Not
-- tokens' expiry, not scopes, not a partner's name, and nothing that deletes.
GRANT SELECT ON vault.key_context TO vault_rotator;
GRANT SELECT, UPDATE (key_version, access_sealed, refresh_sealed)
    ON vault.credential, vault.link_pending, vault.revocation TO vault_rotator;
GRANT SELECT, UPDATE (key_version, verifier_sealed) ON vault.link_attempt TO vault_rotator;
GRANT SELECT, INSERT ON vault.audit, vault.shipping TO vault_rotator;
GRANT EXECUTE ON FUNCTION vault.tenant() TO vault_rotator;
GRANT EXECUTE ON FUNCTION vault.append_audit(text, text, text[], text, text, text, bigint) TO vault_rotator;

-- Asks for a rotation: partners with the stage that each belongs to. Answers NULL while another one is under way.
CREATE FUNCTION vault.begin_rotation(
    p_kind text, p_dry_run boolean, p_stages text[], p_partners text[], p_stage_of integer[], p_actor text, p_line text[]
) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rotation uuid;
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    INSERT INTO vault.rotation (kind, dry_run, stages, requested_by) VALUES (p_kind, p_dry_run, p_stages, p_actor)
        ON CONFLICT DO NOTHING RETURNING rotation INTO v_rotation;
    IF FOUND THEN
        INSERT INTO vault.rotation_partner (rotation, partner, stage)
            SELECT v_rotation, u.partner, u.stage FROM unnest(p_partners, p_stage_of) AS u (partner, stage);
    END IF;
    PERFORM vault.append_audit(
        '-', NULL, p_line, 'key.rotation.begin', CASE WHEN v_rotation IS NULL THEN 'denied' ELSE 'success' END,
        coalesce(v_rotation::text, 'rotation_under_way'), NULL);
    RETURN v_rotation;
END
$$;

-- Pauses, resumes or aborts. Answers the state before; NULL if there is no such rotation, and nothing changes
-- where that state is not among p_from.
CREATE FUNCTION vault.steer_rotation(p_rotation uuid, p_from text[], p_to text, p_event text, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_state text;
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    SELECT r.state INTO v_state FROM vault.rotation r WHERE r.rotation = p_rotation FOR UPDATE;
    IF v_state = ANY (p_from) THEN
        UPDATE vault.rotation r SET state = p_to, reason = NULL,
            finished_at = CASE WHEN p_to = 'aborted' THEN clock_timestamp() END WHERE r.rotation = p_rotation;
    END IF;
    PERFORM vault.append_audit(
        '-', NULL, p_line, p_event, CASE WHEN v_state = ANY (p_from) THEN 'success' ELSE 'denied' END,
        p_rotation::text, NULL);
    RETURN v_state;
END
$$;

-- One rotation, or the latest ones, with the sums over their partners; the reading is recorded.
CREATE FUNCTION vault.read_rotations(p_rotation uuid, p_limit integer, p_line text[])
    RETURNS TABLE (rotation uuid, kind text, dry_run boolean, state text, reason text, stages text[], stage integer,
                   requested_by text, requested_at timestamptz, finished_at timestamptz, partners jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    PERFORM vault.append_audit('-', NULL, p_line, 'key.rotation.read', 'success', p_rotation::text, NULL);
    RETURN QUERY
        SELECT r.rotation, r.kind, r.dry_run, r.state, r.reason, r.stages, r.stage, r.requested_by, r.requested_at,
               r.finished_at,
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'partner', p.partner, 'stage', p.stage, 'state', p.state, 'target', p.target,
                           'opened', p.opened, 'moved', p.moved, 'failed', p.failed, 'seconds', p.busy_seconds,
                           'problem', p.problem) ORDER BY p.stage, p.partner), '[]')
                    FROM vault.rotation_partner p WHERE p.rotation = r.rotation)
        FROM vault.rotation r
        WHERE p_rotation IS NULL OR r.rotation = p_rotation
        ORDER BY r.requested_at DESC LIMIT p_limit;
END
$$;

-- Rows by partner and key version, of all that is sealed. A version without a row is one that nothing needs.
CREATE FUNCTION vault.census(p_partner text)
    RETURNS TABLE (partner text, key_version bigint, root_version bigint, pinned_at timestamptz, held bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_partner text;
    v_table   text;
    v_sum     text := '';
BEGIN
    -- Every table with something sealed says so by a column of this name; one that is added counts by itself.
    FOR v_table IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'key_version' AND NOT a.attisdropped
            WHERE n.nspname = 'vault' AND c.relkind = 'r' AND c.relname NOT IN ('key_context', 'audit') LOOP
        v_sum := v_sum || format(
            ' + (SELECT count(*) FROM vault.%I t WHERE t.partner = x.partner AND t.key_version = x.key_version)', v_table);
    END LOOP;
    FOR v_partner IN SELECT p.partner FROM vault.partner p
            WHERE p_partner IS NULL OR p.partner = p_partner ORDER BY p.partner LOOP
        PERFORM set_config('vault.partner', v_partner, true);
        RETURN QUERY EXECUTE format(
            'SELECT x.partner, x.key_version, x.root_version, x.pinned_at, 0 %s FROM vault.key_context x '
            'WHERE x.partner = $1 ORDER BY x.key_version', v_sum) USING v_partner;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION vault.begin_rotation(text, boolean, text[], text[], integer[], text, text[]),
    vault.steer_rotation(uuid, text[], text, text, text[]), vault.read_rotations(uuid, integer, text[]),
    vault.census(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.begin_rotation(text, boolean, text[], text[], integer[], text, text[]),
    vault.steer_rotation(uuid, text[], text, text, text[]), vault.read_rotations(uuid, integer, text[]),
    vault.census(text) TO vault_app;
GRANT EXECUTE ON FUNCTION vault.census(text) TO vault_rotator;
