-- Custody of the credentials of emergency accounts: sealed when they are made, given out once, then changed.
--
-- A row goes  pending ─ confirmed ─▶ sealed ─ released ─▶ released ─ a newer one is kept ─▶ pending …
-- What is pending may already be in force in Keycloak or not yet, so it is given to nobody; the version that
-- was there before is not either, because it may already have ceased to be.

CREATE TABLE vault.break_glass (
    environment   text        NOT NULL CHECK (environment ~ '^[a-z][a-z0-9-]{0,31}$'),
    account       text        NOT NULL CHECK (account ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    version       bigint      NOT NULL CHECK (version > 0),
    state         text        NOT NULL CHECK (state IN ('pending', 'sealed', 'released')),
    -- Which root key the KMS is asked for, and what it is asked about besides the names and the version.
    root_version  bigint      NOT NULL CHECK (root_version > 0),
    salt          bytea       NOT NULL CHECK (octet_length(salt) = 32),
    sealed        bytea       NOT NULL CHECK (octet_length(sealed) BETWEEN 78 AND 65536),
    kept_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    kept_by       text        NOT NULL,
    confirmed_at  timestamptz,
    PRIMARY KEY (environment, account)
);

-- One line for each approved request that was given a credential; that there can be only one is what
-- makes a proof of approval worth one opening, however often it is shown.
CREATE TABLE vault.break_glass_release (
    request      text        PRIMARY KEY,
    environment  text        NOT NULL,
    account      text        NOT NULL,
    version      bigint      NOT NULL,
    subject      text        NOT NULL,
    released_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (environment, account, version)
);

REVOKE ALL ON vault.break_glass, vault.break_glass_release FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON vault.break_glass TO vault_app;
GRANT SELECT, INSERT ON vault.break_glass_release TO vault_app;
-- An old root key is not retired while something here still opens with it.
GRANT SELECT ON vault.break_glass TO vault_rotator;

-- The version that comes next; what is sealed is bound to its number before it is written.
CREATE FUNCTION vault.break_glass_next(p_environment text, p_account text) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce((SELECT b.version FROM vault.break_glass b
                     WHERE b.environment = p_environment AND b.account = p_account), 0) + 1;
END
$$;

-- Keeps a new credential, as pending. Answers `kept`; `in_progress` while somebody else's change, younger than
-- p_patience, has not ended; `superseded` when the version is taken. Nothing happens in the latter two.
CREATE FUNCTION vault.break_glass_keep(
    p_environment text, p_account text, p_version bigint, p_root_version bigint, p_salt bytea, p_sealed bytea,
    p_by text, p_patience interval, p_line text[]
) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row     vault.break_glass;
    v_outcome text := 'kept';
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    -- A row that is not there cannot be locked, and two may be the first.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_environment || '/' || p_account, 20261124));
    SELECT * INTO v_row FROM vault.break_glass b
        WHERE b.environment = p_environment AND b.account = p_account FOR UPDATE;
    IF v_row.state = 'pending' AND v_row.kept_at > clock_timestamp() - p_patience THEN
        v_outcome := 'in_progress';
    ELSIF p_version <> coalesce(v_row.version, 0) + 1 THEN
        v_outcome := 'superseded';
    ELSE
        INSERT INTO vault.break_glass AS b
                (environment, account, version, state, root_version, salt, sealed, kept_by)
            VALUES (p_environment, p_account, p_version, 'pending', p_root_version, p_salt, p_sealed, p_by)
            ON CONFLICT (environment, account) DO UPDATE SET
                version = excluded.version, state = 'pending', root_version = excluded.root_version,
                salt = excluded.salt, sealed = excluded.sealed, kept_by = excluded.kept_by,
                kept_at = clock_timestamp(), confirmed_at = NULL;
    END IF;
    PERFORM vault.append_audit('-', NULL, p_line, 'break_glass.seal',
        CASE v_outcome WHEN 'kept' THEN 'success' ELSE 'denied' END, v_outcome, NULL);
    RETURN v_outcome;
END
$$;

-- The credential of that version is in force in Keycloak: from here on it can be released.
CREATE FUNCTION vault.break_glass_confirm(p_environment text, p_account text, p_version bigint, p_line text[])
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_done boolean;
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    UPDATE vault.break_glass b SET state = 'sealed', confirmed_at = clock_timestamp()
        WHERE b.environment = p_environment AND b.account = p_account AND b.version = p_version
          AND b.state = 'pending';
    v_done := FOUND;
    PERFORM vault.append_audit('-', NULL, p_line, 'break_glass.sealed',
        CASE WHEN v_done THEN 'success' ELSE 'denied' END, CASE WHEN NOT v_done THEN 'superseded' END, NULL);
    RETURN v_done;
END
$$;

-- What there is to open, without the sealed value: the key is derived before anything is given up for it.
CREATE FUNCTION vault.break_glass_kept(p_environment text, p_account text)
    RETURNS TABLE (environment text, account text, version bigint, state text, root_version bigint, salt bytea,
                   kept_at timestamptz, confirmed_at timestamptz, request text, released_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT b.environment, b.account, b.version, b.state, b.root_version, b.salt, b.kept_at,
                        b.confirmed_at, r.request, r.released_at
        FROM vault.break_glass b LEFT JOIN vault.break_glass_release r
          ON r.environment = b.environment AND r.account = b.account AND r.version = b.version
        WHERE (p_environment IS NULL OR b.environment = p_environment) AND (p_account IS NULL OR b.account = p_account)
        ORDER BY b.environment, b.account;
END
$$;

-- Gives the sealed value out, once: NULL where the request or the version had its release, or the version changed.
CREATE FUNCTION vault.break_glass_release(
    p_environment text, p_account text, p_version bigint, p_request text, p_subject text, p_line text[]
) RETURNS bytea
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_sealed bytea;
BEGIN
    PERFORM set_config('vault.partner', '-', true);
    -- Whoever comes second waits here for the first one's commit, and then finds no sealed row.
    SELECT b.sealed INTO v_sealed FROM vault.break_glass b
        WHERE b.environment = p_environment AND b.account = p_account AND b.version = p_version
          AND b.state = 'sealed' FOR UPDATE;
    IF FOUND THEN
        INSERT INTO vault.break_glass_release (request, environment, account, version, subject)
            VALUES (p_request, p_environment, p_account, p_version, p_subject) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            UPDATE vault.break_glass b SET state = 'released'
                WHERE b.environment = p_environment AND b.account = p_account;
        ELSE
            v_sealed := NULL;
        END IF;
    END IF;
    PERFORM vault.append_audit('-', NULL, p_line, 'break_glass.release',
        CASE WHEN v_sealed IS NULL THEN 'denied' ELSE 'success' END,
        CASE WHEN v_sealed IS NULL THEN 'already_released' ELSE p_request END, NULL);
    RETURN v_sealed;
END
$$;

REVOKE ALL ON FUNCTION vault.break_glass_next(text, text),
    vault.break_glass_keep(text, text, bigint, bigint, bytea, bytea, text, interval, text[]),
    vault.break_glass_confirm(text, text, bigint, text[]), vault.break_glass_kept(text, text),
    vault.break_glass_release(text, text, bigint, text, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.break_glass_next(text, text),
    vault.break_glass_keep(text, text, bigint, bigint, bytea, bytea, text, interval, text[]),
    vault.break_glass_confirm(text, text, bigint, text[]), vault.break_glass_kept(text, text),
    vault.break_glass_release(text, text, bigint, text, text, text[]) TO vault_app;
