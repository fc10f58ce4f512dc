package example.tradepulse.keycloak.bypass;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;

/** The authenticator {@code tradepulse-bypass-end}. Put it in front of the cookie, as an alternative. */
public final class EndedSessionFactory implements StepFactory {

    public static final String PROVIDER_ID = "tradepulse-bypass-end";

    private static final Requirement[] REQUIREMENTS = {Requirement.ALTERNATIVE, Requirement.DISABLED};

    @Override
    public Authenticator create(KeycloakSession session) {
        return new EndedSession(session);
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "End the session of an emergency code";
    }

    @Override
    public String getHelpText() {
        return "Ends a session that an emergency code proved, once the code has ended. Put it in front of the cookie.";
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
