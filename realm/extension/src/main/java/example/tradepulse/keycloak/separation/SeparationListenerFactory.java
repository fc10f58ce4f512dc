package example.tradepulse.keycloak.separation;

import org.keycloak.Config;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.EventListenerProviderFactory;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;

/**
 * {@code tradepulse-separation}: nobody gets two roles that the realm's rules keep apart, by whatever way. Global, so that
 * nobody who administers a realm can take it out of that realm's list. A realm without rules is left alone.
 */
public final class SeparationListenerFactory implements EventListenerProviderFactory {

    public static final String PROVIDER_ID = "tradepulse-separation";

    @Override
    public EventListenerProvider create(KeycloakSession session) {
        return new SeparationListener(session);
    }

    @Override
    public void init(Config.Scope options) {
        // It has none: the rules are in the realms.
    }

    @Override
    public void postInit(KeycloakSessionFactory factory) {
        factory.register(new Grants());
    }

    @Override
    public boolean isGlobal() {
        return true;
    }

    @Override
    public void close() {
        // Nothing outlives a request.
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }
}
