package example.tradepulse.keycloak.bulk;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import jakarta.persistence.EntityManager;
import jakarta.persistence.FlushModeType;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.StreamingOutput;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.services.resources.admin.AdminEventBuilder;
import org.keycloak.services.resources.admin.RealmAdminResource;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;
import org.keycloak.storage.UserStorageProvider;

/**
 * A realm as one JSON document: {@code representation}, {@code export}, {@code organizations} and
 * {@code organization_groups} exactly as the admin API answers, then people and memberships straight from the database,
 * a page at a time.
 */
final class State {

    private static final String BRIEF = "briefRepresentation";

    private final KeycloakSession session;
    private final RealmModel realm;
    private final RealmAdminResource root;

    private State(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth) {
        this.session = session;
        this.realm = realm;
        AdminEventBuilder event = new AdminEventBuilder(realm, auth.adminAuth(), session, session.getContext().getConnection());
        this.root = new RealmAdminResource(session, auth, event);
    }

    /**
     * Checks that the caller may see all of it, as the calls that it stands for would. Throws ForbiddenException, and
     * Refusal for a realm whose people are not all in Keycloak's own database.
     */
    static State of(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth) {
        auth.realm().requireViewRealm();
        auth.realm().requireManageRealm();
        auth.realm().requireViewIdentityProviders();
        auth.clients().requireView();
        auth.clients().requireViewClientScopes();
        auth.roles().requireView(realm);
        auth.groups().requireView();
        auth.users().requireView();
        auth.orgs().requireView();
        if (realm.getComponentsStream(realm.getId(), UserStorageProvider.class.getName()).findAny().isPresent()) {
            throw Refusal.of(409, "federated", "people of this realm are kept outside Keycloak; read it through the admin API");
        }
        return new State(session, realm, auth);
    }

    /** Writes the document. */
    void write(OutputStream out) throws IOException {
        EntityManager database = session.getProvider(JpaConnectionProvider.class).getEntityManager();
        // Nothing is changed here, and to look for changes before each query costs more the more has been read.
        database.setFlushMode(FlushModeType.COMMIT);
        try (JsonGenerator json = AdminCall.JSON.getFactory().createGenerator(out, JsonEncoding.UTF8)) {
            // What breaks off must not look like a whole document.
            json.disable(JsonGenerator.Feature.AUTO_CLOSE_JSON_CONTENT);
            json.writeStartObject();
            json.writeNumberField("protocol", Limits.PROTOCOL);
            json.writeFieldName("representation");
            json.writeTree(entity("GET", "", Map.of()));
            Warming.of(database, realm.getId());
            json.writeFieldName("export");
            json.writeTree(entity("POST", "partial-export", Map.of("exportClients", "true", "exportGroupsAndRoles", "true")));
            organizations(json);
            People people = new People(database, realm.getId());
            people.write(json);
            json.writeEndObject();
        }
    }

    private void organizations(JsonGenerator json) throws IOException {
        JsonNode organizations = optional("organizations", Map.of(BRIEF, "false", "first", "0", "max", "-1"));
        json.writeFieldName("organizations");
        json.writeTree(organizations);
        json.writeObjectFieldStart("organization_groups");
        for (JsonNode organization : organizations) {
            String id = organization.path("id").asText();
            json.writeFieldName(id);
            json.writeTree(optional("organizations/" + id + "/groups", Map.of(BRIEF, "false", "first", "0", "max", "-1")));
        }
        json.writeEndObject();
    }

    /** A list that the admin API answers 404 for where the realm does not use the feature. */
    private JsonNode optional(String path, Map<String, String> query) throws IOException {
        try {
            return entity("GET", path, query);
        } catch (WebApplicationException refused) {
            if (refused.getResponse().getStatus() != 404) {
                throw refused;
            }
            return AdminCall.JSON.createArrayNode();
        }
    }

    private JsonNode entity(String verb, String path, Map<String, String> query) throws IOException {
        Object answer = AdminCall.call(root, verb, path, query, null);
        Object entity = answer instanceof Response response ? response.getEntity() : answer;
        if (entity instanceof StreamingOutput stream) {
            ByteArrayOutputStream buffer = new ByteArrayOutputStream();
            stream.write(buffer);
            return AdminCall.JSON.readTree(buffer.toByteArray());
        }
        return AdminCall.JSON.valueToTree(entity);
    }
}
