-- The broker of the connection that is to be released, which is what the policy has to be asked about. A
-- connection that is not there is recorded as the refused release it is, in the same round trip, so that
-- a missing connection costs no more than one of somebody else's.
CREATE FUNCTION vault.broker_to_release(p_partner text, p_connection text, p_line text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_broker text;
BEGIN
    PERFORM set_config('vault.partner', p_partner, true);
    SELECT c.broker INTO v_broker
        FROM vault.connection c JOIN vault.credential k USING (partner, connection)
        WHERE c.partner = p_partner AND c.connection = p_connection;
    IF NOT FOUND THEN
        PERFORM vault.append_audit(
            p_partner, p_connection, p_line, 'credential.release', 'denied', 'not_found', NULL);
    END IF;
    RETURN v_broker;
END
$$;

REVOKE ALL ON FUNCTION vault.broker_to_release(text, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.broker_to_release(text, text, text[]) TO vault_app;
