package example.tradepulse.keycloak.audit;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.jboss.logging.Logger;
import org.keycloak.credential.CredentialModel;
import org.keycloak.events.Details;
import org.keycloak.events.Event;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.EventType;
import org.keycloak.events.admin.AdminEvent;
import org.keycloak.events.admin.AuthDetails;
import org.keycloak.http.HttpRequest;
import org.keycloak.models.ImpersonationSessionNote;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.OrganizationModel;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.organization.OrganizationProvider;

/**
 * Turns what Keycloak reports in one request into audit records of its transaction.
 *
 * <p>Everything is read from the session in {@code onEvent}: after the commit the session must not be touched, or the
 * request that succeeded would answer 500.
 */
final class AuditListener implements EventListenerProvider {

    private static final Logger LOG = Logger.getLogger(AuditListener.class);

    /** What may leave an event's details; a detail that is not here may hold what a person typed, or a token's id. */
    private static final List<String> SAFE_DETAILS = List.of(
            Details.AUTH_METHOD,
            Details.CLIENT_AUTH_METHOD,
            Details.CUSTOM_REQUIRED_ACTION,
            Details.GRANT_TYPE,
            Details.IDENTITY_PROVIDER,
            Details.IMPERSONATOR,
            Details.IMPERSONATOR_REALM);

    /** What Keycloak says of a refresh token that was used before; the error itself is that of any bad token. */
    private static final Set<String> REUSED = Set.of("Maximum allowed refresh token reuse exceeded", "Stale token");

    private static final Pattern TRACEPARENT = Pattern.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*");
    private static final Pattern ORGANIZATION_PATH = Pattern.compile("organizations/([0-9a-fA-F-]{36}).*");

    private final KeycloakSession session;
    private final AuditWriter writer;

    AuditListener(KeycloakSession session, AuditWriter writer) {
        this.session = session;
        this.writer = writer;
        // Enlisted now: an event may come when the transaction takes no more participants.
        AuditTransaction.of(session, writer);
    }

    @Override
    public void onEvent(Event event) {
        RealmModel realm = event.getRealmId() == null ? null : session.realms().getRealm(event.getRealmId());
        AuditRecord record = new AuditRecord(EventNames.of(event.getType()), event.getError() == null, action(event), event.getTime())
                .id(event.getId())
                .actor(event.getUserId())
                .session(event.getSessionId())
                .ip(event.getIpAddress())
                .trace(trace())
                .about("realm", event.getRealmName())
                .about("client", event.getClientId())
                .reason(event.getError());
        Map<String, String> details = event.getDetails() == null ? Map.of() : event.getDetails();
        SAFE_DETAILS.forEach(name -> record.about(name, details.get(name)));
        record.about("cause", REUSED.contains(String.valueOf(details.get(Details.REASON))) ? "refresh_token_reused" : null);
        if (realm != null) {
            asFarAsKnown(() -> record.actor(Actors.name(session, realm, event.getUserId())));
            asFarAsKnown(() -> record.about(Details.CREDENTIAL_TYPE, credentialType(realm, event.getUserId(), details)));
            asFarAsKnown(() -> record.partner(partner(realm, details.get(Details.ORG_ID))));
            asFarAsKnown(() -> ofSession(record, realm, event));
        }
        AuditTransaction.of(session, writer).add(record.fields(), StoredEvents.stores(realm, event));
    }

    @Override
    public void onEvent(AdminEvent event, boolean includeRepresentation) {
        AuthDetails who = event.getAuthDetails();
        RealmModel realm = event.getRealmId() == null ? null : session.realms().getRealm(event.getRealmId());
        AuditRecord record = new AuditRecord(
                        EventNames.of(event.getResourceTypeAsString(), event.getOperationType()),
                        event.getError() == null,
                        event.getOperationType().name().toLowerCase(Locale.ROOT),
                        event.getTime())
                .id(event.getId())
                .trace(trace())
                .about("realm", event.getRealmName())
                .about("path", event.getResourcePath())
                .reason(event.getError());
        if (realm != null) {
            Matcher organization = ORGANIZATION_PATH.matcher(String.valueOf(event.getResourcePath()));
            asFarAsKnown(() -> record.partner(organization.matches() ? partner(realm, organization.group(1)) : null));
        }
        if (who != null) {
            record.actor(who.getUserId()).ip(who.getIpAddress()).about("actor_realm", who.getRealmName());
            asFarAsKnown(() -> {
                RealmModel home = who.getRealmId() == null ? null : session.realms().getRealm(who.getRealmId());
                record.actor(Actors.name(session, home, who.getUserId()));
            });
        }
        boolean stored = realm != null && realm.isAdminEventsEnabled() && event.getId() != null;
        AuditTransaction.of(session, writer).add(record.fields(), stored);
    }

