-- Who is invited to a partner, and who gave whom which role until when. What is in force is in Keycloak, whose word
-- counts; these rows say why, and everything that happened is in the partner's trail.

CREATE TABLE vault.invitation (
    partner         text        NOT NULL,
    invitation      text        NOT NULL CHECK (invitation ~ '^[a-z0-9]{16}$'),
    email           text        NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    role            text        NOT NULL CHECK (role ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    -- When the role will be over, not the invitation.
    until           timestamptz,
    code_hash       bytea       NOT NULL CHECK (octet_length(code_hash) = 32),
    invited_by      text        NOT NULL,
    invited_by_name text        NOT NULL,
    invited_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'withdrawn', 'locked')),
    failures        integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    closed_at       timestamptz,
    PRIMARY KEY (partner, invitation)
);

CREATE TABLE vault.member_role (
    partner       text        NOT NULL,
    account       text        NOT NULL CHECK (length(account) BETWEEN 1 AND 255),
    role          text        NOT NULL CHECK (role ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    email         text        NOT NULL,
    until         timestamptz,
    given_by      text        NOT NULL,
    given_by_name text        NOT NULL,
    given_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    over_at       timestamptz,
    PRIMARY KEY (partner, account, role)
);

ALTER TABLE vault.invitation ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.invitation FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.invitation USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
ALTER TABLE vault.member_role ENABLE ROW LEVEL SECURITY;
ALTER TABLE vault.member_role FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON vault.member_role USING (partner = vault.tenant()) WITH CHECK (partner = vault.tenant());
REVOKE ALL ON vault.invitation, vault.member_role FROM PUBLIC;
GRANT SELECT, INSERT ON vault.invitation TO vault_app;
-- For whom, to what and under which code it is never changes.
GRANT UPDATE (state, failures, closed_at) ON vault.invitation TO vault_app;
GRANT SELECT, INSERT, UPDATE ON vault.member_role TO vault_app;

-- Answers `invited`; `already` while an invitation of the same person to the same role is open; `too_many` while p_most are.
CREATE FUNCTION vault.invite(
    p_partner text, p_invitation text, p_email text, p_role text, p_until timestamptz, p_hash bytea,
    p_by text, p_by_name text, p_lasts interval, p_most integer, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_outcome text := 'invited';
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    PERFORM pg_advisory_xact_lock(hashtextextended(p_partner, 20261125));
    IF EXISTS (SELECT FROM vault.invitation i WHERE i.partner = p_partner AND i.email = p_email AND i.role = p_role
               AND i.state = 'open' AND i.expires_at > clock_timestamp()) THEN
        v_outcome := 'already';
    ELSIF (SELECT count(*) FROM vault.invitation i WHERE i.partner = p_partner AND i.state = 'open'
           AND i.expires_at > clock_timestamp()) >= p_most THEN
        v_outcome := 'too_many';
    ELSE
        INSERT INTO vault.invitation (partner, invitation, email, role, until, code_hash, invited_by, invited_by_name, expires_at)
            VALUES (p_partner, p_invitation, p_email, p_role, p_until, p_hash, p_by, p_by_name, clock_timestamp() + p_lasts);
    END IF;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'invitation.make',
        CASE v_outcome WHEN 'invited' THEN 'success' ELSE 'denied' END, nullif(v_outcome, 'invited'), NULL);
    RETURN v_outcome;
END
$$;

CREATE FUNCTION vault.invitations(p_partner text)
    RETURNS TABLE (invitation text, email text, role text, until timestamptz, invited_by_name text,
                   invited_at timestamptz, expires_at timestamptz, state text)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT i.invitation, i.email, i.role, i.until, i.invited_by_name, i.invited_at, i.expires_at, i.state
        FROM vault.invitation i WHERE i.partner = p_partner AND i.state IN ('open', 'locked')
          AND i.expires_at > clock_timestamp() - interval '30 days'
        ORDER BY i.invited_at DESC, i.invitation LIMIT 500;
END
$$;

-- Takes an invitation up, once: `accepted`, `not_found`, `expired`, `closed`, or `wrong_code`, of which so many lock it. An
-- invitation that is not there leaves no line: anybody can ask for one.
CREATE FUNCTION vault.invitation_take(
    p_partner text, p_invitation text, p_hash bytea, p_email text, p_most integer, p_line text[]
) RETURNS TABLE (outcome text, email text, role text, until timestamptz, invited_by text, invited_by_name text)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_row vault.invitation;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT * INTO v_row FROM vault.invitation i
        WHERE i.partner = p_partner AND i.invitation = p_invitation FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN NEXT;
        RETURN;
    END IF;
    outcome := CASE
        WHEN v_row.state <> 'open' THEN 'closed'
        WHEN v_row.expires_at <= clock_timestamp() OR v_row.until <= clock_timestamp() THEN 'expired'
        WHEN v_row.code_hash <> p_hash THEN 'wrong_code'
        -- Whoever is logged in takes up nobody else's.
        WHEN p_email IS NOT NULL AND p_email <> v_row.email THEN 'not_theirs'
        ELSE 'accepted' END;
    IF outcome = 'accepted' THEN
        UPDATE vault.invitation i SET state = 'accepted', closed_at = clock_timestamp()
            WHERE i.partner = p_partner AND i.invitation = p_invitation;
        email := v_row.email; role := v_row.role; until := v_row.until;
        invited_by := v_row.invited_by; invited_by_name := v_row.invited_by_name;
    ELSIF outcome = 'wrong_code' THEN
        UPDATE vault.invitation i SET failures = i.failures + 1,
                state = CASE WHEN i.failures + 1 >= p_most THEN 'locked' ELSE i.state END
            WHERE i.partner = p_partner AND i.invitation = p_invitation;
    END IF;
    -- One that is over already has its lines, and would have one more for each that somebody sends.
    IF outcome <> 'closed' THEN
        PERFORM vault.append_audit(p_partner, NULL, p_line, 'invitation.accept',
            CASE outcome WHEN 'accepted' THEN 'success' ELSE 'denied' END, nullif(outcome, 'accepted'), NULL);
    END IF;
    RETURN NEXT;
END
$$;

-- Opens an invitation again that was taken up for nothing: what it was for did not happen.
CREATE FUNCTION vault.invitation_return(p_partner text, p_invitation text, p_reason text, p_line text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_done boolean;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.invitation i SET state = 'open', closed_at = NULL
        WHERE i.partner = p_partner AND i.invitation = p_invitation AND i.state = 'accepted';
    v_done := FOUND;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'invitation.accept', 'failure', p_reason, NULL);
    RETURN v_done;
END
$$;

CREATE FUNCTION vault.invitation_withdraw(p_partner text, p_invitation text, p_line text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_done boolean;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.invitation i SET state = 'withdrawn', closed_at = clock_timestamp()
        WHERE i.partner = p_partner AND i.invitation = p_invitation AND i.state IN ('open', 'locked');
    v_done := FOUND;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'invitation.withdraw',
        CASE WHEN v_done THEN 'success' ELSE 'denied' END, CASE WHEN NOT v_done THEN 'not_found' END, NULL);
    RETURN v_done;
END
$$;

-- Notes who gives a role, with the line, before Keycloak is told.
CREATE FUNCTION vault.member_given(
    p_partner text, p_account text, p_role text, p_email text, p_until timestamptz, p_by text, p_by_name text, p_line text[]
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    INSERT INTO vault.member_role AS m (partner, account, role, email, until, given_by, given_by_name)
        VALUES (p_partner, p_account, p_role, p_email, p_until, p_by, p_by_name)
        ON CONFLICT (partner, account, role) DO UPDATE SET
            email = excluded.email, until = excluded.until, given_by = excluded.given_by,
            given_by_name = excluded.given_by_name, given_at = clock_timestamp(), over_at = NULL;
    PERFORM vault.append_audit(p_partner, NULL, p_line, 'member.give', 'success', NULL, NULL);
END
$$;

-- Notes that a role is held no more; p_role NULL: every role of the account.
CREATE FUNCTION vault.member_over(p_partner text, p_account text, p_role text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    UPDATE vault.member_role m SET over_at = clock_timestamp()
        WHERE m.partner = p_partner AND m.account = p_account AND (p_role IS NULL OR m.role = p_role)
          AND m.over_at IS NULL;
END
$$;

CREATE FUNCTION vault.member_roles(p_partner text)
    RETURNS TABLE (account text, role text, until timestamptz, given_by_name text, given_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    RETURN QUERY SELECT m.account, m.role, m.until, m.given_by_name, m.given_at
        FROM vault.member_role m WHERE m.partner = p_partner AND m.over_at IS NULL;
END
$$;

REVOKE ALL ON FUNCTION vault.invite(text, text, text, text, timestamptz, bytea, text, text, interval, integer, text[]),
    vault.invitations(text), vault.invitation_take(text, text, bytea, text, integer, text[]),
    vault.invitation_return(text, text, text, text[]), vault.invitation_withdraw(text, text, text[]),
    vault.member_given(text, text, text, text, timestamptz, text, text, text[]),
    vault.member_over(text, text, text), vault.member_roles(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    vault.invite(text, text, text, text, timestamptz, bytea, text, text, interval, integer, text[]),
    vault.invitations(text), vault.invitation_take(text, text, bytea, text, integer, text[]),
    vault.invitation_return(text, text, text, text[]), vault.invitation_withdraw(text, text, text[]),
    vault.member_given(text, text, text, text, timestamptz, text, text, text[]),
    vault.member_over(text, text, text), vault.member_roles(text) TO vault_app;
