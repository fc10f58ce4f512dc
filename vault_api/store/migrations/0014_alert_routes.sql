-- Where a partner wants to be told what, said by its own people; the configuration's routes stand beside these.

CREATE TABLE vault.alert_route (
    partner       text        NOT NULL CHECK (partner ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    route         text        NOT NULL CHECK (route ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    email         text        CHECK (length(email) BETWEEN 3 AND 254),
    webhook       text        CHECK (length(webhook) BETWEEN 10 AND 2000),
    -- Empty: what the partner's persona is told.
    alerts        text[]      NOT NULL,
    -- What webhooks are signed with, which the receiver knows too.
    secret_sealed bytea       CHECK (octet_length(secret_sealed) BETWEEN 78 AND 4096),
    key_version   bigint,
    set_by        text        NOT NULL CHECK (set_by <> ''),
    set_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Nothing is deleted in the vault: a route that was taken away stays as a name, without its secret.
    dropped_at    timestamptz,
    PRIMARY KEY (partner, route),
    FOREIGN KEY (partner, key_version) REFERENCES vault.key_context,
    CHECK (num_nonnulls(email, webhook) = 1),
    CHECK ((webhook IS NULL OR dropped_at IS NOT NULL) = (secret_sealed IS NULL) AND (secret_sealed IS NULL) = (key_version IS NULL))
);

ALTER TABLE vault.alert_route ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.alert_route FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.alert_route USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
CREATE TRIGGER know_partner AFTER INSERT ON vault.alert_route
    FOR EACH ROW EXECUTE FUNCTION vault.know_partner();
REVOKE ALL ON vault.alert_route FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON vault.alert_route TO vault_app;
-- A rotation moves the secrets to the newer key.
GRANT SELECT, UPDATE (key_version, secret_sealed) ON vault.alert_route TO vault_rotator;

-- The newest alerts of a partner, told or not.
CREATE INDEX alert_newest ON vault.alert (partner, raised_at DESC);

-- Says where to tell, or says it anew. A webhook that stays where it is keeps its secret: the one given is for a new
-- address. Answers `new` where the secret given is the route's now, `kept`, or `too_many`, and then nothing happened.
CREATE FUNCTION vault.alert_route_set(
    p_partner text, p_route text, p_email text, p_webhook text, p_alerts text[], p_sealed bytea, p_key_version bigint,
    p_renew boolean, p_most integer, p_by text, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row     vault.alert_route;
    v_outcome text := 'new';
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    -- Two who add at once: the second one counts what the first one added.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner, 20261126));
    SELECT * INTO v_row FROM vault.alert_route r WHERE r.partner = p_partner AND r.route = p_route FOR UPDATE;
    IF (v_row.route IS NULL OR v_row.dropped_at IS NOT NULL)
        AND (SELECT count(*) FROM vault.alert_route r WHERE r.partner = p_partner AND r.dropped_at IS NULL) >= p_most
    THEN
        PERFORM vault.append_audit(p_partner, NULL, p_line, 'alert.route.set', 'denied', 'too_many', NULL);
        RETURN 'too_many';
    END IF;
    IF p_webhook IS NULL OR (v_row.webhook = p_webhook AND v_row.dropped_at IS NULL AND NOT p_renew)
    THEN
        v_outcome := 'kept';
    END IF;
    INSERT INTO vault.alert_route AS r
            (partner, route, email, webhook, alerts, secret_sealed, key_version, set_by)
        VALUES (p_partner, p_route, p_email, p_webhook, p_alerts, p_sealed, p_key_version, p_by)
        ON CONFLICT (partner, route) DO UPDATE SET
            email = excluded.email, webhook = excluded.webhook, alerts = excluded.alerts, set_by = excluded.set_by,
            set_at = clock_timestamp(), dropped_at = NULL,
            secret_sealed = CASE WHEN v_outcome = 'kept' AND p_webhook IS NOT NULL THEN r.secret_sealed
                                 ELSE excluded.secret_sealed END,
            key_version = CASE WHEN v_outcome = 'kept' AND p_webhook IS NOT NULL THEN r.key_version
                               ELSE excluded.key_version END;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'alert.route.set', 'success', NULL, NULL);
    RETURN v_outcome;
END
$$;

CREATE FUNCTION vault.alert_route_drop(p_partner text, p_route text, p_line text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_done boolean;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.alert_route r SET dropped_at = clock_timestamp(), secret_sealed = NULL, key_version = NULL
        WHERE r.partner = p_partner AND r.route = p_route AND r.dropped_at IS NULL;
    v_done := FOUND;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'alert.route.drop',
        CASE WHEN v_done THEN 'success' ELSE 'denied' END, CASE WHEN NOT v_done THEN 'not_found' END, NULL);
    RETURN v_done;
END
$$;

