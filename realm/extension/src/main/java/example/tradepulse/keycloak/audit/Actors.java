package example.tradepulse.keycloak.audit;

import org.keycloak.models.ClientModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/** How an audit record names somebody: a service by its client id, a person by e-mail, else by the user's id. */
final class Actors {

    private Actors() {
    }

    /** The name of a user by id, or null without one. A user who is gone keeps the id. */
    static String name(KeycloakSession session, RealmModel realm, String userId) {
        if (realm == null || userId == null) {
            return userId;
        }
        UserModel user = session.users().getUserById(realm, userId);
        return user == null ? userId : name(realm, user);
    }

    static String name(RealmModel realm, UserModel user) {
        if (user.getServiceAccountClientLink() != null) {
            ClientModel client = realm.getClientById(user.getServiceAccountClientLink());
            return client == null ? user.getId() : client.getClientId();
        }
        return user.getEmail() == null ? user.getId() : user.getEmail();
    }
}
