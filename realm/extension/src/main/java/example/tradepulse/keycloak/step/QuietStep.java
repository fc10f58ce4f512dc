package example.tradepulse.keycloak.step;

import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/** A step of a login that shows no page that is answered, needs nothing to be set up, and holds nothing. */
public interface QuietStep extends Authenticator {

    @Override
    default void action(AuthenticationFlowContext context) {
        throw new UnsupportedOperationException("this step shows no page");
    }

    @Override
    default boolean configuredFor(KeycloakSession session, RealmModel realm, UserModel user) {
        return true;
    }

    @Override
    default void setRequiredActions(KeycloakSession session, RealmModel realm, UserModel user) {
        // Nothing has to be set up.
    }

    @Override
    default void close() {
        // Nothing is held.
    }
}
