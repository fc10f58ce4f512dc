package example.tradepulse.keycloak.separation;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.jpa.entities.RealmEntity;
import org.keycloak.models.jpa.entities.UserEntity;

/**
 * Keycloak's tables, asked in the transaction of a session. Its models would answer from caches, which know neither what
 * another transaction has just committed nor, on another node, what happened a moment ago.
 */
final class JpaTables implements Reach.Tables {

    /** Values in one query; PostgreSQL takes 65,535. */
    private static final int AT_ONCE = 10_000;

    /** Of a partner: {@code GroupModel.Type.ORGANIZATION} as the table has it. */
    private static final int PARTNER = 1;

    private final EntityManager database;
    private final String realm;

    JpaTables(KeycloakSession session, String realm) {
        this.database = session.getProvider(JpaConnectionProvider.class).getEntityManager();
        this.realm = realm;
    }

    /**
     * Keeps what gives roles from changing until this transaction ends, beside others that do the same.
     * Two transactions that each see half of a conflict would otherwise both be let through.
     */
    void holdStructure() {
        database.find(RealmEntity.class, realm, LockModeType.PESSIMISTIC_READ);
    }

    /** As {@link #holdStructure()}, and waits for everybody who holds it. */
    void changeStructure() {
        database.find(RealmEntity.class, realm, LockModeType.PESSIMISTIC_WRITE);
    }

    /** Lets queries see what this transaction has done. */
    void flush() {
        database.flush();
    }

    /** Keeps one person's roles and groups from being judged by another transaction until this one ends. */
    void holdPerson(String userId) {
        flush();
        database.find(UserEntity.class, userId, LockModeType.PESSIMISTIC_WRITE);
    }

    /** The id of the realm that somebody belongs to, or null for somebody who is kept outside Keycloak's own tables. */
    static String realmOf(KeycloakSession session, String userId) {
        UserEntity found = session.getProvider(JpaConnectionProvider.class).getEntityManager().find(UserEntity.class, userId);
        return found == null ? null : found.getRealmId();
    }

    /** The attributes of the realm whose names begin alike. */
    Map<String, String> attributes(String prefix) {
        Map<String, String> found = new TreeMap<>();
        database.createQuery("select a.name, a.value from RealmAttributeEntity a where a.realm.id = :realm and a.name like :name", Object[].class)
                .setParameter("realm", realm).setParameter("name", prefix + "%").getResultList()
                .forEach(row -> found.put(row[0].toString(), String.valueOf(row[1])));
        return found;
    }

    List<String> rolesOf(String userId) {
        return database.createQuery("select m.roleId from UserRoleMappingEntity m where m.user.id = :user", String.class)
                .setParameter("user", userId).getResultList();
    }

    List<String> groupsOf(String userId) {
        return database.createQuery("select m.groupId from UserGroupMembershipEntity m where m.user.id = :user", String.class)
                .setParameter("user", userId).getResultList();
    }

    /** Who directly has one of some roles, with it. */
    Map<String, Set<String>> peopleWithRoles(Collection<String> roleIds) {
        return pairs("select m.user.id, m.roleId from UserRoleMappingEntity m where m.roleId in :ids", roleIds);
    }

    /** Who is directly in one of some groups, with it. */
    Map<String, Set<String>> peopleInGroups(Collection<String> groupIds) {
        return pairs("select m.user.id, m.groupId from UserGroupMembershipEntity m where m.groupId in :ids", groupIds);
    }

    @Override
    public Map<String, String> named(Collection<String> names) {
        Map<String, String> found = new HashMap<>();
        ask("select r.name, r.id from RoleEntity r where r.clientRole = false and r.realmId = :realm and r.name in :ids", names, true,
                row -> found.put(row[0].toString(), row[1].toString()));
        return found;
    }

    @Override
    public Map<String, Set<String>> including(Collection<String> roleIds) {
        return pairs("select c.childRole.id, c.parentRole.id from CompositeRoleEntity c where c.childRole.id in :ids", roleIds);
    }

    @Override
    public Map<String, Set<String>> having(Collection<String> roleIds) {
        return pairs("select m.roleId, m.group.id from GroupRoleMappingEntity m where m.roleId in :ids", roleIds);
    }

    @Override
    public Map<String, Set<String>> within(Collection<String> groupIds) {
        return pairs("select g.parentId, g.id from GroupEntity g where g.parentId in :ids", groupIds);
    }

    @Override
    public Map<String, Reach.Inside> ofPartners(Collection<String> names) {
        Map<String, Reach.Inside> found = new HashMap<>();
        ask("select g.id, g.parentId, g.name from GroupEntity g, GroupEntity p where g.realm = :realm and g.type = " + PARTNER
                        + " and p.id = g.parentId and p.parentId = ' ' and g.name in :ids",
                names, true, row -> found.put(row[0].toString(), new Reach.Inside(row[1].toString(), row[2].toString())));
        return found;
    }

    private Map<String, Set<String>> pairs(String query, Collection<String> ids) {
        Map<String, Set<String>> found = new HashMap<>();
        ask(query, ids, false, row -> found.computeIfAbsent(row[0].toString(), first -> new HashSet<>()).add(row[1].toString()));
        return found;
    }

    private void ask(String query, Collection<String> ids, boolean ofRealm, Consumer<Object[]> row) {
        List<String> all = new ArrayList<>(ids);
        for (int from = 0; from < all.size(); from += AT_ONCE) {
            var asked = database.createQuery(query, Object[].class).setParameter("ids", all.subList(from, Math.min(from + AT_ONCE, all.size())));
            (ofRealm ? asked.setParameter("realm", realm) : asked).getResultList().forEach(row);
        }
    }
}
