package example.tradepulse.keycloak.members;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.BiConsumer;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.OrganizationModel;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.jpa.entities.OrganizationEntity;
import org.keycloak.organization.OrganizationProvider;

/** A partner that {@code admin-sync} made: its roles, which are groups with our mark, and who is in them until when. */
final class Partner {

    /** What lets somebody decide who belongs to the partner; whoever has it for good is an administrator. */
    private static final String MANAGES = "member:manage";

    /** {@code GroupModel.Type.ORGANIZATION} as the table has it. */
    private static final int OF_ORGANIZATION = 1;

    private static final String DECLARED = "tradepulse.admins";

    /** Somebody's role; {@code until} is empty for one that does not end. */
    record Held(GroupModel role, GroupModel group, OptionalLong until) {}

    private final KeycloakSession session;
    private final RealmModel realm;
    private final OrganizationModel organization;
    private final List<GroupModel> roles;

    private Partner(KeycloakSession session, RealmModel realm, OrganizationModel organization) {
        this.session = session;
        this.realm = realm;
        this.organization = organization;
        this.roles = organizations().getTopLevelGroups(organization, null, null)
                .filter(group -> group.getFirstAttribute(Caller.MANAGED_ATTRIBUTE) != null).toList();
    }

    /** The partner of an alias; one that is not ours, or is switched off, is none. */
    static Optional<Partner> of(KeycloakSession session, RealmModel realm, String alias) {
        OrganizationModel found = session.getProvider(OrganizationProvider.class).getByAlias(alias);
        if (found == null || !found.isEnabled() || !found.getAttributes().containsKey(Caller.MANAGED_ATTRIBUTE)) {
            return Optional.empty();
        }
        return Optional.of(new Partner(session, realm, found));
    }

    OrganizationModel organization() {
        return organization;
    }

    List<GroupModel> roles() {
        return roles;
    }

    GroupModel role(String name) {
        return roles.stream().filter(role -> role.getName().equals(name)).findFirst()
                .orElseThrow(() -> Refusal.of(404, "unknown_role", "this partner has no such role"));
    }

    boolean hasDomainOf(String email) {
        String domain = email.substring(email.indexOf('@') + 1);
        return organization.getDomains().anyMatch(one -> one.getName().equalsIgnoreCase(domain));
    }

    /** Whether somebody is made an administrator by the configuration, which would only be made again. */
    boolean declares(UserModel user) {
        String email = user.getEmail();
        return email != null && organization.getAttributes().getOrDefault(DECLARED, List.of()).contains(email.toLowerCase(Locale.ROOT));
    }

    /** What somebody holds here, ended or not. */
    List<Held> held(UserModel user) {
        Set<String> groups = groupsOf(user);
        List<Held> found = new ArrayList<>();
        for (GroupModel role : roles) {
            if (groups.contains(role.getId())) {
                found.add(new Held(role, role, OptionalLong.empty()));
            }
            lent(role).stream().filter(group -> groups.contains(group.getId()))
                    .forEach(group -> found.add(new Held(role, group, Until.of(group.getName()))));
        }
        return found;
    }

    /** Gives a role, which replaces the same role with another end. */
    void give(UserModel user, GroupModel role, Long until) {
        lock();
        if (until != null) {
            requireAnother(user, role);
        }
        if (!organizations().isMember(organization, user)) {
            organizations().addMember(organization, user);
        }
        GroupModel wanted = until == null ? role : child(role, Until.name(until));
        held(user).stream().filter(held -> held.role().equals(role) && !held.group().equals(wanted)).forEach(held -> leave(user, held));
        if (!groupsOf(user).contains(wanted.getId())) {
            user.joinGroup(wanted);
        }
    }

    /** Takes a role; whoever has none left stays a member. */
    void take(UserModel user, GroupModel role) {
        lock();
        requireAnother(user, role);
        held(user).stream().filter(held -> held.role().equals(role)).forEach(held -> leave(user, held));
    }

    /** Takes everything, and the membership. */
    void remove(UserModel user) {
        lock();
        roles.forEach(role -> requireAnother(user, role));
        held(user).forEach(held -> leave(user, held));
        organizations().removeMember(organization, user);
    }

