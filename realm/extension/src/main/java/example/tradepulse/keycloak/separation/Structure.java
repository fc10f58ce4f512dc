package example.tradepulse.keycloak.separation;

import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;

/** What gives roles: for those who change much of it in one transaction. */
public final class Structure {

    private Structure() {
    }

    /**
     * Waits until nobody judges grants in a realm, and keeps everybody from it until the transaction ends. To be asked for
     * before the transaction writes anything, by whoever both changes what gives roles and gives them.
     */
    public static void change(KeycloakSession session, RealmModel realm) {
        if (realm.getAttribute(Rules.ATTRIBUTE) != null) {
            AtEnd.of(session, realm).judge().alone();
        }
    }
}
