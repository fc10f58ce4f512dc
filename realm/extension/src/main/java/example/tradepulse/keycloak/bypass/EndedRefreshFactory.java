package example.tradepulse.keycloak.bypass;

import java.util.List;

import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProviderFactory;

/** The client policy executor {@code tradepulse-bypass-end}. */
public final class EndedRefreshFactory implements ClientPolicyExecutorProviderFactory {

    public static final String PROVIDER_ID = "tradepulse-bypass-end";

    @Override
    public ClientPolicyExecutorProvider<?> create(KeycloakSession session) {
        return EndedRefresh.INSTANCE;
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getHelpText() {
        return "Refreshes no token of a session that an emergency code proved, once the code has ended.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public void init(Config.Scope options) {
        // Nothing is configured.
    }

    @Override
    public void postInit(KeycloakSessionFactory factory) {
        // Nothing is started.
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
