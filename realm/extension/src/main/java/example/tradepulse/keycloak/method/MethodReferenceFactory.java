package example.tradepulse.keycloak.method;

import java.util.List;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.Constants;
import org.keycloak.models.KeycloakSession;
import org.keycloak.provider.ProviderConfigProperty;

/**
 * The authenticator {@code tradepulse-method-reference}.
 *
 * <p>It declares the two properties of a method reference, which Keycloak's own authenticators accept without declaring
 * them. Keycloak masks undeclared properties as secrets in every export, for all authenticators alike, and a masked
 * value cannot be compared with the wanted one. Declared once, they are readable everywhere.
 */
public final class MethodReferenceFactory implements StepFactory {

    public static final String PROVIDER_ID = "tradepulse-method-reference";

    private static final Requirement[] REQUIREMENTS = {Requirement.REQUIRED, Requirement.DISABLED};

    private static final List<ProviderConfigProperty> PROPERTIES = List.of(
            new ProviderConfigProperty(
                    Constants.AUTHENTICATION_EXECUTION_REFERENCE_VALUE,
                    "Method",
                    "The value for amr (RFC 8176), for example pwd.",
                    ProviderConfigProperty.STRING_TYPE,
                    null),
            new ProviderConfigProperty(
                    Constants.AUTHENTICATION_EXECUTION_REFERENCE_MAX_AGE,
                    "Seconds",
                    "How long after the login the method is still listed.",
                    ProviderConfigProperty.STRING_TYPE,
                    null));

    @Override
    public Authenticator create(KeycloakSession session) {
        return MethodReference.INSTANCE;
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "Note an authentication method";
    }

    @Override
    public String getHelpText() {
        return "Lets everybody pass and notes a method for amr. Put it behind a condition on the credential that was used.";
    }

    @Override
    public boolean isConfigurable() {
        return true;
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return PROPERTIES;
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
