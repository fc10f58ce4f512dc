package example.tradepulse.keycloak.audit;

import java.util.Map;

import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.provider.ProviderEvent;

/**
 * What another of our providers decided in a request, to be recorded among that request's events. Keycloak has no event
 * types of ours; published by {@code session.getKeycloakSessionFactory().publish(…)}.
 *
 * @param event the dotted name of the line, for example {@code login.risk}
 * @param success whether it went on
 * @param action what was done or refused
 * @param user the actor, whom it is about where {@code about} names nobody else; null where a task of the server did it
 * @param login the id that the session has, or will have once the login is through; or null
 * @param reason the stable codes that explain the outcome, or null
 * @param about further pairs of the line's resource; nothing that a person typed
 */
public record Notice(
        KeycloakSession session,
        RealmModel realm,
        String event,
        boolean success,
        String action,
        UserModel user,
        String login,
        String reason,
        Map<String, String> about)
        implements ProviderEvent {}
