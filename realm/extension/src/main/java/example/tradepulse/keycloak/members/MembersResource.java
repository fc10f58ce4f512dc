package example.tradepulse.keycloak.members;

import java.io.InputStream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;

import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.PUT;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.keycloak.events.admin.OperationType;
import org.keycloak.events.admin.ResourceType;
import org.keycloak.models.GroupModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.ModelException;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserCredentialModel;
import org.keycloak.models.UserModel;
import org.keycloak.organization.OrganizationProvider;
import org.keycloak.services.resources.admin.AdminEventBuilder;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;

/**
 * What is served under {@code /admin/realms/<realm>/tradepulse-members}: the people of a partner and their roles in it.
 *
 * <p>It can do nothing else: no account that exists is changed, no other group is joined, and an account is made only for an
 * address of the partner's own domains. Whether somebody may ask for it was decided before; see the service that calls.
 */
@Produces(MediaType.APPLICATION_JSON)
public final class MembersResource {

    private static final List<String> FIRST_ACTIONS = List.of("UPDATE_PASSWORD", "tradepulse-choose-factor");
    private static final int MOST = 1000;

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminPermissionEvaluator auth;
    private final AdminEventBuilder events;

    MembersResource(KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth, AdminEventBuilder events) {
        this.session = session;
        this.realm = realm;
        this.auth = auth;
        this.events = events;
    }

    /** The partner's roles, and its members with theirs. */
    @GET
    @Path("{partner}")
    public Response members(@PathParam("partner") String alias) {
        return answered(() -> {
            Partner partner = partner(alias);
            List<Map<String, Object>> members = organizations()
                    .getMembersStream(partner.organization(), Map.of(), null, 0, MOST).map(user -> shown(partner, user)).toList();
            return Response.ok(Map.of(
                    "name", partner.organization().getName(),
                    "domains", partner.organization().getDomains().map(domain -> domain.getName()).sorted().toList(),
                    "roles", partner.roles().stream().map(GroupModel::getName).sorted().toList(),
                    "members", members)).build();
        });
    }

    /** The account of an address, member or not. */
    @GET
    @Path("{partner}/accounts")
    public Response account(@PathParam("partner") String alias, @QueryParam("email") String email) {
        return answered(() -> {
            Partner partner = partner(alias);
            UserModel user = email == null || !Wish.isEmail(email) ? null : session.users().getUserByEmail(realm, email);
            if (user == null || user.getServiceAccountClientLink() != null) {
                throw Refusal.of(404, "unknown_account", "there is no such account");
            }
            return Response.ok(shown(partner, user)).build();
        });
    }

    /** Makes an account for somebody of the partner, with a role; the password is good for the first login alone. */
    @POST
    @Path("{partner}/people")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response invite(@PathParam("partner") String alias, InputStream body) {
        return answered(() -> {
            Partner partner = partner(alias);
            Wish wish = Wish.read(body, Set.of("email", "first_name", "last_name", "password", "role", "until"));
            String email = wish.email();
            GroupModel role = partner.role(wish.text("role", 64));
            if (!partner.hasDomainOf(email)) {
                throw Refusal.of(422, "foreign_domain", "an account is made only for an address of the partner's own domains");
            }
            if (session.users().getUserByEmail(realm, email) != null || session.users().getUserByUsername(realm, email) != null) {
                throw Refusal.of(409, "account_exists", "there is an account of that address; its owner has to log in");
            }
            UserModel user = session.users().addUser(realm, email);
            user.setEmail(email);
            user.setEmailVerified(true);
            user.setFirstName(wish.text("first_name", 64));
            user.setLastName(wish.text("last_name", 64));
            user.setEnabled(true);
            FIRST_ACTIONS.forEach(user::addRequiredAction);
            user.credentialManager().updateCredential(UserCredentialModel.password(wish.text("password", 128)));
            tell(OperationType.CREATE, ResourceType.USER, "users", user.getId());
            partner.give(user, role, ahead(wish.until()));
            tell(OperationType.CREATE, ResourceType.ORGANIZATION_MEMBERSHIP, "organizations", partner.organization().getId(), "members", user.getId());
            return Response.status(201).entity(shown(partner, user)).build();
        });
    }

    /** Gives somebody a role, and makes them a member if they are none; {@code {"until": null}} for good. */
    @PUT
    @Path("{partner}/people/{id}/roles/{role}")
    @Consumes(MediaType.APPLICATION_JSON)
    public Response give(@PathParam("partner") String alias, @PathParam("id") String id, @PathParam("role") String role, InputStream body) {
        return answered(() -> {
            Partner partner = partner(alias);
            UserModel user = person(id);
            partner.give(user, partner.role(role), ahead(Wish.read(body, Set.of("until")).until()));
            tell(OperationType.UPDATE, ResourceType.ORGANIZATION_MEMBERSHIP, "organizations", partner.organization().getId(), "members", id);
            return Response.ok(shown(partner, user)).build();
        });
    }

