package example.tradepulse.keycloak.members;

import jakarta.ws.rs.ForbiddenException;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/**
 * Who may call: the account of a service with a role that gives {@code member:settle}.
 *
 * <p>No right of Keycloak's own would do. Whoever may manage organizations also reads and writes their attributes, where the
 * vault's salts are, and who may manage users may take over any account.
 */
final class Caller {

    static final String PERMISSION = "member:settle";
    static final String PERMISSIONS_ATTRIBUTE = "tradepulse.permissions";
    static final String MANAGED_ATTRIBUTE = "tradepulse.managed";

    private Caller() {}

    /** Throws ForbiddenException for everybody else, administrators included. */
    static void require(RealmModel realm, AdminPermissionEvaluator auth) {
        UserModel caller = auth.adminAuth().getUser();
        boolean service = caller != null && caller.getServiceAccountClientLink() != null
                && auth.adminAuth().getRealm().getId().equals(realm.getId());
        if (!service || caller.getRealmRoleMappingsStream().noneMatch(Caller::settles)) {
            throw new ForbiddenException();
        }
    }

    private static boolean settles(RoleModel role) {
        return role.getAttributeStream(PERMISSIONS_ATTRIBUTE).anyMatch(PERMISSION::equals)
                && role.getFirstAttribute(MANAGED_ATTRIBUTE) != null;
    }
}
