package example.tradepulse.keycloak.factor;

import org.keycloak.Config;
import org.keycloak.authentication.RequiredActionFactory;
import org.keycloak.authentication.RequiredActionProvider;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;

/** The required action {@code tradepulse-choose-factor}. */
public final class ChooseFactorFactory implements RequiredActionFactory {

    public static final String PROVIDER_ID = "tradepulse-choose-factor";

    @Override
    public RequiredActionProvider create(KeycloakSession session) {
        return ChooseFactor.INSTANCE;
    }

    @Override
    public String getDisplayText() {
        return "Choose a second factor";
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public void init(Config.Scope options) {
        // It has no options.
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
