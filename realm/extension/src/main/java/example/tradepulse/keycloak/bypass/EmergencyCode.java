package example.tradepulse.keycloak.bypass;

import java.time.Instant;

import org.keycloak.models.UserModel;

/** What the rest of the extension asks about emergency codes. */
public final class EmergencyCode {

    private EmergencyCode() {
    }

    /** Whether somebody has one that can be used now. */
    public static boolean isOpenFor(UserModel user) {
        long now = Instant.now().getEpochSecond();
        return user.credentialManager().getStoredCredentialsByTypeStream(Bypass.TYPE).map(Bypass::of).anyMatch(one -> one.isOpen(now));
    }
}
