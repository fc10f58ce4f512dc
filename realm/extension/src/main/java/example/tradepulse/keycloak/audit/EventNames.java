package example.tradepulse.keycloak.audit;

import static java.util.Map.entry;

import java.util.Locale;
import java.util.Map;

import org.keycloak.events.EventType;
import org.keycloak.events.admin.OperationType;

/** The dotted names under which Keycloak's events appear in the audit log. */
final class EventNames {

    private static final String ERROR_SUFFIX = "_ERROR";

    private static final Map<String, String> NAMES = Map.ofEntries(
            entry("UPDATE_CREDENTIAL", "credential.registered"),
            entry("REMOVE_CREDENTIAL", "credential.removed"),
            entry("CODE_TO_TOKEN", "token.issued"),
            entry("OAUTH2_DEVICE_CODE_TO_TOKEN", "token.issued.device"),
            entry("OAUTH2_EXTENSION_GRANT", "token.issued.extension"),
            entry("JWT_AUTHORIZATION_GRANT", "token.issued.assertion"),
            entry("REFRESH_TOKEN", "token.refreshed"),
            entry("TOKEN_EXCHANGE", "token.exchanged"),
            entry("REVOKE_GRANT", "token.revoked"),
            entry("INTROSPECT_TOKEN", "token.introspected"),
            entry("CLIENT_LOGIN", "client.login"),
            entry("IMPERSONATE", "impersonation.started"),
            entry("USER_SESSION_DELETED", "session.deleted"),
            entry("USER_DISABLED_BY_TEMPORARY_LOCKOUT", "user.locked.temporarily"),
            entry("USER_DISABLED_BY_PERMANENT_LOCKOUT", "user.locked.permanently"),
            entry("FEDERATED_IDENTITY_LINK", "identity.linked"),
            entry("REMOVE_FEDERATED_IDENTITY", "identity.unlinked"),
            entry("IDENTITY_PROVIDER_LOGIN", "broker.login"),
            entry("IDENTITY_PROVIDER_FIRST_LOGIN", "broker.login.first"),
            entry("IDENTITY_PROVIDER_POST_LOGIN", "broker.login.post"));

    private EventNames() {
    }

    /** {@code LOGIN} becomes {@code login}, {@code LOGIN_ERROR} {@code login.error}; others keep their words. */
    static String of(EventType type) {
        String name = type.name();
        boolean error = name.endsWith(ERROR_SUFFIX);
        String base = error ? name.substring(0, name.length() - ERROR_SUFFIX.length()) : name;
        String dotted = NAMES.getOrDefault(base, base.toLowerCase(Locale.ROOT));
        return error ? dotted + ".error" : dotted;
    }

    /** {@code admin.user.update} and the like. */
    static String of(String resourceType, OperationType operation) {
        String type = resourceType == null ? "unknown" : resourceType.toLowerCase(Locale.ROOT);
        return "admin." + type + "." + operation.name().toLowerCase(Locale.ROOT);
    }
}
