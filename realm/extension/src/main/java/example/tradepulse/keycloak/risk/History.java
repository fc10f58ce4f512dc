package example.tradepulse.keycloak.risk;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import org.keycloak.events.Details;
import org.keycloak.events.Errors;
import org.keycloak.events.Event;
import org.keycloak.events.EventStoreProvider;
import org.keycloak.events.EventType;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.credential.PasswordCredentialModel;

/** Somebody's earlier logins, from Keycloak's own event table: one database for all nodes, indexed by person and type. */
final class History {

    private static final int MOST_FAILURES = 1000;

    /** A factor that was shown and was wrong. Whoever closes the browser's window for a key has failed nothing. */
    private static final Set<String> WRONG = Set.of(
            Errors.INVALID_USER_CREDENTIALS, Errors.USER_NOT_FOUND, Errors.DIFFERENT_USER_AUTHENTICATED, Errors.USER_TEMPORARILY_DISABLED);

    private final EventStoreProvider store;
    private final RealmModel realm;
    private final UserModel user;

    History(KeycloakSession session, RealmModel realm, UserModel user) {
        this.store = session.getProvider(EventStoreProvider.class);
        this.realm = realm;
        this.user = user;
    }

    /** Whether events of that type are stored; a realm that names no types stores the usual ones, to which both of ours belong. */
    boolean keeps(EventType type) {
        List<String> types = realm.getEnabledEventTypesStream().toList();
        return store != null && realm.isEventsEnabled() && (types.isEmpty() || types.contains(type.name()));
    }

    /** Failed second factors of a time up to now; empty if nobody keeps them. */
    Optional<Signals.Failures> failures(Duration window, long now) {
        if (!keeps(EventType.LOGIN_ERROR)) {
            return Optional.empty();
        }
        List<Long> times = store.createQuery().realm(realm.getId()).user(user.getId()).type(EventType.LOGIN_ERROR)
                .fromDate(now - window.toMillis()).orderByDescTime().maxResults(MOST_FAILURES).getResultStream()
                .filter(event -> isFailedFactor(event.getError(), event.getDetails()))
                .map(Event::getTime)
                .toList();
        return Optional.of(new Signals.Failures(times.size(), times.isEmpty() ? 0 : times.get(0)));
    }

    /** The newest login that was let through. */
    Optional<Signals.Login> lastLogin() {
        return store.createQuery().realm(realm.getId()).user(user.getId()).type(EventType.LOGIN)
                .orderByDescTime().maxResults(1).getResultStream().findFirst()
                .map(event -> new Signals.Login(Network.ofAddress(event.getIpAddress()), event.getTime()));
    }

    /** By what Keycloak's own steps note: the id of a one-time code's credential, or the type of any other. */
    static boolean isFailedFactor(String error, Map<String, String> details) {
        if (details == null || !WRONG.contains(error)) {
            return false;
        }
        String type = details.get(Details.CREDENTIAL_TYPE);
        String selected = details.get(Details.SELECTED_CREDENTIAL_ID);
        return selected != null && !selected.isEmpty() || type != null && !PasswordCredentialModel.TYPE.equals(type);
    }
}
