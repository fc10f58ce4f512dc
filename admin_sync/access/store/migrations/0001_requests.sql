-- Requests, approvals and the audit chain. Run by the migration as access_owner.
--
-- The text of a request is the truth; the columns beside it are what the database itself reads out of it, so that
-- no column can say something else than the text that people approved.

CREATE TABLE access.request (
    number            bigint      PRIMARY KEY CHECK (number >= 1),
    content           text        NOT NULL CHECK (octet_length(content) <= 32768),
    hash              text        NOT NULL CHECK (hash = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
    kind              text        NOT NULL GENERATED ALWAYS AS (content::jsonb ->> 'kind') STORED,
    requester         text        NOT NULL GENERATED ALWAYS AS (content::jsonb ->> 'requester') STORED,
    subject           text        NOT NULL GENERATED ALWAYS AS (content::jsonb ->> 'subject') STORED,
    -- The one address of each person, as the roster had it when they asked.
    requester_person  text        NOT NULL,
    subject_person    text        NOT NULL,
    asked_at          timestamptz NOT NULL,
    starts            timestamptz,
    expires           timestamptz NOT NULL,
    state             text        NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'approved', 'fulfilled', 'denied', 'cancelled', 'expired', 'failed')),
    changed_at        timestamptz NOT NULL,
    changed_by        text        NOT NULL,
    reason            text,
    -- When the last needed yes, or the no, was said; for how long people wait.
    decided_at        timestamptz,
    taken_at          timestamptz,
    result            jsonb       NOT NULL DEFAULT '{}',
    CHECK (expires > asked_at),
    CHECK ((content::jsonb ->> 'id') = 'REQ-' || lpad(number::text, greatest(6, length(number::text)), '0'))
);
CREATE INDEX request_subject ON access.request (subject_person, state);
CREATE INDEX request_requester ON access.request (requester_person, number);
CREATE INDEX request_pending ON access.request (state, expires) WHERE state IN ('open', 'approved');

CREATE SEQUENCE access.request_number;

CREATE TABLE access.approval (
    number     bigint      NOT NULL REFERENCES access.request,
    person     text        NOT NULL,
    by_email   text        NOT NULL,
    account    text        NOT NULL,
    capacity   text        NOT NULL,
    hash       text        NOT NULL,
    comment    text        CHECK (length(comment) <= 2000),
    acr        text        NOT NULL,
    auth_time  bigint      NOT NULL,
    session    text        NOT NULL,
    given_at   timestamptz NOT NULL,
    -- Nobody speaks twice about one request, whichever account they use.
    PRIMARY KEY (number, person),
    UNIQUE (number, account)
);

-- The trail: one chain for the whole database. Requests come one by one, not by the thousand.
CREATE TABLE access.audit (
    seq         bigint      PRIMARY KEY CHECK (seq >= 1),
    recorded_at timestamptz NOT NULL,
    number      bigint,
    event       text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('success', 'denied', 'failure')),
    hash        text        NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    line        text        NOT NULL,
    transaction xid8        NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX audit_request ON access.audit (number, transaction);

CREATE TABLE access.shipping (
    chain text   PRIMARY KEY,
    seq   bigint NOT NULL DEFAULT 0
);
INSERT INTO access.shipping (chain) VALUES ('-');
CREATE TABLE access.shipped_file (
    node     text   NOT NULL,
    file     text   NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (node, file)
);

-- The columns that the database cannot generate are held against the text once, when the row is made.
CREATE FUNCTION access.as_the_text_says() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_text jsonb := NEW.content::jsonb;
BEGIN
    IF NEW.state <> 'open' OR NEW.taken_at IS NOT NULL OR NEW.result <> '{}' OR NEW.decided_at IS NOT NULL THEN
        RAISE EXCEPTION 'a request begins open' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.asked_at IS DISTINCT FROM (v_text ->> 'asked_at')::timestamptz
            OR NEW.starts IS DISTINCT FROM (v_text ->> 'starts')::timestamptz
            OR NEW.expires IS DISTINCT FROM (v_text ->> 'expires')::timestamptz THEN
        RAISE EXCEPTION 'a column differs from the text' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER as_the_text_says BEFORE INSERT ON access.request
    FOR EACH ROW EXECUTE FUNCTION access.as_the_text_says();

