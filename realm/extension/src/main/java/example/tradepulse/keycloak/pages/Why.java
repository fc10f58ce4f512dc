package example.tradepulse.keycloak.pages;

import java.util.Optional;

import example.tradepulse.keycloak.risk.Demanded;
import org.keycloak.models.ClientModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.UserSessionModel;
import org.keycloak.protocol.oidc.OIDCLoginProtocol;
import org.keycloak.sessions.AuthenticationSessionModel;

/** Why somebody who is on their way, or thought to be logged in already, is asked for something once more. */
enum Why {

    /** The login was judged unusual, and a second factor settles that. */
    UNUSUAL("tradepulseWhyUnusual"),
    /** A session runs, and what its owner is about to do needs more than it proved, or a newer proof. */
    SENSITIVE("tradepulseWhySensitive"),
    /** A session runs, and the application asks for a new login. */
    AGAIN("tradepulseWhyAgain");

    final String message;

    Why(String message) {
        this.message = message;
    }

    /** The reason for which a factor is asked; empty where it is simply the next step of a login. */
    static Optional<Why> factor(KeycloakSession session, AuthenticationSessionModel login) {
        return login != null && Demanded.isFactor(login) ? Optional.of(UNUSUAL) : firstStep(session, login);
    }

    /** The reason for which somebody with a session is asked; empty where there is none. */
    static Optional<Why> firstStep(KeycloakSession session, AuthenticationSessionModel login) {
        if (login == null || !isRunning(session, login)) {
            return Optional.empty();
        }
        return Optional.of(isLevelAsked(login) ? SENSITIVE : AGAIN);
    }

    /** What a person calls the application; its id where it has no name. */
    static String name(ClientModel client) {
        String name = client == null ? null : client.getName();
        return name == null || name.isBlank() || name.startsWith("${") ? client == null ? "" : client.getClientId() : name;
    }

    /** By the request itself; the level that its client asks for by default says nothing about what it is for. */
    private static boolean isLevelAsked(AuthenticationSessionModel login) {
        return login.getClientNote(OIDCLoginProtocol.ACR_PARAM) != null
                || login.getClientNote(OIDCLoginProtocol.CLAIMS_PARAM) != null;
    }

    /** The second factor of a first login is asked in the same authentication session; what ran before is another one. */
    private static boolean isRunning(KeycloakSession session, AuthenticationSessionModel login) {
        UserSessionModel running = session.sessions().getUserSession(login.getRealm(), login.getParentSession().getId());
        return running != null;
    }
}
