package example.tradepulse.keycloak.bulk;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import jakarta.persistence.EntityManager;
import jakarta.persistence.FlushModeType;
import jakarta.persistence.PersistenceException;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Response;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.connections.jpa.support.EntityManagers;
import org.keycloak.http.HttpRequest;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.ModelDuplicateException;
import org.keycloak.models.ModelException;
import org.keycloak.models.RealmModel;
import org.keycloak.services.resources.admin.AdminAuth;
import org.keycloak.services.resources.admin.AdminEventBuilder;
import org.keycloak.services.resources.admin.RealmAdminResource;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;
import org.keycloak.services.resources.admin.fgap.AdminPermissions;

/**
 * Carries the operations of a batch out, one after the other, in the transaction of its session.
 *
 * <p>It neither commits nor rolls back, nor can the resources that it calls: whoever opened the session does, and anything
 * thrown here means rollback. The listeners of admin events hold what they were told until then.
 */
final class Transaction {

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminAuth caller;
    private final HttpRequest outer;
    private final BooleanSupplier abandoned;
    private final EntityManager database;
    private final KeycloakSession shown;
    private final AdminPermissionEvaluator rights;
    private final Set<String> people = new HashSet<>();

    /**
     * @param session with a transaction of its own, its context set to {@code realm}
     * @param abandoned whether nobody waits for the answer any more
     */
    Transaction(KeycloakSession session, RealmModel realm, AdminAuth caller, HttpRequest outer, BooleanSupplier abandoned) {
        this.session = session;
        this.realm = realm;
        this.caller = caller;
        this.outer = outer;
        this.abandoned = abandoned;
        this.database = session.getProvider(JpaConnectionProvider.class).getEntityManager();
        this.shown = Uncommitted.session(session, database);
        // Those at the beginning hold for the batch, as for a request. To ask anew for each operation costs a third of all.
        this.rights = AdminPermissions.evaluator(session, realm, caller);
    }

    /** What each operation created, null where it created nothing. Throws Refusal. */
    String[] run(Batch batch) {
        Placeholders placeholders = new Placeholders(batch, new Directory(session, realm, rights)::find);
        for (Round round : Round.of(batch.operations())) {
            carryOut(round, placeholders);
        }
        flush();
        stopIfAbandoned();
        if (session.getTransactionManager().getRollbackOnly()) {
            // A resource may ask for rollback and still answer; that must not be reported as done.
            throw Refusal.of(409, "conflict", "Keycloak gave the batch up as a whole; its log says more");
        }
        return placeholders.created();
    }

    private void carryOut(Round round, Placeholders placeholders) {
        Runnable work = () -> {
            for (Operation operation : round.operations()) {
                carryOut(operation, placeholders);
                stopIfAbandoned();
            }
        };
        if (!round.unseen()) {
            work.run();
            return;
        }
        // Begins with a flush. Until it ends, Keycloak leaves out most of its own, and queries make none by themselves.
        known(() -> EntityManagers.runInBatch(session, work, false));
        flush();
        forgetGrants();
    }

    /** What Keycloak does itself outside that mode: a grant that stays in the session is in the way when its person goes. */
    private void forgetGrants() {
        if (people.isEmpty()) {
            return;
        }
        for (String grants : List.of("UserRoleMappingEntity", "UserGroupMembershipEntity")) {
            database.createQuery("select m from " + grants + " m where m.user.id in :people", Object.class)
                    .setFlushMode(FlushModeType.COMMIT)
                    .setParameter("people", people)
                    .getResultList()
                    .forEach(database::detach);
        }
        people.clear();
    }

    /** Whose account an operation was about. */
    private void note(String path, String created) {
        String[] parts = path.split("/");
        if (parts[0].equals("users")) {
            String person = parts.length > 1 ? Paths.decoded(parts[1]) : created;
            if (person != null) {
                people.add(person);
            }
        }
    }