CREATE FUNCTION vault.alert_routes(p_partner text)
    RETURNS TABLE (route text, email text, webhook text, alerts text[], secret_sealed bytea, key_version bigint,
                   set_by text, set_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT r.route, r.email, r.webhook, r.alerts, r.secret_sealed, r.key_version, r.set_by, r.set_at
        FROM vault.alert_route r WHERE r.partner = p_partner AND r.dropped_at IS NULL ORDER BY r.route;
END
$$;

-- An alert that tells nothing but that it arrived, for one route. False where one was sent within p_pause, or where
-- there is no such route.
CREATE FUNCTION vault.alert_test(
    p_partner text, p_alert text, p_route text, p_by text, p_pause interval, p_line text[]
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_why text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner, 20261126));
    IF NOT EXISTS (SELECT FROM vault.alert_route r
                   WHERE r.partner = p_partner AND r.route = p_route AND r.dropped_at IS NULL) THEN
        v_why := 'not_found';
    ELSIF EXISTS (SELECT FROM vault.alert a WHERE a.partner = p_partner AND a.kind = 'test'
                  AND a.detail ->> 'route' = p_route AND a.raised_at > now() - p_pause) THEN
        v_why := 'too_soon';
    ELSE
        PERFORM vault.raise_alert(p_partner, p_alert, 'test/' || p_alert, 'test', NULL,
                                  jsonb_build_object('route', p_route, 'asked_by', p_by));
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'alert.test',
        CASE WHEN v_why IS NULL THEN 'success' ELSE 'denied' END, v_why, NULL);
    RETURN v_why IS NULL;
END
$$;

-- What a partner was told lately, newest first, and what came of it on each route.
CREATE FUNCTION vault.alert_log(p_partner text, p_limit integer)
    RETURNS TABLE (alert text, kind text, connection text, detail jsonb, raised_at timestamptz,
                   settled_at timestamptz, deliveries jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY
        SELECT a.alert, a.kind, a.connection, a.detail, a.raised_at, a.settled_at,
               coalesce((SELECT jsonb_agg(jsonb_build_object('route', d.route, 'attempts', d.attempts,
                                                             'settled_at', d.settled_at, 'outcome', d.outcome)
                                          ORDER BY d.route)
                         FROM vault.alert_delivery d WHERE d.partner = a.partner AND d.alert = a.alert), '[]')
        FROM vault.alert a WHERE a.partner = p_partner ORDER BY a.raised_at DESC, a.alert LIMIT p_limit;
END
$$;

-- What the vault holds over all partners: numbers and ages in seconds, no names. A key is overdue when the newest
-- version of a partner's key is older than p_allowed.
CREATE FUNCTION vault.holdings(p_allowed interval)
    RETURNS TABLE (credentials bigint, expired bigint, oldest_seconds double precision, mean_seconds double precision,
                   keys bigint, keys_overdue bigint, oldest_key_seconds double precision)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_partner text;
    v_now     timestamptz := clock_timestamp();
    v_count   bigint;
    v_expired bigint;
    v_oldest  timestamptz;
    v_sum     double precision;
    v_ages    double precision := 0;
    v_key     timestamptz;
BEGIN
    credentials := 0; expired := 0; keys := 0; keys_overdue := 0;
    FOR v_partner IN SELECT p.partner FROM vault.partner p LOOP
        PERFORM set_config('vault.partner', v_partner, true);
        SELECT count(*), count(*) FILTER (WHERE c.access_expires_at <= v_now), min(c.stored_at),
               coalesce(sum(extract(epoch FROM v_now - c.stored_at)), 0)
            INTO v_count, v_expired, v_oldest, v_sum
            FROM vault.credential c WHERE c.partner = v_partner AND c.access_sealed IS NOT NULL;
        credentials := credentials + v_count;
        expired := expired + v_expired;
        v_ages := v_ages + v_sum;
        oldest_seconds := greatest(oldest_seconds, extract(epoch FROM v_now - v_oldest));
        SELECT max(k.pinned_at) INTO v_key FROM vault.key_context k WHERE k.partner = v_partner;
        IF v_key IS NOT NULL THEN
            keys := keys + 1;
            oldest_key_seconds := greatest(oldest_key_seconds, extract(epoch FROM v_now - v_key));
            IF v_now - v_key > p_allowed THEN
                keys_overdue := keys_overdue + 1;
            END IF;
        END IF;
    END LOOP;
    mean_seconds := v_ages / nullif(credentials, 0);
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION
    vault.alert_route_set(text, text, text, text, text[], bytea, bigint, boolean, integer, text, text[]),
    vault.alert_route_drop(text, text, text[]), vault.alert_routes(text),
    vault.alert_test(text, text, text, text, interval, text[]), vault.alert_log(text, integer),
    vault.holdings(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.alert_route_set(text, text, text, text, text[], bytea, bigint, boolean, integer, text, text[]),
    vault.alert_route_drop(text, text, text[]), vault.alert_routes(text),
    vault.alert_test(text, text, text, text, interval, text[]), vault.alert_log(text, integer),
    vault.holdings(interval) TO vault_app;
