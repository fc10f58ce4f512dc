package example.tradepulse.keycloak.pages;

import org.keycloak.Config;
import org.keycloak.forms.login.LoginFormsProvider;
import org.keycloak.forms.login.LoginFormsProviderFactory;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;

/** The pages {@code tradepulse}, used in place of Keycloak's {@code freemarker} because they come before it. */
public final class ExplainedPagesFactory implements LoginFormsProviderFactory {

    public static final String PROVIDER_ID = "tradepulse";

    @Override
    public LoginFormsProvider create(KeycloakSession session) {
        return new ExplainedPages(session);
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public int order() {
        return 1;
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
