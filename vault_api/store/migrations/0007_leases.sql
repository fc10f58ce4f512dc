-- Leases: credentials that somebody was lent, what they were told, and whether they are really gone.
--
-- A row is written before the credential is made at its target and stays until the target has said that
-- it is gone, so that a crash at any point leaves something that a worker finds and ends.

CREATE TABLE vault.lease (
    partner      text        NOT NULL CHECK (partner ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    lease        text        NOT NULL CHECK (lease ~ '^[0-9a-f]{24}$'),
    template     text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('postgresql', 'broker_token')),
    -- The database by its name in the operator's file, or the connection.
    target       text        NOT NULL,
    broker       text,
    requestor    text        NOT NULL,
    subject      text        NOT NULL,
    session      text,
    roles        text[]      NOT NULL,
    permissions  text[]      NOT NULL,
    scopes       text[]      NOT NULL,
    decision_id  text        NOT NULL,
    -- What the policy was told about the requestor, so that it can be asked again while the lease lives.
    holder       jsonb       NOT NULL,
    state        text        NOT NULL CHECK (state IN ('creating', 'active', 'ending', 'ended')),
    issued_at    timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    max_until    timestamptz NOT NULL CHECK (max_until >= expires_at),
    renewals     integer     NOT NULL DEFAULT 0,
    reason       text,
    ended_at     timestamptz,
    -- A narrowed token, which the broker wants to see again when it is revoked; gone with the lease.
    sealed       bytea       CHECK (octet_length(sealed) BETWEEN 78 AND 65536),
    key_version  bigint,
    -- Who ends it: a claim counts up with every worker that takes it, and only the last one may say what came of it.
    claim        bigint      NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    failure      text,
    irrevocable  boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (partner, lease),
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context
);
CREATE INDEX lease_due ON vault.lease (partner, due_at) WHERE state <> 'ended';

ALTER TABLE vault.lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.lease FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.lease USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE TRIGGER know_partner AFTER INSERT ON vault.lease
    FOR EACH ROW EXECUTE FUNCTION vault.know_partner();
REVOKE ALL ON vault.lease FROM PUBLIC;
GRANT SELECT, INSERT ON vault.lease TO vault_app;
-- A rotation moves what is kept of a lease to the newer key.
GRANT SELECT, UPDATE (key_version, sealed) ON vault.lease TO vault_rotator;
GRANT UPDATE (state, expires_at, renewals, reason, ended_at, sealed, key_version, holder, claim, due_at, attempts,
              failure, irrevocable) ON vault.lease TO vault_app;

-- Begins a lease within the caps: how many a partner and a person may hold that are not known to be gone.
-- A lease that is begun and not active by p_due is given up and ended by a worker.
CREATE FUNCTION vault.lease_begin(
    p_partner text, p_lease text, p_template text, p_kind text, p_target text, p_broker text, p_requestor text,
    p_subject text, p_session text, p_roles text[], p_permissions text[], p_scopes text[], p_decision text,
    p_holder jsonb, p_expires timestamptz, p_max_until timestamptz, p_due timestamptz,
    p_per_partner integer, p_per_person integer, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_partner bigint;
    v_person  bigint;
    v_outcome text := 'begun';
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    -- Two who ask at once are counted one after the other.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner, 20261123));
    SELECT count(*), count(*) FILTER (WHERE l.subject = p_subject) INTO v_partner, v_person
        FROM vault.lease l WHERE l.partner = p_partner AND l.state <> 'ended';
    IF v_partner >= p_per_partner THEN
        v_outcome := 'partner_cap';
    ELSIF v_person >= p_per_person THEN
        v_outcome := 'person_cap';
    ELSE
        INSERT INTO vault.lease (partner, lease, template, kind, target, broker, requestor, subject, session, roles,
                                 permissions, scopes, decision_id, holder, state, expires_at, max_until, due_at)
            VALUES (p_partner, p_lease, p_template, p_kind, p_target, p_broker, p_requestor, p_subject, p_session,
                    p_roles, p_permissions, p_scopes, p_decision, p_holder, 'creating', p_expires, p_max_until, p_due);
        RETURN v_outcome;
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.issue', 'denied', v_outcome, NULL);
    RETURN v_outcome;
END
$$;

