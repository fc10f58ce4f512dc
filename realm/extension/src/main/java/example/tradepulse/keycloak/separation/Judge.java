package example.tradepulse.keycloak.separation;

import java.time.Instant;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/**
 * The rules of one realm and what gives the roles that they speak of, as one transaction sees them. They are read once, under
 * a lock that keeps them true, and again after {@link #forget()}.
 */
final class Judge {

    private final KeycloakSession session;
    private final RealmModel realm;
    private final JpaTables tables;
    private final boolean locking;
    private boolean alone;
    private Rules rules;
    private Reach reach;

    private Judge(KeycloakSession session, RealmModel realm, boolean locking) {
        this.session = session;
        this.realm = realm;
        this.tables = new JpaTables(session, realm.getId());
        this.locking = locking;
    }

    /** One whose findings stay true until its transaction ends. */
    static Judge of(KeycloakSession session, RealmModel realm) {
        return new Judge(session, realm, true);
    }

    /** One that only looks, and waits for nobody. */
    static Judge looking(KeycloakSession session, RealmModel realm) {
        return new Judge(session, realm, false);
    }

    /** Whether a role can put somebody in conflict. Throws IllegalArgumentException where the rules cannot be read. */
    boolean concernsRole(String roleId) {
        return !rules().isEmpty() && reach().concernsRole(roleId);
    }

    /** Whether a group can. Throws IllegalArgumentException where the rules cannot be read. */
    boolean concernsGroup(String groupId) {
        return !rules().isEmpty() && reach().concernsGroup(groupId);
    }

    boolean gives(String id, Collection<String> names) {
        return reach().gives(id, names);
    }

    /** The rule that somebody breaks by what they hold now, if any; nobody else can change that until this transaction ends. */
    Optional<Conflict> breaks(UserModel user) {
        rules();
        if (alone) {
            // Nobody else judges anything meanwhile, and a login may hold the person and wait for us.
            tables.flush();
        } else {
            tables.holdPerson(user.getId());
        }
        return reach().held(tables.rolesOf(user.getId()), tables.groupsOf(user.getId()))
                .breaks(rules(), address(user), Instant.now()).stream().findFirst();
    }

    /** The roles and groups that break rules by themselves and the people who do, each with every rule. */
    Map<String, Set<Conflict>> broken() {
        Map<String, Set<Conflict>> found = new TreeMap<>();
        if (rules().isEmpty()) {
            return found;
        }
        tables.flush();
        Instant now = Instant.now();
        reach().roles().forEach((id, names) -> note(found, id, rules().broken(names, null, now)));
        reach().groups().forEach((id, names) -> note(found, id, rules().broken(names, null, now)));
        Map<String, Set<String>> byRole = tables.peopleWithRoles(reach().roles().keySet());
        Set<String> groups = new HashSet<>(reach().groups().keySet());
        groups.addAll(reach().partners().keySet());
        Map<String, Set<String>> byGroup = tables.peopleInGroups(groups);
        for (String person : Stream.concat(byRole.keySet().stream(), byGroup.keySet().stream()).collect(Collectors.toSet())) {
            Reach.Held held = reach().held(byRole.getOrDefault(person, Set.of()), byGroup.getOrDefault(person, Set.of()));
            if (!held.breaks(rules(), null, now).isEmpty()) {
                UserModel user = session.users().getUserById(realm, person);
                note(found, person, held.breaks(rules(), user == null ? null : address(user), now));
            }
        }
        return found;
    }

    private static void note(Map<String, Set<Conflict>> found, String id, Collection<Conflict> conflicts) {
        if (!conflicts.isEmpty()) {
            found.put(id, new LinkedHashSet<>(conflicts));
        }
    }

    /**
     * As {@link #changing()}, for all of this transaction, before it takes anything else: whoever first takes people and then
     * what gives roles would wait for a login that does it the other way round, which waits for them.
     */
    void alone() {
        alone = true;
        tables.changeStructure();
    }

    /** Nobody else may change or judge what gives roles until this transaction ends; what was known of it is read again. */
    void changing() {
        tables.changeStructure();
        forget();
    }

    void forget() {
        rules = null;
        reach = null;
    }

    /** Every attribute of the realm that is ours. */
    Map<String, String> attributes() {
        return tables.attributes("tradepulse.");
    }

    private Rules rules() {
        if (rules == null) {
            if (locking && !alone) {
                tables.holdStructure();
            }
            // Also where this transaction lets queries see nothing by themselves of what it has done.
            tables.flush();
            rules = Rules.of(tables.attributes(Rules.ATTRIBUTE).get(Rules.ATTRIBUTE));
        }
        return rules;
    }

    /** What gives the roles that rules speak of. */
    Reach reach() {
        if (reach == null) {
            tables.flush();
            reach = Reach.of(rules().names(), tables);
        }
        return reach;
    }

    /** The address that an exception may name; an unverified one may be somebody else's. */
    private static String address(UserModel user) {
        return user.isEmailVerified() ? user.getEmail() : null;
    }
}
