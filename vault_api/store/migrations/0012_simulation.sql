-- Simulations: somebody of staff looks at a partner's workspace as a member with one of its roles would, for a while.
--
-- A row is a tenant's own: a reading under a simulation finds it only where it asks about that partner. It is bound
-- to the account and to the login session that opened it, so that its number alone is worth nothing.

CREATE TABLE vault.simulation (
    partner     text        NOT NULL CHECK (partner ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    simulation  text        NOT NULL CHECK (simulation ~ '^[0-9a-f]{32}$'),
    subject     text        NOT NULL CHECK (subject <> ''),
    session     text        NOT NULL CHECK (session <> ''),
    role        text        NOT NULL CHECK (role <> ''),
    reason      text        NOT NULL CHECK (reason <> ''),
    opened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at     timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (partner, simulation),
    -- Whatever asks for it: none is longer than half an hour.
    CHECK (ends_at > opened_at AND ends_at <= opened_at + interval '30 minutes')
);
CREATE INDEX simulation_session ON vault.simulation (partner, subject, session) WHERE ended_at IS NULL;

ALTER TABLE vault.simulation ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.simulation FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.simulation USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
REVOKE ALL ON vault.simulation FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON vault.simulation TO vault_app;

-- Opens one, with a line in the partner's own chain and one in the platform's; an open one of the same session at
-- that partner ends. p_told is what both lines say besides, its end is added here.
CREATE FUNCTION vault.simulation_begin(
    p_partner text, p_simulation text, p_subject text, p_session text, p_role text, p_reason text, p_seconds integer,
    p_told text, p_line text[], p_platform_line text[]
) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now  timestamptz := clock_timestamp();
    v_ends timestamptz := v_now + make_interval(secs => p_seconds);
    v_told text := p_told || ' until ' || to_char(v_ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.simulation s SET ended_at = v_now
        WHERE s.partner = p_partner AND s.subject = p_subject AND s.session = p_session AND s.ended_at IS NULL;
    INSERT INTO vault.simulation (partner, simulation, subject, session, role, reason, opened_at, ends_at)
        VALUES (p_partner, p_simulation, p_subject, p_session, p_role, p_reason, v_now, v_ends);
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'simulation.begin', 'success', v_told, NULL);
    PERFORM set_config('vault.partner', '-', true);
    PERFORM vault.append_audit('-', NULL, p_platform_line, 'simulation.begin', 'success', v_told, NULL);
    RETURN v_ends;
END
$$;

-- The role of a simulation that stands for this account in this session now; NULL for every other.
CREATE FUNCTION vault.simulation_role(p_partner text, p_simulation text, p_subject text, p_session text) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN (SELECT s.role FROM vault.simulation s
            WHERE s.partner = p_partner AND s.simulation = p_simulation AND s.subject = p_subject
              AND s.session = p_session AND s.ended_at IS NULL AND s.ends_at > clock_timestamp());
END
$$;

-- Ends one before its time, by whoever opened it. Whether it stood until now; a line is written only then.
CREATE FUNCTION vault.simulation_end(
    p_partner text, p_simulation text, p_subject text, p_line text[], p_platform_line text[]
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.simulation s SET ended_at = clock_timestamp()
        WHERE s.partner = p_partner AND s.simulation = p_simulation AND s.subject = p_subject
          AND s.ended_at IS NULL AND s.ends_at > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'simulation.end', 'success', p_simulation, NULL);
    PERFORM set_config('vault.partner', '-', true);
    PERFORM vault.append_audit('-', NULL, p_platform_line, 'simulation.end', 'success', p_simulation, NULL);
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION
    vault.simulation_begin(text, text, text, text, text, text, integer, text, text[], text[]),
    vault.simulation_role(text, text, text, text), vault.simulation_end(text, text, text, text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.simulation_begin(text, text, text, text, text, text, integer, text, text[], text[]),
    vault.simulation_role(text, text, text, text), vault.simulation_end(text, text, text, text[], text[]) TO vault_app;
