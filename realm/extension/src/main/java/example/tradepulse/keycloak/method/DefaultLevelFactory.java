package example.tradepulse.keycloak.method;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;

/** The authenticator {@code tradepulse-default-level}. Put it before everything else, as an alternative. */
public final class DefaultLevelFactory implements StepFactory {

    public static final String PROVIDER_ID = "tradepulse-default-level";

    private static final Requirement[] REQUIREMENTS = {Requirement.ALTERNATIVE, Requirement.DISABLED};

    @Override
    public Authenticator create(KeycloakSession session) {
        return DefaultLevel.INSTANCE;
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "Ask for the client's default level";
    }

    @Override
    public String getHelpText() {
        return "Asks for the client's default acr where nobody asked for any, as in a login for another device. Put it first.";
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
