package example.tradepulse.keycloak.method;

import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.authentication.Authenticator;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/**
 * A step that lets everybody pass and thereby notes one authentication method for {@code amr}.
 *
 * <p>It stands behind a condition that knows which credential was used, where the step that checked the credential
 * cannot say: Keycloak's form for passwords accepts passkeys as well.
 */
final class MethodReference implements Authenticator {

    static final MethodReference INSTANCE = new MethodReference();

    private MethodReference() {
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        context.success();
    }

    @Override
    public void action(AuthenticationFlowContext context) {
        throw new UnsupportedOperationException("this step shows no page");
    }

    @Override
    public boolean requiresUser() {
        return true;
    }

    @Override
    public boolean configuredFor(KeycloakSession session, RealmModel realm, UserModel user) {
        return true;
    }

    @Override
    public void setRequiredActions(KeycloakSession session, RealmModel realm, UserModel user) {
        // Nothing has to be set up.
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
