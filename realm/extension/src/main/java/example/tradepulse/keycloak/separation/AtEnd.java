package example.tradepulse.keycloak.separation;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

import org.keycloak.models.AbstractKeycloakTransaction;
import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.KeycloakModelUtils;

/**
 * What can only be judged when a transaction has done all it does: what a login leaves somebody with, what a changed role or
 * group gives to all who have it, and the rules themselves. Runs just before the commit.
 */
final class AtEnd extends AbstractKeycloakTransaction {

    private final KeycloakSession session;
    private final RealmModel realm;
    private final Judge judge;
    private final Map<String, Grants.Gained> gained = new LinkedHashMap<>();
    private boolean structure;
    private boolean settings;

    private AtEnd(KeycloakSession session, RealmModel realm) {
        this.session = session;
        this.realm = realm;
        this.judge = Judge.of(session, realm);
    }

    /** The one of a session and a realm. */
    static AtEnd of(KeycloakSession session, RealmModel realm) {
        String name = AtEnd.class.getName() + "." + realm.getId();
        AtEnd found = session.getAttribute(name, AtEnd.class);
        if (found == null) {
            found = new AtEnd(session, realm);
            session.getTransactionManager().enlistPrepare(found);
            session.setAttribute(name, found);
        }
        return found;
    }

    Judge judge() {
        return judge;
    }

    /** A login gave somebody a role or a group that a rule may be about. */
    void gained(UserModel user, String id, boolean role) {
        Grants.Gained of = gained.computeIfAbsent(user.getId(), unknown -> Grants.Gained.by(user));
        (role ? of.roles() : of.groups()).add(id);
    }

    /** Something changed that may give people other roles than before. */
    void structure() {
        structure = true;
        judge.forget();
    }

    /** The realm's own settings changed, the rules perhaps among them. */
    void settings() {
        settings = true;
        judge.forget();
    }

    @Override
    protected void commitImpl() {
        if (settings) {
            rules();
        }
        if (structure) {
            structureIsSound();
        }
        gained.values().forEach(this::settle);
    }

    @Override
    protected void rollbackImpl() {
        gained.clear();
    }

    private void rules() {
        Map<String, String> now = judge.attributes();
        if (now.equals(committed(Judge::attributes))) {
            return;
        }
        judge.changing();
        if (!Actor.of(session).isOfAdministration()) {
            throw Refused.settings(session, realm);
        }
        try {
            Rules.of(now.get(Rules.ATTRIBUTE));
        } catch (IllegalArgumentException unreadable) {
            throw Refused.unreadable(session, realm, unreadable.getMessage());
        }
        Said.changed(session, realm, now);
    }

    /** Refuses a change by which somebody would hold what they must not, but for what they held of it before. */
    private void structureIsSound() {
        if (!judge.attributes().containsKey(Rules.ATTRIBUTE)) {
            return;
        }
        try {
            judge.changing();
            if (judge.reach().equals(committed(Judge::reach))) {
                return;
            }
            Map<String, Set<Conflict>> now = judge.broken();
            if (!now.isEmpty()) {
                Map<String, Set<Conflict>> before = committed(Judge::broken);
                now.forEach((id, conflicts) -> conflicts.removeIf(
                        conflict -> before.getOrDefault(id, Set.of()).stream().anyMatch(conflict::isWithin)));
                now.values().removeIf(Set::isEmpty);
            }
            if (!now.isEmpty()) {
                Map.Entry<String, Set<Conflict>> first = now.entrySet().iterator().next();
                throw Refused.structure(session, realm, first.getKey(), first.getValue().iterator().next(), now.size());
            }
        } catch (IllegalArgumentException unreadable) {
            throw Refused.unreadable(session, realm, unreadable.getMessage());
        }
    }

    /** What holds outside this transaction. */
    private <T> T committed(Function<Judge, T> question) {
        return KeycloakModelUtils.runJobInTransactionWithResult(session.getKeycloakSessionFactory(), session.getContext(), other -> {
            RealmModel same = other.realms().getRealm(realm.getId());
            return same == null ? null : question.apply(Judge.looking(other, same));
        }, "tradepulse-separation");
    }

    /** Takes back what a login gave of the roles that must not meet. Which of them is right, nobody here can know: none is. */
    private void settle(Grants.Gained of) {
        Optional<Conflict> conflict = judge.breaks(of.user());
        for (int rounds = 0; conflict.isPresent() && rounds <= of.roles().size() + of.groups().size(); rounds++) {
            Conflict found = conflict.get();
            takeBack(of, id -> judge.gives(id, found.roles()));
            Said.withheld(session, realm, of.user(), found);
            Optional<Conflict> left = judge.breaks(of.user());
            if (left.equals(conflict)) {
                // They break it without this login, and it may hide another rule that this login breaks: nothing that rules
                // speak of is given to them then, as nothing would be by hand.
                takeBack(of, id -> !judge.gives(id, found.roles()));
                return;
            }
            conflict = left;
        }
    }

    private void takeBack(Grants.Gained of, Predicate<String> which) {
        of.groups().stream().filter(which).map(id -> session.groups().getGroupById(realm, id))
                .filter(Objects::nonNull).forEach((GroupModel group) -> of.user().leaveGroup(group));
        of.roles().stream().filter(which).map(realm::getRoleById)
                .filter(Objects::nonNull).forEach((RoleModel role) -> of.user().deleteRoleMapping(role));
    }
}
