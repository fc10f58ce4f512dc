-- Refreshing: whose turn it is, what was intended before a broker was called, and what partners are told.
--
--     schedule ─ claim (fence + 1) ─▶ intent 'claimed' ─▶ intent 'sent' ─ broker ─▶ commit │ fail ─▶ 'settled'
--
-- A refresh token may be good for one use. So what is about to be sent is written down first: a worker that
-- finds an intent which was sent and never settled knows that the broker may have given the next
-- token to somebody who died before keeping it.

-- From this moment on a release wants the token refreshed first; NULL where that is impossible or was put off.
ALTER TABLE vault.credential ADD COLUMN refresh_by timestamptz;
GRANT UPDATE (refresh_by) ON vault.credential TO vault_app;

CREATE TABLE vault.refresh_intent (
    partner     text        NOT NULL,
    connection  text        NOT NULL,
    fence       bigint      NOT NULL,
    version     bigint      NOT NULL,
    phase       text        NOT NULL CHECK (phase IN ('claimed', 'sent', 'settled')),
    -- How often in a row somebody sent and never settled.
    interrupted integer     NOT NULL DEFAULT 0,
    at          timestamptz NOT NULL DEFAULT now(),
    outcome     text,
    PRIMARY KEY (partner, connection),
    FOREIGN KEY (partner, connection) REFERENCES vault.connection
);

-- How each broker is doing, for all processes together. Names, numbers and times.
CREATE TABLE vault.circuit (
    broker     text        PRIMARY KEY,
    failures   integer     NOT NULL DEFAULT 0,
    open_until timestamptz
);

-- What a partner is to be told, once for each `about`, and how far that has got on each route.
CREATE TABLE vault.alert (
    partner    text        NOT NULL,
    alert      text        NOT NULL CHECK (alert ~ '^[0-9a-f]{32}$'),
    about      text        NOT NULL,
    kind       text        NOT NULL,
    connection text,
    detail     jsonb       NOT NULL,
    raised_at  timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    PRIMARY KEY (partner, alert)
);
CREATE UNIQUE INDEX alert_about ON vault.alert (partner, about);
CREATE INDEX alert_open ON vault.alert (partner, raised_at) WHERE settled_at IS NULL;
CREATE TABLE vault.alert_delivery (
    partner    text        NOT NULL,
    alert      text        NOT NULL,
    route      text        NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0,
    settled_at timestamptz,
    outcome    text,
    PRIMARY KEY (partner, alert, route),
    FOREIGN KEY (partner, alert) REFERENCES vault.alert
);

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['refresh_intent', 'alert', 'alert_delivery'] LOOP
        EXECUTE format('ALTER TABLE vault.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('ALTER TABLE vault.%I FORCE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY tenant ON vault.%I USING (partner = vault.tenant()) '
                       'WITH CHECK (partner = vault.tenant())', v_table);
    END LOOP;
END
$$;
REVOKE ALL ON vault.refresh_intent, vault.circuit, vault.alert, vault.alert_delivery FROM PUBLIC;
GRANT SELECT, INSERT ON vault.refresh_intent, vault.circuit, vault.alert, vault.alert_delivery TO vault_app;
GRANT UPDATE (fence, version, phase, interrupted, at, outcome) ON vault.refresh_intent TO vault_app;
GRANT UPDATE (failures, open_until) ON vault.circuit TO vault_app;
GRANT UPDATE (settled_at) ON vault.alert TO vault_app;
GRANT UPDATE (attempts, settled_at, outcome) ON vault.alert_delivery TO vault_app;

-- Whoever writes a new version of a credential, by whatever way, has it refreshed in time: due after
-- four fifths of its life, spread over a tenth of it, and wanted before a release in its last tenth.
CREATE FUNCTION vault.plan_refresh() RETURNS trigger
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
            ON CONFLICT (partner, connection, work) DO UPDATE SET due_at = excluded.due_at, attempts = 0;
    ELSE
        UPDATE vault.schedule s SET due_at = NULL
            WHERE s.partner = NEW.partner AND s.connection = NEW.connection AND s.work = 'refresh';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.access_sealed IS NOT NULL THEN
        -- A fresh token set is what a broken or revoked connection was waiting for.
        UPDATE vault.link l SET state = 'active', reason = NULL, since = now()
            WHERE l.partner = NEW.partner AND l.connection = NEW.connection AND l.state <> 'active';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER plan_refresh BEFORE INSERT OR UPDATE OF version, access_sealed ON vault.credential
    FOR EACH ROW EXECUTE FUNCTION vault.plan_refresh();

