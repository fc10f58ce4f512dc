package example.tradepulse.keycloak.audit;

import java.util.HashSet;
import java.util.Set;

import jakarta.persistence.EntityManager;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.events.Event;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.models.RealmModel;
import org.keycloak.models.utils.KeycloakModelUtils;

/** Keycloak's tables of user and admin events, which a transaction writes together with its effects. */
final class StoredEvents implements Settler.Store {

    private final KeycloakSessionFactory factory;

    StoredEvents(KeycloakSessionFactory factory) {
        this.factory = factory;
    }

    @Override
    public Set<String> present(Set<String> ids) {
        return KeycloakModelUtils.runJobInTransactionWithResult(factory, session -> {
            EntityManager database = session.getProvider(JpaConnectionProvider.class).getEntityManager();
            Set<String> found = new HashSet<>();
            for (String table : new String[] {"EventEntity", "AdminEventEntity"}) {
                found.addAll(database.createQuery("select event.id from " + table + " event where event.id in :ids", String.class)
                        .setParameter("ids", ids).getResultList());
            }
            return found;
        });
    }

    /** Whether Keycloak stores a user event of this realm, by the same rule as its {@code EventBuilder}. */
    static boolean stores(RealmModel realm, Event event) {
        if (realm == null || !realm.isEventsEnabled() || event.getId() == null) {
            return false;
        }
        Set<String> types = new HashSet<>();
        realm.getEnabledEventTypesStream().forEach(types::add);
        return types.isEmpty() ? event.getType().isSaveByDefault() : types.contains(event.getType().name());
    }
}
