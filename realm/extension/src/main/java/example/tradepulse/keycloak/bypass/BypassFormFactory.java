package example.tradepulse.keycloak.bypass;

import java.util.List;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;
import org.keycloak.provider.ProviderConfigProperty;

/** The authenticator {@code tradepulse-mfa-bypass}. Put it beside the second factors, behind the first. */
public final class BypassFormFactory implements StepFactory {

    public static final String PROVIDER_ID = "tradepulse-mfa-bypass";

    private static final Requirement[] REQUIREMENTS = {Requirement.ALTERNATIVE, Requirement.DISABLED};

    @Override
    public Authenticator create(KeycloakSession session) {
        return new BypassForm(session);
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "Emergency code";
    }

    @Override
    public String getHelpText() {
        return "Asks for an approved emergency code, once, in place of a second factor. Put it beside the second factors.";
    }

    /** The method reference is configured, as with Keycloak's own factors, which do not declare it either. */
    @Override
    public boolean isConfigurable() {
        return true;
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
