package example.tradepulse.keycloak.method;

import java.util.Map;
import java.util.Objects;

import example.tradepulse.keycloak.step.QuietStep;
import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.models.ClientModel;
import org.keycloak.models.Constants;
import org.keycloak.protocol.oidc.utils.AcrUtils;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Asks for the client's default level where nobody asked for any.
 *
 * <p>Keycloak reads {@code default.acr.values} at its authorization endpoint only. A login for another device (RFC 8628)
 * begins elsewhere, and would be let through with a password alone. What a request does ask for stays as it is.
 */
final class DefaultLevel implements QuietStep {

    static final DefaultLevel INSTANCE = new DefaultLevel();

    private DefaultLevel() {
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        if (login.getClientNote(Constants.REQUESTED_LEVEL_OF_AUTHENTICATION) == null) {
            ClientModel client = login.getClient();
            Map<String, Integer> levels = AcrUtils.getAcrLoaMap(client);
            // As the authorization endpoint has it: of several values the lowest is what is asked for.
            AcrUtils.getDefaultAcrValues(client).stream().map(levels::get).filter(Objects::nonNull).min(Integer::compare)
                    .ifPresent(level -> login.setClientNote(Constants.REQUESTED_LEVEL_OF_AUTHENTICATION, String.valueOf(level)));
        }
        // It proves nothing, so the steps behind it are what decides.
        context.attempted();
    }

    @Override
    public boolean requiresUser() {
        return false;
    }
}
