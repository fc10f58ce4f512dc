package example.tradepulse.keycloak.bulk;

import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.Map;

import example.tradepulse.keycloak.separation.Structure;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.StreamingOutput;
import org.jboss.logging.Logger;
import org.jboss.resteasy.reactive.server.core.CurrentRequestManager;
import org.keycloak.models.KeycloakContext;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.utils.KeycloakModelUtils;
import org.keycloak.services.resources.admin.AdminAuth;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/** What is served under {@code /admin/realms/<realm>/tradepulse-bulk}: a capability, the state, and apply. */
public final class BulkResource {

    private static final Logger LOG = Logger.getLogger(BulkResource.class);

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminPermissionEvaluator auth;

    BulkResource(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth) {
        this.session = session;
        this.realm = realm;
        this.auth = auth;
    }

    /** What this server can do, for anybody who administers anything here. */
    @GET
    @Path("")
    @Produces(MediaType.APPLICATION_JSON)
    public Map<String, Object> capability() {
        auth.requireAnyAdminRole();
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("provider", BulkProviderFactory.PROVIDER_ID);
        answer.put("protocol", Limits.PROTOCOL);
        answer.put("operations", Limits.OPERATIONS);
        answer.put("bytes", Limits.BYTES);
        return answer;
    }

    /** The state of the realm as one document. */
    @GET
    @Path("state")
    @Produces(MediaType.APPLICATION_JSON)
    public Response state() {
        try {
            State state = State.of(session, realm, auth);
            return Response.ok((StreamingOutput) state::write, MediaType.APPLICATION_JSON_TYPE).build();
        } catch (Refusal refusal) {
            return refusal.response();
        }
    }

    /** A batch of operations, all or nothing. The answer comes after the commit. */
    @POST
    @Path("apply")
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    public Response apply(InputStream body) {
        auth.requireAnyAdminRole();
        try {
            Batch batch = Batch.read(body);
            String[] created = KeycloakModelUtils.runJobInTransactionWithResult(
                    session.getKeycloakSessionFactory(), session.getContext(), inner -> within(inner, batch), "tradepulse-bulk apply");
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("applied", batch.operations().size());
            answer.put("created", created);
            return Response.ok(answer).build();
        } catch (Refusal refusal) {
            if (refusal.status() >= 500) {
                LOG.error(refusal.getMessage(), refusal);
            }
            return refusal.response();
        }
    }

    private String[] within(KeycloakSession inner, Batch batch) {
        KeycloakContext outer = session.getContext();
        inner.getContext().setConnection(outer.getConnection());
        inner.getContext().setBearerToken(outer.getBearerToken());
        RealmModel same = inner.realms().getRealm(realm.getId());
        inner.getContext().setRealm(same);
        if (batch.changesMoreThanPeople()) {
            Structure.change(inner, same);
        }
        return new Transaction(inner, same, caller(inner), outer.getHttpRequest(), BulkResource::abandoned).run(batch);
    }

    /** The caller as the models of another session know them. */
    private AdminAuth caller(KeycloakSession inner) {
        AdminAuth known = auth.adminAuth();
        RealmModel home = inner.realms().getRealm(known.getRealm().getId());
        return new AdminAuth(
                home,
                known.getToken(),
                inner.users().getUserById(home, known.getUser().getId()),
                inner.clients().getClientById(home, known.getClient().getId()));
    }

    private static boolean abandoned() {
        return CurrentRequestManager.get().serverResponse().closed();
    }
}
