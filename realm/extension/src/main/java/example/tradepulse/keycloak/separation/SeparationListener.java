package example.tradepulse.keycloak.separation;

import java.util.Set;

import org.keycloak.events.Event;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.admin.AdminEvent;
import org.keycloak.events.admin.OperationType;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;

/**
 * Sees by admin events what Keycloak has no other event for: roles given to a group or a role, groups moved, settings changed.
 * Whatever a listener throws is only logged, so the judgement itself waits for the end of the transaction.
 */
final class SeparationListener implements EventListenerProvider {

    private final KeycloakSession session;

    SeparationListener(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public void onEvent(Event event) {
        // Nothing that a person does by logging in changes what gives a role.
    }

    @Override
    public void onEvent(AdminEvent event, boolean includeRepresentation) {
        RealmModel realm = event.getRealmId() == null ? null : session.realms().getRealm(event.getRealmId());
        if (realm == null || event.getError() != null) {
            return;
        }
        String type = String.valueOf(event.getResourceTypeAsString());
        if (type.equals("REALM") && event.getOperationType() == OperationType.UPDATE) {
            AtEnd.of(session, realm).settings();
        } else if (widens(type, event.getOperationType(), String.valueOf(event.getResourcePath()))) {
            AtEnd.of(session, realm).structure();
        } else if (makes(type, event.getOperationType())) {
            // Nobody has it yet, but one who gets it later in this transaction must be judged by it.
            AtEnd.of(session, realm).judge().forget();
        }
    }

    /** Whether there is a new role or group now, which what was read before knows nothing of. Pure. */
    static boolean makes(String type, OperationType operation) {
        return operation == OperationType.CREATE && Set.of("REALM_ROLE", "CLIENT_ROLE", "GROUP", "ORGANIZATION_GROUP").contains(type);
    }

    /** Whether an administrator may by this have given people a role without giving it to them. Pure. */
    static boolean widens(String type, OperationType operation, String path) {
        return switch (type) {
            case "REALM_ROLE", "CLIENT_ROLE" -> operation == OperationType.CREATE && path.endsWith("/composites");
            case "REALM_ROLE_MAPPING", "CLIENT_ROLE_MAPPING" -> operation == OperationType.CREATE && !path.startsWith("users/");
            case "GROUP", "ORGANIZATION_GROUP" -> operation == OperationType.UPDATE;
            default -> false;
        };
    }

    @Override
    public void close() {
        // What was noted ends with the transaction.
    }
}
