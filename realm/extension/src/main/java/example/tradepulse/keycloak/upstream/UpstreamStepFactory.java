package example.tradepulse.keycloak.upstream;

import java.util.List;

import org.keycloak.Config;
import org.keycloak.authentication.Authenticator;
import org.keycloak.authentication.AuthenticatorFactory;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;

/** The authenticator {@code tradepulse-upstream}, the first step of the post-broker flow. */
public final class UpstreamStepFactory implements AuthenticatorFactory {

    public static final String PROVIDER_ID = "tradepulse-upstream";

    private static final Requirement[] REQUIREMENTS = {Requirement.REQUIRED, Requirement.DISABLED};

    @Override
    public Authenticator create(KeycloakSession session) {
        return UpstreamStep.INSTANCE;
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "Take over what the identity provider proved";
    }

    @Override
    public String getReferenceCategory() {
        return null;
    }

    @Override
    public String getHelpText() {
        return "Counts the provider's own login for a level, as its setting tradepulse.assurance says. First in a post-broker flow.";
    }

    @Override
    public boolean isConfigurable() {
        return false;
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }

    @Override
    public boolean isUserSetupAllowed() {
        return false;
    }

    @Override
    public void init(Config.Scope options) {
        // It has no options of its own.
    }

    @Override
    public void postInit(KeycloakSessionFactory factory) {
        // It listens to nothing.
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
