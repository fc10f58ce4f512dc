package example.tradepulse.keycloak.risk;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

import example.tradepulse.keycloak.step.StepFactory;
import org.keycloak.Config;
import org.keycloak.authentication.AuthenticationFlowCallbackFactory;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.AuthenticationExecutionModel.Requirement;
import org.keycloak.models.KeycloakSession;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.provider.ProviderConfigurationBuilder;

/**
 * The authenticator {@code tradepulse-risk}. What it judges stands in the realm's attribute {@code tradepulse.risk}; the
 * files that are named there lie in the directory of {@code --spi-authenticator--tradepulse-risk--directory=<path>}.
 */
public final class RiskAuthenticatorFactory implements AuthenticationFlowCallbackFactory, StepFactory {

    public static final String PROVIDER_ID = "tradepulse-risk";

    static final String OPTION = "--spi-authenticator--" + PROVIDER_ID + "--";

    private static final Requirement[] REQUIREMENTS = {Requirement.REQUIRED, Requirement.ALTERNATIVE, Requirement.DISABLED};

    private Judge judge;

    @Override
    public void init(Config.Scope options) {
        Optional<Path> directory = Optional.ofNullable(options.get("directory")).filter(path -> !path.isBlank()).map(Path::of);
        judge = new Judge(
                new WatchedFiles<>(directory, NetworkFile::denyList), new WatchedFiles<>(directory, NetworkFile::locations));
    }

    @Override
    public Authenticator create(KeycloakSession session) {
        return new RiskAuthenticator(session, judge);
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "Judge the risk of a login";
    }

    @Override
    public String getHelpText() {
        return "Asks for a second factor or refuses, by the realm's attribute tradepulse.risk. "
                + "REQUIRED behind the first factor judges the login; ALTERNATIVE in front of the cookie judges the running session.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigMetadata() {
        return ProviderConfigurationBuilder.create()
                .property().name("directory").type("string").helpText("Where the files lie that tradepulse.risk names.").add()
                .build();
    }

    @Override
    public Requirement[] getRequirementChoices() {
        return REQUIREMENTS.clone();
    }
}
