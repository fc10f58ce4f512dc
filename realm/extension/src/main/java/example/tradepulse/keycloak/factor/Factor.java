package example.tradepulse.keycloak.factor;

import java.util.Arrays;
import java.util.Optional;
import java.util.Set;

import example.tradepulse.keycloak.bypass.EmergencyCode;
import org.keycloak.models.UserModel;

/** The second factors that a person may choose from, in the order in which they are offered. */
public enum Factor {
    SECURITY_KEY("security-key", "webauthn-register"),
    AUTHENTICATOR_APP("authenticator-app", "CONFIGURE_TOTP");

    /** Credential types that count as a second factor, or as more. */
    private static final Set<String> CREDENTIALS = Set.of("webauthn", "webauthn-passwordless", "otp");

    /** Proves a second factor that was lost, and is no reason to have none. */
    private static final String RECOVERY = "recovery-authn-codes";

    private final String formValue;
    private final String registration;

    Factor(String formValue, String registration) {
        this.formValue = formValue;
        this.registration = registration;
    }

    /** The required action of Keycloak that registers it. */
    String registration() {
        return registration;
    }

    /** The factor that a submitted form names; empty for anything else. */
    static Optional<Factor> named(String formValue) {
        return Arrays.stream(values()).filter(factor -> factor.formValue.equals(formValue)).findFirst();
    }

    /** Whether somebody has any factor, one of those above or a passkey. */
    static boolean isHeldBy(UserModel user) {
        return user.credentialManager().getStoredCredentialsStream().anyMatch(credential -> isOne(credential.getType()));
    }

    /** Whether somebody can prove more than a password: by a factor, by recovery codes that are left, or by an emergency code. */
    public static boolean isProvable(UserModel user) {
        return EmergencyCode.isOpenFor(user)
                || user.credentialManager().getStoredCredentialsStream().anyMatch(credential -> proves(credential.getType()));
    }

    /** Keycloak's types of the credentials that are a second factor. */
    public static Set<String> credentialTypes() {
        return CREDENTIALS;
    }

    static boolean isOne(String credentialType) {
        return CREDENTIALS.contains(credentialType);
    }

    /** Whether a credential of that type, proved in a login, is more than a password. */
    public static boolean proves(String credentialType) {
        return isOne(credentialType) || RECOVERY.equals(credentialType);
    }
}
