package example.tradepulse.keycloak.bulk;

import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.services.resources.admin.ext.AdminRealmResourceProvider;
import org.keycloak.services.resources.admin.ext.AdminRealmResourceProviderFactory;

/** The admin API extension {@code tradepulse-bulk}: a realm read in one request and changed in one transaction. */
public final class BulkProviderFactory implements AdminRealmResourceProviderFactory {

    public static final String PROVIDER_ID = "tradepulse-bulk";

    @Override
    public AdminRealmResourceProvider create(KeycloakSession session) {
        return new BulkProvider();
    }

    @Override
    public void init(Config.Scope options) {
        // Nothing to set: its limits are part of its protocol.
    }

    @Override
    public void postInit(KeycloakSessionFactory factory) {
        // Depends on no other provider.
    }

    @Override
    public void close() {
        // Holds nothing.
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }
}
