package example.tradepulse.keycloak.separation;

import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.provider.ProviderEvent;
import org.keycloak.provider.ProviderEventListener;

/**
 * Looks at every role and group that somebody is given, inside the transaction that gives it.
 *
 * <p>Who administers is refused at once. What a login gives is looked at when the login's transaction ends, since identity
 * provider mappers give one role before they take the other away; see {@link AtEnd}.
 */
final class Grants implements ProviderEventListener {

    @Override
    public void onEvent(ProviderEvent event) {
        if (event instanceof RoleModel.RoleGrantedEvent granted) {
            RoleModel role = granted.getRole();
            given(granted.getKeycloakSession(), granted.getUser(), role.getId(), "role " + role.getName(), true);
        } else if (event instanceof GroupModel.GroupMemberJoinEvent joined) {
            GroupModel group = joined.getGroup();
            given(joined.getKeycloakSession(), joined.getUser(), group.getId(), "group " + group.getName(), false);
        } else if (event instanceof RoleModel.RoleNameChangeEvent renamed) {
            AtEnd.of(renamed.getKeycloakSession(), renamed.getRealm()).structure();
        }
    }

    private static void given(KeycloakSession session, UserModel user, String id, String what, boolean role) {
        // Not the realm of the request, which in an import need not be that of the person.
        String home = JpaTables.realmOf(session, user.getId());
        RealmModel realm = home == null ? session.getContext().getRealm() : session.realms().getRealm(home);
        if (realm == null) {
            throw new IllegalStateException("a grant without a realm cannot be judged");
        }
        if (realm.getAttribute(Rules.ATTRIBUTE) == null) {
            return;
        }
        AtEnd end = AtEnd.of(session, realm);
        try {
            Judge judge = end.judge();
            if (!(role ? judge.concernsRole(id) : judge.concernsGroup(id))) {
                return;
            }
            if (isLogin(session)) {
                end.gained(user, id, role);
                return;
            }
            Optional<Conflict> conflict = judge.breaks(user);
            if (conflict.isPresent()) {
                throw Refused.grant(session, realm, user, what, conflict.get());
            }
        } catch (IllegalArgumentException unreadable) {
            throw Refused.unreadable(session, realm, unreadable.getMessage());
        }
    }

    /** Whether somebody gives this to themselves by logging in, rather than an administrator or a task to them. */
    private static boolean isLogin(KeycloakSession session) {
        return session.getContext().getBearerToken() == null && session.getContext().getAuthenticationSession() != null;
    }

    /** What a login gave: ids of roles and of groups. */
    record Gained(UserModel user, Set<String> roles, Set<String> groups) {

        static Gained by(UserModel user) {
            return new Gained(user, new HashSet<>(), new HashSet<>());
        }
    }
}
