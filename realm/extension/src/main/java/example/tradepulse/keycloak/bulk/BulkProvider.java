package example.tradepulse.keycloak.bulk;

import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.services.resources.admin.AdminEventBuilder;
import org.keycloak.services.resources.admin.ext.AdminRealmResourceProvider;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/** Hands Keycloak the resource under {@code /admin/realms/<realm>/tradepulse-bulk}; who calls it is authenticated by then. */
final class BulkProvider implements AdminRealmResourceProvider {

    @Override
    public Object getResource(
            KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth, AdminEventBuilder adminEvent) {
        return new BulkResource(session, realm, auth);
    }

    @Override
    public void close() {
        // Lives as long as one request and holds nothing.
    }
}
