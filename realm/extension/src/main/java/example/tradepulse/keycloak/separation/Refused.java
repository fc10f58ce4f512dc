package example.tradepulse.keycloak.separation;

import jakarta.ws.rs.core.Response;
import org.jboss.logging.Logger;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.services.ErrorResponseException;

/**
 * What the caller gets for a change that a rule forbids: 400, since clients of the admin API take 409 for "it is there
 * already". The change is rolled back, what was refused stays in the audit log.
 */
final class Refused {

    static final String CODE = "segregation_of_duties";

    private static final Logger LOG = Logger.getLogger(Refused.class);

    private Refused() {
    }

    static ErrorResponseException grant(KeycloakSession session, RealmModel realm, UserModel user, String what, Conflict conflict) {
        String person = user.getEmail() == null ? user.getUsername() : user.getEmail();
        return refuse(session, realm, "grant", person, what, conflict,
                person + " would hold " + conflict.shown() + " by " + what + ", which rule " + conflict.rule()
                        + " keeps apart; take the other away first, or have an exception approved");
    }

    static ErrorResponseException structure(KeycloakSession session, RealmModel realm, String id, Conflict conflict, int count) {
        UserModel user = session.users().getUserById(realm, id);
        String holder = user == null ? "whoever has it" : user.getEmail() == null ? user.getUsername() : user.getEmail();
        return refuse(session, realm, "change", holder, "change", conflict,
                holder + " would hold " + conflict.shown() + " by this change, which rule " + conflict.rule() + " keeps apart"
                        + (count > 1 ? "; there are " + (count - 1) + " more" : ""));
    }

    static ErrorResponseException settings(KeycloakSession session, RealmModel realm) {
        LOG.warnf("separation: in realm %s somebody of the realm itself tried to change its rules", realm.getName());
        session.getTransactionManager().setRollbackOnly();
        Said.settingsRefused(session, realm);
        return new ErrorResponseException(
                "rules_are_managed",
                "the tradepulse attributes of a realm are rules for its own administrators too; they are changed by admin-sync apply",
                Response.Status.FORBIDDEN);
    }

    static ErrorResponseException unreadable(KeycloakSession session, RealmModel realm, String reason) {
        LOG.errorf("separation: in realm %s no grant can be judged: %s", realm.getName(), reason);
        session.getTransactionManager().setRollbackOnly();
        return new ErrorResponseException("separation_unreadable", reason + "; admin-sync apply writes it", Response.Status.BAD_REQUEST);
    }

    private static ErrorResponseException refuse(
            KeycloakSession session, RealmModel realm, String action, String person, String what, Conflict conflict, String message) {
        LOG.warnf("separation: refused in realm %s: %s", realm.getName(), message);
        session.getTransactionManager().setRollbackOnly();
        Said.refused(session, realm, action, person, what, conflict);
        return new ErrorResponseException(CODE, message, Response.Status.BAD_REQUEST);
    }
}