    /** Takes a role from a member. */
    @DELETE
    @Path("{partner}/people/{id}/roles/{role}")
    public Response take(@PathParam("partner") String alias, @PathParam("id") String id, @PathParam("role") String role) {
        return answered(() -> {
            Partner partner = partner(alias);
            UserModel user = member(partner, id);
            partner.take(user, partner.role(role));
            tell(OperationType.UPDATE, ResourceType.ORGANIZATION_MEMBERSHIP, "organizations", partner.organization().getId(), "members", id);
            return Response.ok(shown(partner, user)).build();
        });
    }

    /** Ends a membership, with every role. The account stays: it is its owner's. */
    @DELETE
    @Path("{partner}/people/{id}")
    public Response remove(@PathParam("partner") String alias, @PathParam("id") String id) {
        return answered(() -> {
            Partner partner = partner(alias);
            partner.remove(member(partner, id));
            tell(OperationType.DELETE, ResourceType.ORGANIZATION_MEMBERSHIP, "organizations", partner.organization().getId(), "members", id);
            return Response.noContent().build();
        });
    }

    /** Removes the roles of all partners whose end has come, and says whose they were. */
    @POST
    @Path("-/endings")
    public Response sweep() {
        return answered(() -> {
            Caller.require(realm, auth);
            List<Map<String, Object>> ended = new ArrayList<>();
            Partner.over(session, realm, Instant.now().getEpochSecond()).stream()
                    .collect(Collectors.groupingBy(group -> group.getOrganization().getAlias()))
                    .forEach((alias, over) -> Partner.of(session, realm, alias).ifPresent(partner -> partner.end(over, (user, held) -> ended.add(Map.of(
                            "partner", alias, "id", user.getId(), "email", String.valueOf(user.getEmail()),
                            "role", held.role().getName(), "until", held.until().orElseThrow())))));
            return Response.ok(Map.of("ended", ended)).build();
        });
    }

    private Map<String, Object> shown(Partner partner, UserModel user) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("id", user.getId());
        shown.put("email", user.getEmail());
        shown.put("first_name", user.getFirstName());
        shown.put("last_name", user.getLastName());
        shown.put("enabled", user.isEnabled());
        shown.put("member", organizations().isMember(partner.organization(), user));
        shown.put("declared", partner.declares(user));
        shown.put("factors", user.credentialManager().getStoredCredentialsStream().map(one -> one.getType()).distinct().sorted().toList());
        shown.put("roles", partner.held(user).stream().map(held -> {
            Map<String, Object> role = new LinkedHashMap<>();
            role.put("role", held.role().getName());
            role.put("until", held.until().isPresent() ? held.until().getAsLong() : null);
            return role;
        }).toList());
        return shown;
    }

    /** Nobody learns which partners or people exist who may not ask. */
    private Partner partner(String alias) {
        Caller.require(realm, auth);
        if (!realm.isOrganizationsEnabled()) {
            throw Refusal.of(404, "unknown_partner", "there is no such partner");
        }
        return Partner.of(session, realm, alias).orElseThrow(() -> Refusal.of(404, "unknown_partner", "there is no such partner"));
    }

    /** An account that a role can be given to. */
    private UserModel person(String id) {
        UserModel user = session.users().getUserById(realm, id);
        if (user == null || user.getServiceAccountClientLink() != null) {
            throw Refusal.of(404, "unknown_account", "there is no such account");
        }
        if (!user.isEnabled() || !user.isEmailVerified() || user.getEmail() == null) {
            throw Refusal.of(409, "account_unusable", "the account is switched off, or its address was never verified");
        }
        return user;
    }

    private UserModel member(Partner partner, String id) {
        UserModel user = session.users().getUserById(realm, id);
        if (user == null || !organizations().isMember(partner.organization(), user)) {
            throw Refusal.of(404, "unknown_account", "there is no such member");
        }
        return user;
    }

    private static Long ahead(Long until) {
        if (until != null && until <= Instant.now().getEpochSecond()) {
            throw Refusal.of(422, "over_already", "that end has passed");
        }
        return until;
    }

    private Response answered(Supplier<Response> work) {
        try {
            return work.get();
        } catch (WebApplicationException refused) {
            session.getTransactionManager().setRollbackOnly();
            throw refused;
        } catch (IllegalArgumentException malformed) {
            session.getTransactionManager().setRollbackOnly();
            throw Refusal.of(400, "malformed", malformed.getMessage());
        } catch (ModelException impossible) {
            session.getTransactionManager().setRollbackOnly();
            throw Refusal.of(422, "refused", "the realm's own rules do not let this account be as asked");
        }
    }

    private void tell(OperationType operation, ResourceType type, String... path) {
        events.operation(operation).resource(type).resourcePath(path).success();
    }

    private OrganizationProvider organizations() {
        return session.getProvider(OrganizationProvider.class);
    }
}