-- The credential exists at its target: from here on its requestor may be told.
CREATE FUNCTION vault.lease_activate(
    p_partner text, p_lease text, p_expires timestamptz, p_sealed bytea, p_key_version bigint, p_line text[]
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.lease l SET state = 'active', expires_at = least(l.expires_at, p_expires),
                             due_at = least(l.expires_at, p_expires), sealed = p_sealed, key_version = p_key_version
        WHERE l.partner = p_partner AND l.lease = p_lease AND l.state = 'creating' AND l.claim = 0;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.issue', 'success', NULL, p_key_version);
    RETURN true;
END
$$;

-- A later end for a lease that lives, has been renewed p_renewals times and belongs to p_subject.
CREATE FUNCTION vault.lease_renew(
    p_partner text, p_lease text, p_subject text, p_renewals integer, p_expires timestamptz, p_line text[]
) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_expires timestamptz;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.lease l SET expires_at = least(p_expires, l.max_until), due_at = least(p_expires, l.max_until),
                             renewals = l.renewals + 1
        WHERE l.partner = p_partner AND l.lease = p_lease AND l.subject = p_subject AND l.state = 'active'
          AND l.renewals = p_renewals AND l.expires_at > clock_timestamp()
        RETURNING l.expires_at INTO v_expires;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.renew',
        CASE WHEN v_expires IS NULL THEN 'denied' ELSE 'success' END,
        CASE WHEN v_expires IS NULL THEN 'lease_not_active' END, NULL);
    RETURN v_expires;
END
$$;

-- One lease or a page of them in the order of their ids, without anything secret.
CREATE FUNCTION vault.leases(p_partner text, p_lease text, p_after text, p_limit integer, p_event text, p_line text[])
    RETURNS TABLE (lease text, template text, kind text, target text, broker text, requestor text, subject text,
                   session text, roles text[], permissions text[], scopes text[], decision_id text, state text,
                   issued_at timestamptz, expires_at timestamptz, max_until timestamptz, renewals integer,
                   reason text, ended_at timestamptz, irrevocable boolean)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_found bigint;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT l.lease, l.template, l.kind, l.target, l.broker, l.requestor, l.subject, l.session, l.roles,
                        l.permissions, l.scopes, l.decision_id, l.state, l.issued_at, l.expires_at, l.max_until,
                        l.renewals, l.reason, l.ended_at, l.irrevocable
        FROM vault.lease l
        WHERE l.partner = p_partner AND (p_lease IS NULL OR l.lease = p_lease)
          AND (p_after IS NULL OR l.lease > p_after)
        ORDER BY l.lease LIMIT p_limit;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    IF p_line IS NOT NULL THEN
        PERFORM vault.append_audit(p_partner, NULL, p_line, p_event,
            CASE WHEN v_found = 0 AND p_lease IS NOT NULL THEN 'denied' ELSE 'success' END,
            CASE WHEN v_found = 0 AND p_lease IS NOT NULL THEN 'not_found' END, NULL);
    END IF;
END
$$;

-- Makes leases end: one of them, those of a session or of a person, or with neither all of the partner's.
CREATE FUNCTION vault.lease_end(
    p_partner text, p_lease text, p_session text, p_subject text, p_reason text, p_line text[]
) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_ending text[];
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    WITH ending AS (
        UPDATE vault.lease l SET state = 'ending', reason = p_reason, due_at = now()
            WHERE l.partner = p_partner AND l.state IN ('creating', 'active')
              AND (p_lease IS NULL OR l.lease = p_lease)
              AND (p_session IS NULL OR l.session = p_session)
              AND (p_subject IS NULL OR l.subject = p_subject)
            RETURNING l.lease
    )
    SELECT coalesce(array_agg(e.lease ORDER BY e.lease), '{}') INTO v_ending FROM ending e;
    -- A look at a partner with nothing to end is no event of that partner.
    IF array_length(v_ending, 1) > 0 AND p_line IS NOT NULL THEN
        PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.revoke', 'success', p_reason, NULL);
    END IF;
    RETURN v_ending;
END
$$;

