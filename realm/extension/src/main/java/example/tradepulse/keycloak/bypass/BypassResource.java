package example.tradepulse.keycloak.bypass;

import java.io.InputStream;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.jboss.logging.Logger;
import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.models.ClientModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/**
 * What is served under {@code /admin/realms/<realm>/tradepulse-bypass}: the emergency code of one account
 * ({@code users/<id>}), and those of all ({@code codes}).
 *
 * <p>It takes a code that was approved elsewhere; whoever may manage the account may open one. So it never makes a code
 * itself: what it is given recognises the two halves and tells none of them.
 */
public final class BypassResource {

    private static final Logger LOG = Logger.getLogger(BypassResource.class);

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminPermissionEvaluator auth;

    BypassResource(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth) {
        this.session = session;
        this.realm = realm;
        this.auth = auth;
    }

    /** The request that the account's code is of, its end, and what became of it. */
    @GET
    @Path("users/{id}")
    @Produces(MediaType.APPLICATION_JSON)
    public Response state(@PathParam("id") String id) {
        return Ledger.find(managed(id)).map(BypassResource::answer).orElseGet(() -> refused(404, "none", "this account has no emergency code"));
    }

    /** Every code of the realm that can be used or was, with whose it is. */
    @GET
    @Path("codes")
    @Produces(MediaType.APPLICATION_JSON)
    public Response codes() {
        auth.users().requireManage();
        EntityManager database = session.getProvider(JpaConnectionProvider.class).getEntityManager();
        return Response.ok(Codes.of(database, realm.getId(), Instant.now().getEpochSecond())).build();
    }

    /** Opens a code. The same request again changes nothing. */
    @PUT
    @Path("users/{id}")
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    public Response open(@PathParam("id") String id, InputStream body) {
        UserModel user = managed(id);
        try {
            Order order = Order.read(body);
            boolean known = Ledger.find(user).filter(one -> one.knows(order.request())).isPresent();
            if (!known && !order.isTimely(Instant.now().getEpochSecond())) {
                return refused(422, "bad_end", "a code ends in the future, at most " + Order.LONGEST_SECONDS + " seconds from now");
            }
            Optional<Bypass> opened = new Ledger(session).grant(
                    user, realm, order.request(), order.ends(), order.verifiers(), Said.byAdministrator(caller()));
            return opened.map(BypassResource::answer).orElseGet(
                    () -> refused(409, "another_open", "another code of this account is open: withdraw it first"));
        } catch (IllegalArgumentException malformed) {
            return refused(400, "malformed", malformed.getMessage());
        } catch (RuntimeException failed) {
            return failed(failed);
        }
    }

    /** Closes the code of a request, if it is open. */
    @DELETE
    @Path("users/{id}/{request}")
    @Produces(MediaType.APPLICATION_JSON)
    public Response withdraw(@PathParam("id") String id, @PathParam("request") String request) {
        UserModel user = managed(id);
        if (!Order.isRequest(request)) {
            return refused(400, "malformed", "a request is REQ- and a number");
        }
        try {
            return new Ledger(session).withdraw(user, realm, request, Said.byAdministrator(caller()))
                    .map(BypassResource::answer).orElseGet(() -> refused(404, "none", "this account has no code of that request"));
        } catch (RuntimeException failed) {
            return failed(failed);
        }
    }

    /** Nobody learns which ids exist who may not see people. */
    private UserModel managed(String id) {
        auth.users().requireManage();
        UserModel user = session.users().getUserById(realm, id);
        if (user == null || user.getServiceAccountClientLink() != null) {
            throw new jakarta.ws.rs.NotFoundException();
        }
        auth.users().requireManage(user);
        return user;
    }

    private String caller() {
        ClientModel client = auth.adminAuth().getClient();
        UserModel user = auth.adminAuth().getUser();
        return user.getServiceAccountClientLink() == null ? user.getUsername() : client.getClientId();
    }

    private static Response answer(Bypass code) {
        return Response.ok(Codes.told(code, Instant.now().getEpochSecond())).build();
    }

    private static Response failed(RuntimeException problem) {
        LOG.errorf(problem, "an emergency code could not be changed");
        return refused(503, "not_now", "the change was not made; send it again");
    }

    private static Response refused(int status, String code, String message) {
        return Response.status(status).type(MediaType.APPLICATION_JSON_TYPE).entity(Map.of("error", code, "message", message)).build();
    }
}
