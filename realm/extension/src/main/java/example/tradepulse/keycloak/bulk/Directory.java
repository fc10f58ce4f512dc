package example.tradepulse.keycloak.bulk;

import java.util.Optional;

import org.keycloak.models.ClientModel;
import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.OrganizationModel;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.KeycloakModelUtils;
import org.keycloak.organization.OrganizationProvider;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/** Finds the server's id of a named object of one realm, for callers who may list its kind. */
final class Directory {

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminPermissionEvaluator auth;

    Directory(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth) {
        this.session = session;
        this.realm = realm;
        this.auth = auth;
    }

    /** The id, or nothing where there is no such object. Throws ForbiddenException. */
    Optional<String> find(Name name) {
        String first = name.words().get(0);
        return switch (name.kind()) {
            case "role" -> {
                auth.roles().requireList(realm);
                yield Optional.ofNullable(realm.getRole(first)).map(RoleModel::getId);
            }
            case "client" -> client(first).map(ClientModel::getId);
            case "client_role" -> client(first).map(found -> found.getRole(name.words().get(1))).map(RoleModel::getId);
            case "service_account" -> client(first).map(session.users()::getServiceAccount).map(UserModel::getId);
            case "client_scope" -> {
                auth.clients().requireListClientScopes();
                yield Optional.ofNullable(KeycloakModelUtils.getClientScopeByName(realm, first)).map(found -> found.getId());
            }
            case "group" -> {
                auth.groups().requireList();
                yield Optional.ofNullable(KeycloakModelUtils.findGroupByPath(session, realm, first)).map(GroupModel::getId);
            }
            case "user" -> {
                auth.users().requireQuery();
                // Whoever may only ask for people finds those whom they may see; of others not even that they exist.
                yield Optional.ofNullable(session.users().getUserByEmail(realm, first))
                        .filter(user -> auth.users().canView(user) || auth.users().canManage(user))
                        .map(UserModel::getId);
            }
            case "organization" -> organization(first).map(OrganizationModel::getId);
            case "organization_group" -> organization(first)
                    .flatMap(found -> organizations().getTopLevelGroups(found, null, null)
                            .filter(group -> group.getName().equals(name.words().get(1)))
                            .findFirst())
                    .map(GroupModel::getId);
            default -> Optional.empty();
        };
    }

    private Optional<ClientModel> client(String clientId) {
        auth.clients().requireList();
        return Optional.ofNullable(realm.getClientByClientId(clientId));
    }

    private Optional<OrganizationModel> organization(String alias) {
        auth.orgs().requireQuery();
        return Optional.ofNullable(organizations().getByAlias(alias));
    }

    private OrganizationProvider organizations() {
        return session.getProvider(OrganizationProvider.class);
    }
}
