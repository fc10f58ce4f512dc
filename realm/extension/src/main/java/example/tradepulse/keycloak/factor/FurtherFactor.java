package example.tradepulse.keycloak.factor;

import org.keycloak.authentication.CredentialRegistrator;
import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.authentication.RequiredActionContext.KcActionStatus;
import org.keycloak.authentication.RequiredActionProvider;
import org.keycloak.authentication.authenticators.util.AcrStore;
import org.keycloak.events.Errors;
import org.keycloak.events.EventType;
import org.keycloak.models.Constants;
import org.keycloak.models.KeycloakSession;
import org.keycloak.services.managers.AuthenticationManager;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Refuses to add a factor to an account that has one, in a login that proved none.
 *
 * <p>Keycloak itself asks for a level before it registers a credential by {@code kc_action}, but looks only at credentials
 * of the level that the new one will have, and goes down a level where there are none. It counts a security key to the
 * highest level of our flows. So whoever has only a key would be asked for the password alone before an authenticator app
 * or a passkey is registered, and a stolen password would be worth {@code aal2} from the next login on.
 */
final class FurtherFactor {

    /** The level that every factor proves at least, as a number of {@code acr.loa.map}. */
    private static final int PROVED = 2;

    private FurtherFactor() {
    }

    /** Drops a registration that the client asked for and this login may not do; the client is told {@code error}. */
    static void refuseUnproved(RequiredActionContext context) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        String action = login.getClientNote(Constants.KC_ACTION);
        int level = new AcrStore(context.getSession(), login).getLevelOfAuthenticationFromCurrentAuthentication();
        if (isRefused(registers(context.getSession(), action), Factor.isHeldBy(context.getUser()), level)) {
            context.getEvent().clone().event(EventType.UPDATE_CREDENTIAL).user(context.getUser()).error(Errors.NOT_ALLOWED);
            AuthenticationManager.setKcActionStatus(action, KcActionStatus.ERROR, login);
        }
    }

    static boolean isRefused(boolean registers, boolean hasFactor, int level) {
        return registers && hasFactor && level < PROVED;
    }

    private static boolean registers(KeycloakSession session, String action) {
        return action != null && session.getProvider(RequiredActionProvider.class, action) instanceof CredentialRegistrator;
    }
}