-- The same table as admin_sync/access/state.py, by the role that moves.
CREATE FUNCTION access.may_move(p_by name, p_before text, p_after text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE p_by
        WHEN 'access_app' THEN (p_before, p_after) IN (
            ('open', 'approved'), ('open', 'denied'), ('open', 'cancelled'), ('open', 'expired'),
            ('approved', 'cancelled'), ('approved', 'expired'))
        WHEN 'access_reconciler' THEN (p_before, p_after) IN (
            ('open', 'cancelled'), ('open', 'expired'),
            ('approved', 'fulfilled'), ('approved', 'failed'), ('approved', 'cancelled'), ('approved', 'expired'))
        ELSE false END;

CREATE FUNCTION access.guard_move() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (NEW.number, NEW.content, NEW.hash, NEW.requester_person, NEW.subject_person, NEW.asked_at, NEW.starts,
            NEW.expires) IS DISTINCT FROM
       (OLD.number, OLD.content, OLD.hash, OLD.requester_person, OLD.subject_person, OLD.asked_at, OLD.starts,
            OLD.expires) THEN
        RAISE EXCEPTION 'a request never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IS DISTINCT FROM OLD.state THEN
        IF NOT access.may_move(current_user, OLD.state, NEW.state) THEN
            RAISE EXCEPTION '% may not move a request from % to %', current_user, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        -- What the reconciler has taken is its own until it says what came of it.
        IF current_user = 'access_app' AND OLD.taken_at IS NOT NULL THEN
            RAISE EXCEPTION 'the reconciler has this request' USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.state = 'approved' AND (NEW.changed_at >= NEW.expires OR NOT EXISTS (
                SELECT FROM access.approval a WHERE a.number = NEW.number)) THEN
            RAISE EXCEPTION 'a request is approved by somebody, before its end' USING ERRCODE = 'check_violation';
        END IF;
    ELSIF current_user = 'access_app' THEN
        RAISE EXCEPTION 'nothing changes but the state' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_move BEFORE UPDATE ON access.request FOR EACH ROW EXECUTE FUNCTION access.guard_move();

CREATE FUNCTION access.guard_approval() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_request access.request;
BEGIN
    -- Locked until this transaction ends: a yes and a cancellation do not both go through.
    SELECT * INTO v_request FROM access.request r WHERE r.number = NEW.number FOR UPDATE;
    IF v_request.state IS DISTINCT FROM 'open' OR NEW.given_at >= v_request.expires
            OR NEW.given_at < v_request.asked_at THEN
        RAISE EXCEPTION 'only an open request is approved' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.hash <> v_request.hash THEN
        RAISE EXCEPTION 'an approval names the text it approves' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.person IN (v_request.requester_person, v_request.subject_person)
            OR lower(NEW.by_email) IN (v_request.requester, v_request.subject)
            OR NEW.account = v_request.content::jsonb ->> 'requester_account' THEN
        RAISE EXCEPTION 'nobody approves what is their own' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_approval BEFORE INSERT ON access.approval FOR EACH ROW EXECUTE FUNCTION access.guard_approval();

-- Whatever happens to a request has its line in the trail, in the same transaction, or does not happen.
CREATE FUNCTION access.has_its_line() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM access.audit a
                   WHERE a.number = NEW.number AND a.transaction = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'no audit line in this transaction' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER has_its_line AFTER INSERT OR UPDATE ON access.request
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.has_its_line();
CREATE CONSTRAINT TRIGGER has_its_line AFTER INSERT ON access.approval
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.has_its_line();

-- Whoever waits for approved requests is told when the transaction has committed.
CREATE FUNCTION access.tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('access_requests', NEW.number || ' ' || NEW.state);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OF state ON access.request FOR EACH ROW EXECUTE FUNCTION access.tell();

-- What time it is: that of the clock, but never before what the trail has already said. A clock that is set back
-- brings nothing back that has ended.
CREATE FUNCTION access.moment() RETURNS timestamptz
    LANGUAGE sql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
    RETURN greatest(clock_timestamp(), (SELECT a.recorded_at FROM access.audit a ORDER BY a.seq DESC LIMIT 1));

-- The next number for a request, beyond every one that the configuration already knows (p_above).
CREATE FUNCTION access.next_number(p_above bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_number bigint;
BEGIN
    v_number := nextval('access.request_number');
    IF v_number <= p_above THEN
        -- One at a time here, and only here: two that skip ahead together would both land on the same number.
        PERFORM pg_advisory_xact_lock(4702394921427289928);
        v_number := nextval('access.request_number');
        IF v_number <= p_above THEN
            v_number := setval('access.request_number', p_above + 1);
        END IF;
    END IF;
    RETURN v_number;
END
$$;

-- Lines that no file has yet, in order (identity/audit/shipper.py).
CREATE FUNCTION access.unshipped(p_chains text[], p_limit integer, p_each integer)
    RETURNS TABLE (chain text, seq bigint, recorded_at timestamptz, line text)
    LANGUAGE sql STABLE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.chain, a.seq, a.recorded_at, a.line FROM access.shipping s JOIN access.audit a ON a.seq > s.seq
        WHERE s.chain = '-' AND (p_chains IS NULL OR s.chain = ANY (p_chains))
        ORDER BY a.seq LIMIT least(p_limit, p_each)
$$;

-- Says that lines are on disk: of each chain the last one, and of the file how far it is accounted for.
CREATE FUNCTION access.mark_shipped(p_chains text[], p_seqs bigint[], p_node text, p_file text, p_position bigint)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE access.shipping s SET seq = greatest(s.seq, u.seq)
        FROM unnest(p_chains, p_seqs) AS u (chain, seq) WHERE s.chain = u.chain;
    INSERT INTO access.shipped_file (node, file, position) VALUES (p_node, p_file, p_position)
        ON CONFLICT (node, file) DO UPDATE SET position = excluded.position;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC;
REVOKE ALL ON SCHEMA access FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO access_app, access_reconciler;
GRANT SELECT ON ALL TABLES IN SCHEMA access TO access_app, access_reconciler;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA access TO access_app, access_reconciler;
GRANT INSERT ON access.audit TO access_app, access_reconciler;
GRANT INSERT ON access.request, access.approval TO access_app;
-- Also what `SELECT … FOR UPDATE` needs.
GRANT UPDATE (state, changed_at, changed_by, reason, decided_at) ON access.request TO access_app;
GRANT UPDATE (state, changed_at, changed_by, reason, taken_at, result) ON access.request TO access_reconciler;
GRANT USAGE, UPDATE ON SEQUENCE access.request_number TO access_app;
GRANT INSERT, UPDATE ON access.shipping, access.shipped_file TO access_app;
