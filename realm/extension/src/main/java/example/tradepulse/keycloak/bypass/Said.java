package example.tradepulse.keycloak.bypass;

import java.util.Map;
import java.util.TreeMap;

import example.tradepulse.keycloak.audit.Notice;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/** The audit lines of emergency codes, {@code mfa_bypass.granted|used|refused|withdrawn}. */
final class Said {

    private Said() {
    }

    /** How a login tells of an attempt; the line carries the id that its session has or will have. */
    static Ledger.Telling inLogin(String login, String client) {
        return (session, realm, user, action, code, reason) -> publish(session, realm, user, login, action, code, reason, Map.of("client", client));
    }

    /** How the admin API tells of a change: by whom, as a name. */
    static Ledger.Telling byAdministrator(String name) {
        return (session, realm, user, action, code, reason) -> publish(session, realm, user, null, action, code, reason, Map.of("by", name));
    }

    private static void publish(
            KeycloakSession session, RealmModel realm, UserModel user, String login, String action, Bypass code, String reason,
            Map<String, String> more) {
        Map<String, String> about = new TreeMap<>(more);
        about.put("user", Ledger.address(user));
        if (code != null) {
            about.put("request", code.request());
            about.put("ends", String.valueOf(code.ends()));
            about.put("failures", String.valueOf(code.failures()));
        }
        boolean done = reason == null;
        session.getKeycloakSessionFactory().publish(new Notice(
                session, realm, "mfa_bypass." + action, done, action, login == null ? null : user, login, reason, about));
    }
}