-- The credential to release, as in 0001. Two answers are new, and neither is recorded: a connection that was
-- revoked is not there, and 'refresh_due' wants the token refreshed, or that put off, before it is asked again.
CREATE OR REPLACE FUNCTION vault.release(p_partner text, p_connection text, p_ready bigint[], p_line text[])
    RETURNS TABLE (outcome text, broker text, version bigint, key_version bigint, sealed bytea,
                   expires_at timestamptz, scopes text[])
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_refresh_by timestamptz;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT c.broker, k.version, k.key_version, k.access_sealed, k.access_expires_at, k.scopes, k.refresh_by
        INTO broker, version, key_version, sealed, expires_at, scopes, v_refresh_by
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = p_connection AND k.access_sealed IS NOT NULL;
    IF NOT FOUND THEN
        outcome := 'not_found';
    ELSIF v_refresh_by <= clock_timestamp() THEN
        outcome := 'refresh_due';
        sealed := NULL;
        RETURN NEXT;
        RETURN;
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

-- A worker's claims: what is due, at most p_limit rows, none that somebody holds, none of a broker whose
-- circuit is open. Each is ours for p_lease, and its fence tells our claim from any later one.
CREATE FUNCTION vault.claim_due(p_work text, p_limit integer, p_lease interval)
    RETURNS TABLE (partner text, connection text, broker text, fence bigint, attempts integer)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        UPDATE vault.schedule s SET fence = s.fence + 1, claimed_until = clock_timestamp() + p_lease
        FROM (SELECT d.partner, d.connection FROM vault.schedule d
                  WHERE d.work = p_work AND d.due_at <= clock_timestamp()
                    AND (d.claimed_until IS NULL OR d.claimed_until <= clock_timestamp())
                    AND NOT EXISTS (SELECT FROM vault.circuit o
                                        WHERE o.broker = d.broker AND o.open_until > clock_timestamp())
                  ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) AS due
        WHERE s.partner = due.partner AND s.connection = due.connection AND s.work = p_work
        RETURNING s.partner, s.connection, s.broker, s.fence, s.attempts;
END
$$;

-- A claim of one connection's refresh for somebody who waits for its token: 'taken', or 'busy' while another
-- holds it, 'later' while it is put off after a failure or the broker's circuit is open, 'none' if there is nothing to refresh.
CREATE FUNCTION vault.claim_refresh(p_partner text, p_connection text, p_version bigint, p_lease interval)
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
        UPDATE vault.schedule s SET fence = s.fence + 1, claimed_until = clock_timestamp() + p_lease
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh'
            RETURNING s.fence INTO fence;
        outcome := 'taken';
    END IF;
    RETURN NEXT;
END
$$;

