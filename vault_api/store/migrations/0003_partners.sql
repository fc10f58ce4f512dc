-- The names of the partners that the vault keeps something for. Work that goes over all of them
-- (refreshing, rotating, ending leases) begins here and then enters one tenant at a time, so that no
-- role ever needs a policy that shows several. It holds names, which the audit file holds as well.
CREATE TABLE vault.partner (
    partner  text        PRIMARY KEY CHECK (partner ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    since    timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON vault.partner FROM PUBLIC;
GRANT SELECT, INSERT ON vault.partner TO vault_app;
GRANT USAGE ON SCHEMA vault TO vault_rotator;
GRANT SELECT ON vault.partner, vault.alembic_version TO vault_rotator;

CREATE FUNCTION vault.know_partner() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO vault.partner (partner) VALUES (NEW.partner) ON CONFLICT DO NOTHING;
    RETURN NEW;
END
$$;
CREATE TRIGGER know_partner AFTER INSERT ON vault.key_context
    FOR EACH ROW EXECUTE FUNCTION vault.know_partner();
CREATE TRIGGER know_partner AFTER INSERT ON vault.connection
    FOR EACH ROW EXECUTE FUNCTION vault.know_partner();

REVOKE ALL ON FUNCTION vault.know_partner() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.know_partner() TO vault_app;

-- Row security shows no tenant to the owner either, so those that are there already are read while the owner is exempt, within this transaction.
ALTER TABLE vault.connection  NO FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.key_context NO FORCE ROW LEVEL SECURITY;
INSERT INTO vault.partner (partner) SELECT partner FROM vault.key_context UNION SELECT partner FROM vault.connection;
ALTER TABLE vault.connection  FORCE ROW LEVEL SECURITY;
ALTER TABLE vault.key_context FORCE ROW LEVEL SECURITY;
