package example.tradepulse.keycloak.audit;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import org.jboss.logging.Logger;
import org.keycloak.authentication.authenticators.util.AuthenticatorUtils;
import org.keycloak.models.AuthenticatedClientSessionModel;
import org.keycloak.models.ClientModel;
import org.keycloak.models.Constants;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.protocol.oidc.utils.AcrUtils;
import org.keycloak.protocol.oidc.utils.AmrUtils;
import org.keycloak.sessions.AuthenticationSessionModel;
import org.keycloak.util.JsonSerialization;

/** How surely a session knows its person: the level reached ({@code aal1} …, or null if unknown) and the methods. */
record Assurance(String level, List<String> methods) {

    static final Assurance UNKNOWN = new Assurance(null, List.of());

    private static final Logger LOG = Logger.getLogger(Assurance.class);

    /**
     * The assurance of a session for a client. The level is that of the login going on, else what the client was given,
     * else the highest level that the session ever reached.
     */
    static Assurance of(KeycloakSession session, RealmModel realm, String sessionId, String clientId) {
        UserSessionModel userSession = session.sessions().getUserSession(realm, sessionId);
        if (userSession == null) {
            return UNKNOWN;
        }
        Integer level = ongoing(session.getContext().getAuthenticationSession());
        if (level == null) {
            level = given(realm, userSession, clientId);
        }
        if (level == null) {
            level = highest(userSession.getNote(Constants.LOA_MAP));
        }
        return new Assurance(name(realm, level), methods(realm, userSession));
    }

    /** What the login that is going on has proved so far. */
    static Assurance proved(KeycloakSession session, RealmModel realm) {
        return new Assurance(name(realm, ongoing(session.getContext().getAuthenticationSession())), List.of());
    }

    private static Integer ongoing(AuthenticationSessionModel login) {
        return login == null ? null : number(login.getAuthNote(Constants.LEVEL_OF_AUTHENTICATION));
    }

    private static Integer given(RealmModel realm, UserSessionModel userSession, String clientId) {
        ClientModel client = clientId == null ? null : realm.getClientByClientId(clientId);
        AuthenticatedClientSessionModel clientSession =
                client == null ? null : userSession.getAuthenticatedClientSessionByClient(client.getId());
        return clientSession == null ? null : number(clientSession.getNote(Constants.LEVEL_OF_AUTHENTICATION));
    }

    private static Integer highest(String levels) {
        if (levels == null) {
            return null;
        }
        try {
            Map<?, ?> times = JsonSerialization.readValue(levels, Map.class);
            return times.keySet().stream().map(String::valueOf).map(Assurance::number).flatMap(Stream::ofNullable)
                    .max(Integer::compare).orElse(null);
        } catch (java.io.IOException problem) {
            LOG.warn("a session's level map is not JSON", problem);
            return null;
        }
    }

    private static Integer number(String text) {
        // Keycloak writes -1 where a login has no level.
        return text != null && text.matches("[0-9]{1,3}") ? Integer.valueOf(text) : null;
    }

    private static String name(RealmModel realm, Integer level) {
        return level == null ? null : AcrUtils.mapLoaToAcr(level, AcrUtils.getAcrLoaMap(realm), AcrUtils.getAcrLoaMap(realm).keySet());
    }

    private static List<String> methods(RealmModel realm, UserSessionModel userSession) {
        Map<String, Integer> executions =
                AuthenticatorUtils.parseCompletedExecutions(userSession.getNote(Constants.AUTHENTICATORS_COMPLETED));
        return AmrUtils.getAuthenticationExecutionReferences(executions, realm).stream().distinct().sorted().toList();
    }
}
