-- Openings of emergency accounts, from the moment before the account is enabled until somebody reviewed them.
-- Run by the migration as access_owner.

CREATE TABLE access.break_glass (
    number          bigint      PRIMARY KEY REFERENCES access.request,
    environment     text        NOT NULL,
    account         text        NOT NULL,
    opener          text        NOT NULL,
    approvers       text[]      NOT NULL CHECK (cardinality(approvers) > 0),
    reason          text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    until           timestamptz NOT NULL CHECK (until > opened_at),
    due             timestamptz NOT NULL CHECK (due > opened_at),
    close_asked_at  timestamptz,
    close_asked_by  text,
    closed_at       timestamptz,
    reviewed_at     timestamptz,
    reviewed_by     text,
    verdict         text        CHECK (verdict IN ('justified', 'misused')),
    findings        text        CHECK (length(findings) BETWEEN 10 AND 4000),
    escalated_at    timestamptz,
    CHECK (NOT opener = ANY (approvers)),
    CHECK ((close_asked_at IS NULL) = (close_asked_by IS NULL)),
    -- A review is of what is over, whole, and by somebody who had no part in it.
    CHECK (reviewed_at IS NULL OR closed_at IS NOT NULL),
    CHECK (num_nulls(reviewed_at, reviewed_by, verdict, findings) IN (0, 4)),
    CHECK (reviewed_by IS NULL OR (reviewed_by <> opener AND NOT reviewed_by = ANY (approvers)))
);
-- One opening of an account at a time, in all environments together, whoever asks and however many ask at once: what
-- bars an account while it is closed bars its address everywhere.
CREATE UNIQUE INDEX break_glass_one_at_a_time ON access.break_glass (account) WHERE closed_at IS NULL;
CREATE INDEX break_glass_to_review ON access.break_glass (due) WHERE reviewed_at IS NULL;

CREATE FUNCTION access.guard_break_glass() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (NEW.number, NEW.environment, NEW.account, NEW.opener, NEW.approvers, NEW.reason, NEW.opened_at, NEW.until,
            NEW.due) IS DISTINCT FROM
       (OLD.number, OLD.environment, OLD.account, OLD.opener, OLD.approvers, OLD.reason, OLD.opened_at, OLD.until,
            OLD.due) THEN
        RAISE EXCEPTION 'an opening never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.close_asked_at IS NOT NULL AND NEW.close_asked_at IS DISTINCT FROM OLD.close_asked_at)
            OR (OLD.closed_at IS NOT NULL AND NEW.closed_at IS DISTINCT FROM OLD.closed_at)
            OR (OLD.reviewed_at IS NOT NULL AND (NEW.reviewed_at, NEW.reviewed_by, NEW.verdict, NEW.findings)
                IS DISTINCT FROM (OLD.reviewed_at, OLD.reviewed_by, OLD.verdict, OLD.findings)) THEN
        RAISE EXCEPTION 'what happened to an opening is not taken back' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_break_glass BEFORE UPDATE ON access.break_glass
    FOR EACH ROW EXECUTE FUNCTION access.guard_break_glass();
CREATE CONSTRAINT TRIGGER has_its_line AFTER INSERT OR UPDATE ON access.break_glass
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.has_its_line();

-- The reconciler wakes up when somebody asks for an opening to be closed.
CREATE FUNCTION access.tell_break_glass() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('access_requests', NEW.number || ' break_glass');
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON access.break_glass
    FOR EACH ROW EXECUTE FUNCTION access.tell_break_glass();

REVOKE ALL ON access.break_glass FROM PUBLIC;
REVOKE ALL ON FUNCTION access.guard_break_glass(), access.tell_break_glass() FROM PUBLIC;
GRANT SELECT ON access.break_glass TO access_app, access_reconciler;
-- Who can open and close cannot review, and who takes reviews can neither open nor say that something is closed.
GRANT INSERT ON access.break_glass TO access_reconciler;
GRANT UPDATE (closed_at, escalated_at) ON access.break_glass TO access_reconciler;
GRANT UPDATE (close_asked_at, close_asked_by, reviewed_at, reviewed_by, verdict, findings) ON access.break_glass
    TO access_app;
GRANT EXECUTE ON FUNCTION access.guard_break_glass(), access.tell_break_glass() TO access_app, access_reconciler;
