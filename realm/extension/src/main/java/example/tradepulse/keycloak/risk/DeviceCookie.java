package example.tradepulse.keycloak.risk;

import org.keycloak.TokenCategory;
import org.keycloak.common.util.Time;
import org.keycloak.jose.jws.JWSInput;
import org.keycloak.jose.jws.JWSInputException;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.services.resources.RealmsResource;
import org.keycloak.utils.SecureContextResolver;

import jakarta.ws.rs.core.Cookie;
import jakarta.ws.rs.core.NewCookie;

/** The browser's {@link DeviceToken}, kept from scripts and sent to this realm alone. */
final class DeviceCookie {

    static final String NAME = "TRADEPULSE_DEVICE";

    private DeviceCookie() {
    }

    static boolean isKnown(KeycloakSession session, RealmModel realm, UserModel user) {
        long notBefore = Math.max(realm.getNotBefore(), session.users().getNotBeforeOfUser(realm, user));
        return read(session).knows(user.getId(), notBefore, now());
    }

    /** Remembers that a factor of this account was proved in this browser. */
    static void remember(KeycloakSession session, RealmModel realm, UserModel user) {
        DeviceToken token = read(session).with(user.getId(), now());
        boolean secure = SecureContextResolver.isSecureContext(session);
        session.getContext().getHttpResponse().setCookieIfAbsent(new NewCookie.Builder(NAME)
                .value(session.tokens().encode(token))
                .path(RealmsResource.realmBaseUrl(session.getContext().getUri()).path("/").build(realm.getName()).getRawPath())
                .maxAge((int) DeviceToken.LIFETIME_SECONDS)
                .secure(secure)
                .httpOnly(true)
                // Sent wherever the session's own cookie is: a page of another site that loads ours unseen would otherwise
                // make the session look as if it had come to a new device, and lose what was proved in it.
                .sameSite(secure ? NewCookie.SameSite.NONE : NewCookie.SameSite.LAX)
                .build());
    }

    /** An empty token for a browser without one, or with one that this realm did not sign for this purpose. */
    private static DeviceToken read(KeycloakSession session) {
        Cookie cookie = session.getContext().getHttpRequest().getHttpHeaders().getCookies().get(NAME);
        DeviceToken found = cookie == null || !isInternal(session, cookie.getValue())
                ? null
                : session.tokens().decode(cookie.getValue(), DeviceToken.class);
        return found == null ? new DeviceToken() : found;
    }

    private static long now() {
        return Time.currentTimeMillis() / 1000;
    }

    /** By the realm's secret: what it signs for others to verify may hold what others chose. */
    private static boolean isInternal(KeycloakSession session, String token) {
        try {
            return session.tokens().signatureAlgorithm(TokenCategory.INTERNAL).equals(new JWSInput(token).getHeader().getRawAlgorithm());
        } catch (JWSInputException notAToken) {
            return false;
        }
    }
}