    @Override
    public void close() {
        // Records leave with the transaction; there is nothing to release.
    }

    /** Level and methods of the session, and who is behind it where an administrator acts as somebody else. */
    private void ofSession(AuditRecord record, RealmModel realm, Event event) {
        if (event.getSessionId() == null) {
            // A factor that a login asks for is registered before there is a session.
            if (event.getType() == EventType.UPDATE_CREDENTIAL) {
                record.assurance(Assurance.proved(session, realm));
            }
            return;
        }
        record.assurance(Assurance.of(session, realm, event.getSessionId(), event.getClientId()));
        UserSessionModel userSession = session.sessions().getUserSession(realm, event.getSessionId());
        if (userSession != null) {
            record.about(Details.IMPERSONATOR, userSession.getNote(ImpersonationSessionNote.IMPERSONATOR_USERNAME.toString()));
        }
    }

    /** Keycloak drops the exceptions of listeners, so one here would cost the record: rather one that says less. */
    private static void asFarAsKnown(Runnable detail) {
        try {
            detail.run();
        } catch (RuntimeException problem) {
            LOG.warn("audit: a detail of an event could not be read", problem);
        }
    }

    /** The trace id of the request (W3C Trace Context), or null. */
    String trace() {
        return trace(session);
    }

    static String trace(KeycloakSession session) {
        try {
            HttpRequest request = session.getContext().getHttpRequest();
            String header = request == null ? null : request.getHttpHeaders().getHeaderString("traceparent");
            Matcher matcher = TRACEPARENT.matcher(String.valueOf(header));
            return matcher.matches() ? matcher.group(1) : null;
        } catch (RuntimeException outsideARequest) {
            // Workflows and other tasks have no request, and Keycloak answers that question with an exception.
            return null;
        }
    }

    private static String action(Event event) {
        return switch (event.getType()) {
            case LOGIN, LOGIN_ERROR, CLIENT_LOGIN, CLIENT_LOGIN_ERROR -> "authenticate";
            case LOGOUT, LOGOUT_ERROR -> "logout";
            case UPDATE_CREDENTIAL, UPDATE_CREDENTIAL_ERROR -> "register";
            case REMOVE_CREDENTIAL, REMOVE_CREDENTIAL_ERROR -> "remove";
            default -> EventNames.of(event.getType()).replace(".error", "");
        };
    }

    /** The type of the credential that an event names by type or, as for one-time codes, only by id. */
    private String credentialType(RealmModel realm, String userId, Map<String, String> details) {
        String type = details.get(Details.CREDENTIAL_TYPE);
        String id = Optional.ofNullable(details.get(Details.SELECTED_CREDENTIAL_ID)).orElse(details.get(Details.CREDENTIAL_ID));
        if (type != null || id == null || userId == null) {
            return type;
        }
        UserModel user = session.users().getUserById(realm, userId);
        CredentialModel credential = user == null ? null : user.credentialManager().getStoredCredentialById(id);
        return credential == null ? null : credential.getType();
    }

    private String partner(RealmModel realm, String organizationId) {
        if (organizationId == null || !realm.isOrganizationsEnabled() || session.getContext().getRealm() == null) {
            return null;
        }
        try {
            OrganizationModel organization = session.getProvider(OrganizationProvider.class).getById(organizationId);
            return organization == null ? null : organization.getAlias();
        } catch (RuntimeException problem) {
            // The event matters more than the partner's name, which the path gives by id.
            LOG.debug("audit: the organization of an event could not be read", problem);
            return null;
        }
    }
}