    private void carryOut(Operation operation, Placeholders placeholders) {
        String path;
        try {
            path = Paths.checked(placeholders.resolved(operation, operation.path()), "operation " + operation.index());
        } catch (Refusal nowhere) {
            // What hangs on something that has gone is gone with it.
            if (nowhere.inner() == 404 && operation.tolerate().contains(404)) {
                return;
            }
            throw nowhere;
        }
        if (!Paths.taken(operation.method(), path)) {
            throw Refusal.ofOperation(operation, 405, "unknown_operation", operation.method() + " " + path + " is not taken in a batch", null);
        }
        try {
            if (operation.seen() != null) {
                compare(operation, path);
            }
            JsonNode body = placeholders.resolved(operation, operation.body());
            String id = created(operation, answer(operation.method(), path, operation.query(), body));
            placeholders.created(operation, id);
            note(path, id);
        } catch (WebApplicationException refused) {
            int status = refused.getResponse().getStatus();
            if (!operation.tolerate().contains(status)) {
                throw Refusal.ofOperation(operation, status, "refused", reason(refused), refused);
            }
        } catch (ModelDuplicateException exists) {
            throw Refusal.ofOperation(operation, 409, "refused", String.valueOf(exists.getMessage()), exists);
        } catch (ModelException invalid) {
            throw Refusal.ofOperation(operation, 400, "refused", String.valueOf(invalid.getMessage()), invalid);
        } catch (JsonProcessingException | IllegalArgumentException shape) {
            throw Refusal.ofOperation(operation, 400, "refused", "a body or parameter of the wrong shape", shape);
        } catch (PersistenceException | IOException failure) {
            throw Refusal.ofOperation(operation, 500, "failed", "the server could not store it; its log says more", failure);
        }
    }

    /** A call on resources made for it alone, as a request has them, so that nothing of one event is in the next. */
    private Object answer(String method, String path, Map<String, String> query, JsonNode body) throws IOException {
        String address = "admin/realms/" + encoded(realm.getName()) + (path.isEmpty() ? "" : "/" + path);
        session.getContext().setHttpRequest(new InnerRequest(outer, method, address, query));
        // Makes the context forget the address of the operation before.
        session.getContext().setRealm(realm);
        AdminEventBuilder event = new AdminEventBuilder(realm, caller, session, session.getContext().getConnection());
        return AdminCall.call(new RealmAdminResource(shown, rights, event), method, path, query, body);
    }

    private void compare(Operation operation, String path) throws IOException {
        // Through bytes, so that both sides have the number types of parsed JSON.
        JsonNode now = AdminCall.JSON.readTree(AdminCall.JSON.writeValueAsBytes(entity(answer("GET", path, Map.of(), null))));
        operation.seen().properties().forEach(field -> {
            if (!Sameness.of(field.getValue(), now.path(field.getKey()))) {
                throw Refusal.ofOperation(operation, 412, "stale", field.getKey() + " is not what it was when this was planned", null);
            }
        });
    }

    private static String created(Operation operation, Object answer) {
        if (!(answer instanceof Response response)) {
            return null;
        }
        if (response.getStatus() >= 400) {
            throw new WebApplicationException(response);
        }
        String location = response.getHeaderString("Location");
        return location == null ? null : Paths.decoded(location.substring(location.lastIndexOf('/') + 1));
    }

    private static Object entity(Object answer) {
        return answer instanceof Response response ? response.getEntity() : answer;
    }

    private static String reason(WebApplicationException refused) {
        Object entity = refused.getResponse().getEntity();
        try {
            return entity == null ? String.valueOf(refused.getMessage()) : AdminCall.JSON.writeValueAsString(entity);
        } catch (JsonProcessingException unreadable) {
            return String.valueOf(refused.getMessage());
        }
    }

    private void flush() {
        known(database::flush);
    }

    /** Does what tells the database; what it refuses then may be of any operation before. */
    private static void known(Runnable telling) {
        try {
            telling.run();
        } catch (PersistenceException | ModelException conflict) {
            throw Refusal.of(409, "conflict", "the database refused the batch as a whole; somebody else may have changed the realm");
        }
    }

    private void stopIfAbandoned() {
        if (abandoned.getAsBoolean()) {
            throw Refusal.of(400, "abandoned", "the client went away before the end");
        }
    }

    private static String encoded(String name) {
        return java.net.URLEncoder.encode(name, java.nio.charset.StandardCharsets.UTF_8).replace("+", "%20");
    }
}
