-- Certification: campaigns, what they ask about, and what reviewers say. Run by the migration as access_owner.
--
-- The text of an item is the truth, as that of a request is: a decision names its hash, and neither ever changes.

CREATE TABLE access.campaign (
    quarter       text        PRIMARY KEY CHECK (quarter ~ '^20[0-9]{2}Q[1-4]$'),
    state         text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closing', 'closed')),
    opened_at     timestamptz NOT NULL,
    opened_by     text        NOT NULL,
    due           timestamptz NOT NULL CHECK (due > opened_at),
    -- Roster, policy and how far back the record of use goes, as the report tells them.
    circumstances text        NOT NULL,
    -- Who was employed, so that the next roster can be held against it.
    roster        text        NOT NULL,
    closing_at    timestamptz,
    closed_by     text,
    closed_at     timestamptz,
    figures       text,
    commit_name   text,
    evidence      text        CHECK (evidence ~ '^[0-9a-f]{64}$'),
    CHECK ((state = 'open') = (closing_at IS NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((state = 'closed') = (evidence IS NOT NULL))
);
CREATE UNIQUE INDEX campaign_one_at_a_time ON access.campaign ((true)) WHERE state <> 'closed';

CREATE TABLE access.campaign_item (
    quarter text    NOT NULL REFERENCES access.campaign,
    key     text    NOT NULL CHECK (key ~ '^[0-9a-f]{16}$'),
    number  integer NOT NULL,
    hash    text    NOT NULL CHECK (hash = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
    content text    NOT NULL,
    PRIMARY KEY (quarter, key),
    UNIQUE (quarter, number)
);

CREATE TABLE access.campaign_decision (
    quarter   text        NOT NULL,
    key       text        NOT NULL,
    verdict   text        NOT NULL CHECK (verdict IN ('keep', 'revoke')),
    hash      text        NOT NULL,
    reason    text        NOT NULL CHECK (length(reason) BETWEEN 10 AND 2000),
    person    text        NOT NULL,
    account   text        NOT NULL,
    capacity  text        NOT NULL,
    acr       text        NOT NULL,
    auth_time bigint      NOT NULL,
    session   text,
    given_at  timestamptz NOT NULL,
    -- One keep and one revoke at most: a keep can still be outweighed, a revoke can not be taken back.
    PRIMARY KEY (quarter, key, verdict),
    FOREIGN KEY (quarter, key) REFERENCES access.campaign_item
);

CREATE FUNCTION access.guard_campaign() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (NEW.quarter, NEW.opened_at, NEW.opened_by, NEW.due, NEW.circumstances, NEW.roster) IS DISTINCT FROM
       (OLD.quarter, OLD.opened_at, OLD.opened_by, OLD.due, OLD.circumstances, OLD.roster) THEN
        RAISE EXCEPTION 'a campaign never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.state, NEW.state) NOT IN (('open', 'closing'), ('closing', 'closed')) THEN
        RAISE EXCEPTION 'a campaign moves on and not back' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_campaign BEFORE UPDATE ON access.campaign
    FOR EACH ROW EXECUTE FUNCTION access.guard_campaign();

CREATE FUNCTION access.guard_decision() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_state text;
    v_item access.campaign_item;
BEGIN
    -- Shared, so that reviewers do not wait for each other, and closing waits for all of them.
    SELECT c.state INTO v_state FROM access.campaign c WHERE c.quarter = NEW.quarter FOR SHARE;
    IF v_state IS DISTINCT FROM 'open' THEN
        RAISE EXCEPTION 'only an open campaign takes decisions' USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO v_item FROM access.campaign_item i WHERE i.quarter = NEW.quarter AND i.key = NEW.key;
    IF NEW.hash IS DISTINCT FROM v_item.hash THEN
        RAISE EXCEPTION 'a decision names the text it decides about' USING ERRCODE = 'check_violation';
    END IF;
    IF lower(NEW.person) = lower(v_item.content::jsonb #>> '{binding,subject,user}')
            OR (v_item.content::jsonb -> 'provisioners') ? lower(NEW.person) THEN
        RAISE EXCEPTION 'nobody decides about what they hold or gave' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_decision BEFORE INSERT ON access.campaign_decision
    FOR EACH ROW EXECUTE FUNCTION access.guard_decision();

-- A decision has its line in the trail, in the same transaction, or is none.
CREATE FUNCTION access.decision_has_its_line() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM access.audit a WHERE a.event LIKE 'certification.%'
                   AND a.transaction = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'no audit line in this transaction' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE INDEX audit_transaction ON access.audit (transaction);
CREATE CONSTRAINT TRIGGER has_its_line AFTER INSERT OR UPDATE ON access.campaign
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.decision_has_its_line();
CREATE CONSTRAINT TRIGGER has_its_line AFTER INSERT ON access.campaign_decision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.decision_has_its_line();

REVOKE ALL ON access.campaign, access.campaign_item, access.campaign_decision FROM PUBLIC;
REVOKE ALL ON FUNCTION access.guard_campaign(), access.guard_decision(), access.decision_has_its_line() FROM PUBLIC;
GRANT SELECT ON access.campaign, access.campaign_item, access.campaign_decision TO access_app, access_reconciler;
-- Who decides can neither open nor close, and who opens and closes can not decide.
GRANT INSERT ON access.campaign_decision TO access_app;
GRANT INSERT ON access.campaign, access.campaign_item TO access_reconciler;
GRANT UPDATE (state, closing_at, closed_by, closed_at, figures, commit_name, evidence) ON access.campaign
    TO access_reconciler;
-- What `SELECT … FOR SHARE` needs. Of a state alone no change keeps the constraints, so this role makes none.
GRANT UPDATE (state) ON access.campaign TO access_app;
GRANT EXECUTE ON FUNCTION access.guard_campaign(), access.guard_decision(), access.decision_has_its_line()
    TO access_app, access_reconciler;