-- Gives a claim back, with the time of the next try; NULL where there is nothing left to do.
CREATE FUNCTION vault.release_claim(
    p_partner text, p_connection text, p_work text, p_fence bigint, p_due timestamptz, p_attempts integer
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE vault.schedule s SET due_at = p_due, claimed_until = NULL, attempts = p_attempts
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = p_work AND s.fence = p_fence;
    RETURN FOUND;
END
$$;

-- What is to be sent, and the intent to send it. `interrupted` counts how often in a row this very refresh
-- token was sent by somebody who never said what came of it.
CREATE FUNCTION vault.refresh_begin(p_partner text, p_connection text, p_fence bigint)
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
        WHERE c.partner = p_partner AND c.connection = p_connection AND k.refresh_sealed IS NOT NULL;
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

-- The last word before the broker is called. False: the claim is no longer ours, and nothing must be sent.
CREATE FUNCTION vault.refresh_sending(p_partner text, p_connection text, p_fence bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM FROM vault.schedule s WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh'
        AND s.fence = p_fence AND s.claimed_until > clock_timestamp() FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE vault.refresh_intent i SET phase = 'sent', at = now()
        WHERE i.partner = p_partner AND i.connection = p_connection AND i.fence = p_fence;
    RETURN FOUND;
END
$$;

-- Keeps what the broker gave: one compare-and-set on the fence and on the version that was refreshed.
CREATE FUNCTION vault.refresh_commit(
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
    SELECT s.fence INTO v_fence FROM vault.schedule s
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' FOR UPDATE;
    SELECT * INTO v_now FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
    IF v_now.access_sealed IS NULL THEN
        v_outcome := 'gone';
    ELSIF v_now.version <> p_version THEN
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

-- A refresh that gave nothing. p_final: the broker says that the grant is dead, or we know that it must be; then
-- the row is looked at again first, because a sibling may have won meanwhile. p_uncertain: nobody knows
-- whether the broker took the token. p_hold: until then a release gives out what there is.
CREATE FUNCTION vault.refresh_fail(
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
    SELECT s.fence INTO v_fence FROM vault.schedule s
        WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh' FOR UPDATE;
    SELECT * INTO v_now FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection FOR UPDATE;
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

-- Lets releases give out what there is for a while, because a refresh is under way and slow.
CREATE FUNCTION vault.put_off_refresh(p_partner text, p_connection text, p_until timestamptz) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.credential k SET refresh_by = p_until
        WHERE k.partner = p_partner AND k.connection = p_connection AND k.refresh_by <= clock_timestamp();
END
$$;

-- What a broker's answers say about the broker. After p_threshold failures in a row it is left alone for
-- p_pause, twice as long each further time, at most p_longest; the first call after that is the probe.
CREATE FUNCTION vault.circuit_report(
    p_broker text, p_well boolean, p_threshold integer, p_pause interval, p_longest interval
) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_open timestamptz;
BEGIN
    IF p_well THEN
        UPDATE vault.circuit c SET failures = 0, open_until = NULL
            WHERE c.broker = p_broker AND (c.failures > 0 OR c.open_until IS NOT NULL);
        RETURN NULL;
    END IF;
    INSERT INTO vault.circuit AS c (broker, failures) VALUES (p_broker, 1)
        ON CONFLICT (broker) DO UPDATE SET
            failures = c.failures + 1,
            open_until = CASE WHEN c.failures + 1 >= p_threshold THEN
                clock_timestamp() + least(p_longest, p_pause * power(2, least(c.failures + 1 - p_threshold, 20)))
                END
        RETURNING c.open_until INTO v_open;
    RETURN v_open;
END
$$;

-- Something a partner is to be told. What was raised about the same thing before is not raised again.
CREATE FUNCTION vault.raise_alert(
    p_partner text, p_alert text, p_about text, p_kind text, p_connection text, p_detail jsonb
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_new boolean;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    INSERT INTO vault.alert (partner, alert, about, kind, connection, detail)
        VALUES (p_partner, p_alert, p_about, p_kind, p_connection, p_detail) ON CONFLICT DO NOTHING;
    v_new := FOUND;
    IF v_new THEN
        PERFORM vault.make_due(p_partner, '-', 'alerts', NULL, now());
    END IF;
    RETURN v_new;
END
$$;

-- The alerts of a partner that are not settled, oldest first, with what came of each route so far.
CREATE FUNCTION vault.open_alerts(p_partner text, p_limit integer)
    RETURNS TABLE (alert text, kind text, connection text, detail jsonb, raised_at timestamptz,
                   routes text[], attempts integer[], settled boolean[])
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT a.alert, a.kind, a.connection, a.detail, a.raised_at,
               coalesce(array_agg(d.route ORDER BY d.route) FILTER (WHERE d.route IS NOT NULL), '{}'),
               coalesce(array_agg(d.attempts ORDER BY d.route) FILTER (WHERE d.route IS NOT NULL), '{}'),
               coalesce(array_agg(d.settled_at IS NOT NULL ORDER BY d.route) FILTER (WHERE d.route IS NOT NULL), '{}')
        FROM vault.alert a LEFT JOIN vault.alert_delivery d USING (partner, alert)
        WHERE a.partner = p_partner AND a.settled_at IS NULL
        GROUP BY a.alert, a.kind, a.connection, a.detail, a.raised_at
        ORDER BY a.raised_at LIMIT p_limit;
END
$$;

-- One try to deliver an alert by a route: p_outcome is NULL while more tries are to come.
CREATE FUNCTION vault.alert_tried(
    p_partner text, p_alert text, p_route text, p_outcome text, p_line text[]
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_connection text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    INSERT INTO vault.alert_delivery AS d (partner, alert, route, attempts, settled_at, outcome)
        VALUES (p_partner, p_alert, p_route, 1, CASE WHEN p_outcome IS NOT NULL THEN now() END, p_outcome)
        ON CONFLICT (partner, alert, route) DO UPDATE SET
            attempts = d.attempts + 1, settled_at = excluded.settled_at, outcome = excluded.outcome;
    IF p_outcome IS NOT NULL THEN
        SELECT a.connection INTO v_connection FROM vault.alert a WHERE a.partner = p_partner AND a.alert = p_alert;
        PERFORM vault.append_audit(
            p_partner, v_connection, p_line, 'alert.delivered',
            CASE p_outcome WHEN 'delivered' THEN 'success' ELSE 'failure' END, nullif(p_outcome, 'delivered'), NULL);
    END IF;
END
$$;

CREATE FUNCTION vault.settle_alert(p_partner text, p_alert text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.alert a SET settled_at = now() WHERE a.partner = p_partner AND a.alert = p_alert;
END
$$;

-- A broker that wants the person again every so often: what is near that moment is told, what is past it
-- needs to be connected again. Answers when to look next.
CREATE FUNCTION vault.relink_check(
    p_partner text, p_connection text, p_warn interval, p_alert text, p_line text[]
) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_link    vault.link;
    v_version bigint;
    v_detail  jsonb;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_link FROM vault.link l
        WHERE l.partner = p_partner AND l.connection = p_connection FOR UPDATE;
    IF v_link.relink_at IS NULL OR v_link.state <> 'active' THEN
        RETURN NULL;
    END IF;
    SELECT k.version INTO v_version FROM vault.credential k
        WHERE k.partner = p_partner AND k.connection = p_connection;
    v_detail := jsonb_build_object('reason', 'relink_due', 'relink_at', v_link.relink_at);
    IF v_link.relink_at <= clock_timestamp() THEN
        PERFORM vault.set_link_state(p_partner, p_connection, 'reconnect_needed', 'relink_due');
        UPDATE vault.credential k SET refresh_by = NULL
            WHERE k.partner = p_partner AND k.connection = p_connection;
        UPDATE vault.schedule s SET due_at = NULL
            WHERE s.partner = p_partner AND s.connection = p_connection AND s.work = 'refresh';
        PERFORM vault.raise_alert(p_partner, p_alert, format('%s/relink_over/%s', p_connection, v_link.relink_at),
                                  'broker_disconnected', p_connection, v_detail);
        PERFORM vault.append_audit(
            p_partner, p_connection, p_line, 'connection.relink', 'failure', 'relink_due', NULL);
        RETURN NULL;
    END IF;
    IF v_link.relink_at - p_warn <= clock_timestamp() THEN
        PERFORM vault.raise_alert(p_partner, p_alert, format('%s/relink/%s', p_connection, v_link.relink_at),
                                  'token_expiring', p_connection, v_detail);
        RETURN v_link.relink_at;
    END IF;
    RETURN v_link.relink_at - p_warn;
END
$$;

-- How refreshing is doing over all partners: counts and times of the schedule, no names.
CREATE FUNCTION vault.refresh_census()
    RETURNS TABLE (scheduled bigint, overdue bigint, oldest_overdue_seconds double precision, failing bigint,
                   circuits_open bigint)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT
        count(*) FILTER (WHERE s.due_at IS NOT NULL),
        count(*) FILTER (WHERE s.due_at < clock_timestamp()),
        coalesce(extract(epoch FROM clock_timestamp() - min(s.due_at) FILTER (WHERE s.due_at < clock_timestamp())),
                 0)::double precision,
        count(*) FILTER (WHERE s.attempts > 0 AND s.due_at IS NOT NULL),
        (SELECT count(*) FROM vault.circuit o WHERE o.open_until > clock_timestamp())
        FROM vault.schedule s WHERE s.work = 'refresh';
END
$$;

-- Credentials that were there before this revision are refreshed from now on too.
ALTER TABLE vault.credential NO FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.connection NO FORCE ROW LEVEL SECURITY;
INSERT INTO vault.schedule (partner, connection, work, broker, due_at)
    SELECT partner, connection, 'refresh', broker, now() + (access_expires_at - now()) * 0.8
        FROM vault.credential JOIN vault.connection USING (partner, connection)
        WHERE refresh_sealed IS NOT NULL AND access_expires_at > now();
UPDATE vault.credential SET refresh_by = access_expires_at - interval '1 minute'
    WHERE refresh_sealed IS NOT NULL AND access_expires_at > now();
ALTER TABLE vault.credential FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.connection FORCE ROW LEVEL SECURITY;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO vault_app;
