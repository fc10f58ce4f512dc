package example.tradepulse.keycloak.audit;

import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.ModelToRepresentation;
import org.keycloak.provider.ProviderEvent;
import org.keycloak.provider.ProviderEventListener;

/**
 * Records every role and group that a person gets or loses, by whatever way, and what our other providers give notice of.
 * Admin events do not tell of all: workflows and identity provider mappers change memberships without one.
 */
final class Grants implements ProviderEventListener {

    /** Who caused a grant stands in the admin or login event of the same request; a workflow has no person behind it. */
    private static final String ACTOR = "keycloak";

    private final AuditWriter writer;

    Grants(AuditWriter writer) {
        this.writer = writer;
    }

    @Override
    public void onEvent(ProviderEvent event) {
        if (event instanceof RoleModel.RoleGrantedEvent granted) {
            role("role.granted", "grant", granted, granted.getUser());
        } else if (event instanceof RoleModel.RoleRevokedEvent revoked) {
            role("role.revoked", "revoke", revoked, revoked.getUser());
        } else if (event instanceof GroupModel.GroupMemberJoinEvent joined) {
            group("group.joined", "join", joined, joined.getUser());
        } else if (event instanceof GroupModel.GroupMemberLeaveEvent left) {
            group("group.left", "leave", left, left.getUser());
        } else if (event instanceof Notice notice) {
            noticed(notice);
        }
    }

    private void noticed(Notice notice) {
        KeycloakSession session = notice.session();
        AuditRecord record = new AuditRecord(notice.event(), notice.success(), notice.action(), System.currentTimeMillis())
                .actor(notice.user() == null ? ACTOR : Actors.name(notice.realm(), notice.user()))
                .session(notice.login())
                .ip(session.getContext().getConnection() == null ? null : session.getContext().getConnection().getRemoteHost())
                .trace(AuditListener.trace(session))
                .reason(notice.reason())
                .about("realm", notice.realm().getName());
        notice.about().forEach(record::about);
        AuditTransaction.of(session, writer).add(record.fields(), false);
    }

    private void role(String name, String action, RoleModel.RoleEvent event, UserModel user) {
        submit(event.getKeycloakSession(), event.getRealm(), user, new AuditRecord(name, true, action, System.currentTimeMillis())
                .about("role", event.getRole().getName())
                .about("role_client", event.getRole().isClientRole() ? event.getRole().getContainerId() : null));
    }

    private void group(String name, String action, GroupModel.GroupEvent event, UserModel user) {
        GroupModel group = event.getGroup();
        boolean partner = group.getType() == GroupModel.Type.ORGANIZATION && group.getOrganization() != null;
        submit(event.getKeycloakSession(), event.getRealm(), user, new AuditRecord(name, true, action, System.currentTimeMillis())
                .partner(partner ? group.getOrganization().getAlias() : null)
                .about("group", ModelToRepresentation.buildGroupPath(group)));
    }

    private void submit(KeycloakSession session, RealmModel realm, UserModel user, AuditRecord record) {
        record.actor(ACTOR)
                .trace(AuditListener.trace(session))
                .about("realm", realm == null ? null : realm.getName())
                .about("user", user.getEmail() == null ? user.getUsername() : user.getEmail());
        AuditTransaction.of(session, writer).add(record.fields(), false);
    }
}