-- Takes leases that are to end: expired, given up half-made, revoked, or tried before without success. Whoever
-- takes one holds it for p_hold; after that the next worker may, whatever became of this one.
CREATE FUNCTION vault.lease_claim(p_partner text, p_lease text, p_limit integer, p_hold interval)
    RETURNS TABLE (lease text, template text, kind text, target text, broker text, reason text, session text,
                   roles text[], decision_id text, sealed bytea, key_version bigint, claim bigint, attempts integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        WITH due AS (
            SELECT l.partner, l.lease FROM vault.lease l
                WHERE l.partner = p_partner AND l.state <> 'ended' AND l.due_at <= clock_timestamp()
                  AND (p_lease IS NULL OR l.lease = p_lease)
                ORDER BY l.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
        )
        UPDATE vault.lease l SET
            state = 'ending',
            reason = coalesce(l.reason, CASE l.state WHEN 'creating' THEN 'abandoned' ELSE 'expired' END),
            claim = l.claim + 1, attempts = l.attempts + 1, due_at = clock_timestamp() + p_hold
            FROM due WHERE l.partner = due.partner AND l.lease = due.lease
            RETURNING l.lease, l.template, l.kind, l.target, l.broker, l.reason, l.session, l.roles, l.decision_id,
                      l.sealed, l.key_version, l.claim, l.attempts;
END
$$;

-- The target has said that the credential is gone. Nothing of it or of what was known about its holder stays.
CREATE FUNCTION vault.lease_ended(p_partner text, p_lease text, p_claim bigint, p_line text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_reason text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.lease l SET state = 'ended', ended_at = clock_timestamp(), sealed = NULL, key_version = NULL,
                             holder = '{}', failure = NULL, irrevocable = false
        WHERE l.partner = p_partner AND l.lease = p_lease AND l.claim = p_claim AND l.state = 'ending'
        RETURNING l.reason INTO v_reason;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.ended', 'success', v_reason, NULL);
    RETURN true;
END
$$;

-- It is not gone yet. The line is there only where somebody should read it: at the first failure and when
-- it counts as irrevocable, because a line for every attempt would bury both.
CREATE FUNCTION vault.lease_stays(
    p_partner text, p_lease text, p_claim bigint, p_failure text, p_retry interval, p_irrevocable boolean,
    p_line text[]
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.lease l SET failure = p_failure, irrevocable = p_irrevocable, due_at = clock_timestamp() + p_retry
        WHERE l.partner = p_partner AND l.lease = p_lease AND l.claim = p_claim AND l.state = 'ending';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_line IS NOT NULL THEN
        PERFORM vault.append_audit(p_partner, NULL, p_line, 'lease.ended', 'failure', p_failure, NULL);
    END IF;
    RETURN true;
END
$$;

-- The leases that live, with what the policy has to be asked about them again.
CREATE FUNCTION vault.lease_holders(p_partner text)
    RETURNS TABLE (lease text, broker text, permissions text[], holder jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT l.lease, l.broker, l.permissions, l.holder FROM vault.lease l
        WHERE l.partner = p_partner AND l.state = 'active' ORDER BY l.lease;
END
$$;

-- How many leases are in which state, partner by partner, and how many of them wait to be ended now.
CREATE FUNCTION vault.lease_census()
    RETURNS TABLE (partner text, state text, irrevocable boolean, leases bigint, due bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_partner text;
BEGIN
    FOR v_partner IN SELECT p.partner FROM vault.partner p ORDER BY p.partner LOOP
        -- One tenant after the other, as everybody else.
        PERFORM set_config('vault.partner', v_partner, true);
        RETURN QUERY SELECT v_partner, l.state, l.irrevocable, count(*),
                            count(*) FILTER (WHERE l.due_at <= clock_timestamp())
            FROM vault.lease l WHERE l.partner = v_partner AND l.state <> 'ended'
            GROUP BY l.state, l.irrevocable;
    END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.lease_begin(text, text, text, text, text, text, text, text, text, text[], text[], text[], text, jsonb,
                      timestamptz, timestamptz, timestamptz, integer, integer, text[]),
    vault.lease_activate(text, text, timestamptz, bytea, bigint, text[]),
    vault.lease_renew(text, text, text, integer, timestamptz, text[]),
    vault.leases(text, text, text, integer, text, text[]),
    vault.lease_end(text, text, text, text, text, text[]),
    vault.lease_claim(text, text, integer, interval),
    vault.lease_ended(text, text, bigint, text[]),
    vault.lease_stays(text, text, bigint, text, interval, boolean, text[]),
    vault.lease_holders(text), vault.lease_census()
    TO vault_app;