    /** Removes the groups of this partner whose end has come, and with them who was in them. */
    void end(List<GroupModel> over, BiConsumer<UserModel, Held> ended) {
        lock();
        for (GroupModel group : over) {
            Optional<GroupModel> role = roles.stream().filter(one -> one.getId().equals(group.getParentId())).findFirst();
            if (role.isEmpty() || Until.of(group.getName()).isEmpty()) {
                continue;
            }
            Held held = new Held(role.get(), group, Until.of(group.getName()));
            membersOf(group).stream().map(id -> session.users().getUserById(realm, id)).filter(Objects::nonNull).forEach(user -> {
                user.leaveGroup(group);
                ended.accept(user, held);
            });
            realm.removeGroup(group);
        }
    }

    /** The groups of all partners whose end has come, asked at once: partners are many, and what has ended is little. */
    static List<GroupModel> over(KeycloakSession session, RealmModel realm, long now) {
        return session.getProvider(JpaConnectionProvider.class).getEntityManager().createQuery(
                        "select g.id from GroupEntity g where g.realm = :realm and g.type = " + OF_ORGANIZATION + " and g.name like 'until-%'", String.class)
                .setParameter("realm", realm.getId()).getResultList().stream()
                .map(realm::getGroupById)
                .filter(group -> group != null && group.getOrganization() != null && Until.of(group.getName()).orElse(Until.LAST) <= now)
                .toList();
    }

    private void leave(UserModel user, Held held) {
        user.leaveGroup(held.group());
        if (held.until().isPresent() && membersOf(held.group()).isEmpty()) {
            realm.removeGroup(held.group());
        }
    }

    /** Refuses to take an administrator's role for good from the only person who has one. */
    private void requireAnother(UserModel user, GroupModel role) {
        if (!manages(role) || held(user).stream().noneMatch(held -> held.group().equals(role))) {
            return;
        }
        if (declares(user)) {
            throw Refusal.of(409, "declared", "the configuration names this person; whoever runs this site changes it there");
        }
        Set<String> groups = new HashSet<>();
        roles.stream().filter(Partner::manages).forEach(one -> groups.add(one.getId()));
        // Not by the models, whose caches may be older than the lock.
        Long others = database().createQuery(
                        "select count(distinct m.user.id) from UserGroupMembershipEntity m"
                                + " where m.groupId in :groups and m.user.id <> :user and m.user.enabled = true", Long.class)
                .setParameter("groups", groups).setParameter("user", user.getId()).getSingleResult();
        if (others == 0) {
            throw Refusal.of(409, "last_administrator", "nobody else administers this partner; make somebody else an administrator first");
        }
    }

    private static boolean manages(GroupModel role) {
        return role.getAttributeStream(Caller.PERMISSIONS_ATTRIBUTE).anyMatch(MANAGES::equals);
    }

    private GroupModel child(GroupModel role, String name) {
        return lent(role).stream().filter(group -> group.getName().equals(name)).findFirst()
                .orElseGet(() -> organizations().createGroup(organization, name, role));
    }

    /** One change of a partner's members at a time: two administrators could otherwise each take the other's role. */
    private void lock() {
        database().find(OrganizationEntity.class, organization.getId(), LockModeType.PESSIMISTIC_WRITE);
    }

    /** The groups that somebody is in themselves. Keycloak's models leave out those of organizations. */
    private Set<String> groupsOf(UserModel user) {
        return new HashSet<>(database().createQuery(
                "select m.groupId from UserGroupMembershipEntity m where m.user.id = :user", String.class)
                .setParameter("user", user.getId()).getResultList());
    }

    /** The groups below a role that say an end; asked of the table, since caches may not know one that was just made. */
    private List<GroupModel> lent(GroupModel role) {
        return database().createQuery("select g.id from GroupEntity g where g.parentId = :role and g.name like 'until-%'", String.class)
                .setParameter("role", role.getId()).getResultList().stream()
                .map(realm::getGroupById).filter(group -> group != null && Until.of(group.getName()).isPresent()).toList();
    }

    private List<String> membersOf(GroupModel group) {
        return database().createQuery("select m.user.id from UserGroupMembershipEntity m where m.groupId = :group", String.class)
                .setParameter("group", group.getId()).getResultList();
    }

    private EntityManager database() {
        return session.getProvider(JpaConnectionProvider.class).getEntityManager();
    }

    private OrganizationProvider organizations() {
        return session.getProvider(OrganizationProvider.class);
    }
}
