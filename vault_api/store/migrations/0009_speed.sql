-- What the hot paths pay for on every call, made cheap. Nothing is decided differently.

-- Row security asks vault.tenant() for every table that a statement touches. Written in SQL with a body that is bound
-- when it is created, it becomes part of the plan, where a plpgsql function is called each time with its search_path
-- set and reset around it. A bound body looks nothing up when it runs, so there is no search_path to fix.
CREATE FUNCTION vault.no_tenant() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- An empty result would hide that somebody forgot the tenant; an error cannot be overlooked.
    RAISE EXCEPTION 'vault.partner is not set in this transaction'
        USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION vault.no_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.no_tenant() TO vault_app, vault_rotator;

-- Missing in a fresh session, and an empty string after a transaction that had set it.
CREATE OR REPLACE FUNCTION vault.tenant() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
    RETURN CASE WHEN current_setting('vault.partner', true) <> '' THEN current_setting('vault.partner', true)
                ELSE vault.no_tenant() END;

-- Ciphertext does not compress, and PostgreSQL tries. A token set of usual size stays in its row, where a release
-- finds it without a second table and a second index.
ALTER TABLE vault.credential SET (toast_tuple_target = 8160);
ALTER TABLE vault.credential
    ALTER COLUMN access_sealed SET STORAGE EXTERNAL,
    ALTER COLUMN refresh_sealed SET STORAGE EXTERNAL;
