package example.tradepulse.keycloak.bypass;

import java.time.Instant;
import java.util.Optional;

import example.tradepulse.keycloak.step.QuietStep;
import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.models.KeycloakSession;
import org.keycloak.services.managers.AuthenticationManager;

/**
 * Judges the session that a browser comes back with, where an emergency code proved it: over with the code, and never fresh.
 *
 * <p>Keycloak knows one lifetime for all sessions of a realm. So this stands in front of the cookie, and
 * {@link EndedRefresh} looks at every refresh. A client that limits the age of a login ({@code max_age}) wants a factor;
 * Keycloak looks at the session's time for that, and the code's is none, as in {@code auth_time}.
 */
final class EndedSession implements QuietStep {

    /** Seconds since 1970 at which such a session was logged in, as far as anybody asks how long ago that was. */
    private static final String NEVER = "0";

    private final KeycloakSession session;

    EndedSession(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        AuthenticationManager.AuthResult found = AuthenticationManager.authenticateIdentityCookie(session, context.getRealm(), true);
        Optional<BypassProof> proof = found == null ? Optional.empty() : BypassProof.carrying(found.session());
        if (proof.isPresent() && proof.get().isOver(Instant.now().getEpochSecond())) {
            AuthenticationManager.backchannelLogout(session, found.session(), true);
        } else if (proof.isPresent()) {
            found.session().setNote(AuthenticationManager.AUTH_TIME, NEVER);
        }
        // It proves nothing, so the steps behind it are what decides.
        context.attempted();
    }

    @Override
    public boolean requiresUser() {
        return false;
    }
}
