package example.tradepulse.keycloak.separation;

import java.util.Map;
import java.util.TreeMap;

import example.tradepulse.keycloak.audit.Notice;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.KeycloakModelUtils;

/** What is written into the audit log about rules. A refusal is written in a transaction of its own, as the refused one is undone. */
final class Said {

    private Said() {
    }

    static void refused(KeycloakSession session, RealmModel realm, String action, String person, String what, Conflict conflict) {
        apart(session, "separation.refused", action, Refused.CODE, about(realm, person, what, conflict));
    }

    static void settingsRefused(KeycloakSession session, RealmModel realm) {
        apart(session, "separation.rules.refused", "change", "rules_are_managed", Map.of("realm", realm.getName()));
    }

    static void withheld(KeycloakSession session, RealmModel realm, UserModel user, Conflict conflict) {
        String person = user.getEmail() == null ? user.getUsername() : user.getEmail();
        publish(new Notice(session, realm, "separation.withheld", false, "grant", user, null, Refused.CODE,
                about(realm, person, "login", conflict)));
    }

    static void changed(KeycloakSession session, RealmModel realm, Map<String, String> attributes) {
        Actor actor = Actor.of(session);
        Map<String, String> about = new TreeMap<>(Map.of("realm", realm.getName()));
        Rules rules = Rules.of(attributes.get(Rules.ATTRIBUTE));
        about.put("rules", String.valueOf(rules.rules().size()));
        about.put("exceptions", String.valueOf(rules.exceptions().size()));
        publish(new Notice(session, actor.home(), "separation.rules.changed", true, "change", actor.user(), null, null, about));
    }

    private static Map<String, String> about(RealmModel realm, String person, String what, Conflict conflict) {
        return Map.of(
                "realm", realm.getName(), "user", person, "by", what, "rule", conflict.rule(), "roles", String.join(",", conflict.roles()));
    }

    private static void apart(KeycloakSession session, String event, String action, String reason, Map<String, String> about) {
        KeycloakModelUtils.runJobInTransactionWithResult(session.getKeycloakSessionFactory(), session.getContext(), other -> {
            other.getContext().setConnection(session.getContext().getConnection());
            other.getContext().setHttpRequest(session.getContext().getHttpRequest());
            other.getContext().setBearerToken(session.getContext().getBearerToken());
            Actor actor = Actor.of(other);
            RealmModel home = actor.home() == null ? other.getContext().getRealm() : actor.home();
            publish(new Notice(other, home, event, false, action, actor.user(), null, reason, about));
            return null;
        }, "tradepulse-separation");
    }

    private static void publish(Notice notice) {
        notice.session().getKeycloakSessionFactory().publish(notice);
    }
}
