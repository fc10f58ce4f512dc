package example.tradepulse.keycloak.upstream;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;

/** The authenticator {@code tradepulse-upstream}, the first step of the post-broker flow. */
public final class UpstreamStepFactory implements StepFactory {

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
    public String getHelpText() {
        return "Counts the provider's own login for a level, as its setting tradepulse.assurance says. First in a post-broker flow.";
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
