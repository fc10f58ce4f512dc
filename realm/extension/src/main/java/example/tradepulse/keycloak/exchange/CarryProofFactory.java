package example.tradepulse.keycloak.exchange;

import java.util.List;

import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProviderFactory;

/** Makes {@link CarryProof}. */
public final class CarryProofFactory implements ClientPolicyExecutorProviderFactory {

    public static final String PROVIDER_ID = "tradepulse-carry-proof";

    @Override
    public ClientPolicyExecutorProvider<?> create(KeycloakSession session) {
        return new CarryProof(session);
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getHelpText() {
        return "Gives an exchanged token the assurance that the token before it proved, and refuses what would widen it.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public void init(Config.Scope config) {
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
