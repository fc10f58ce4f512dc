package example.tradepulse.keycloak.separation;

import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.representations.AccessToken;

/** Whoever calls the admin API in this request, with the realm of their account; both null for anything else. */
record Actor(RealmModel home, UserModel user) {

    private static final Actor NOBODY = new Actor(null, null);

    static Actor of(KeycloakSession session) {
        if (!(session.getContext().getBearerToken() instanceof AccessToken token) || token.getIssuer() == null) {
            return NOBODY;
        }
        RealmModel home = session.realms().getRealmByName(token.getIssuer().substring(token.getIssuer().lastIndexOf('/') + 1));
        UserModel user = home == null || token.getSubject() == null ? null : session.users().getUserById(home, token.getSubject());
        return user == null ? NOBODY : new Actor(home, user);
    }

    /** Whether this is an account of the realm that administers all others, as that of admin-sync is. */
    boolean isOfAdministration() {
        return home != null && home.getName().equals(Config.getAdminRealm());
    }
}
