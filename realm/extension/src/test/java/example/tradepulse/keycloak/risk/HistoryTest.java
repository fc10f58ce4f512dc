package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;

import org.junit.jupiter.api.Test;

class HistoryTest {

    @Test
    void aWrongSecondFactorCountsHoweverKeycloakNamesIt() {
        assertTrue(History.isFailedFactor("invalid_user_credentials", Map.of("selected_credential_id", "0f")));
        assertTrue(History.isFailedFactor("invalid_user_credentials", Map.of("credential_type", "webauthn")));
        assertTrue(History.isFailedFactor("invalid_user_credentials", Map.of("credential_type", "recovery-authn-codes")));
        assertTrue(History.isFailedFactor("user_not_found", Map.of("credential_type", "webauthn")));
    }

    @Test
    void aWrongPasswordAndAClosedWindowDoNot() {
        assertFalse(History.isFailedFactor("invalid_user_credentials", Map.of("username", "a@b.example")));
        assertFalse(History.isFailedFactor("invalid_user_credentials", Map.of("credential_type", "password")));
        assertFalse(History.isFailedFactor("invalid_user_credentials", Map.of("selected_credential_id", "")));
        assertFalse(History.isFailedFactor("not_allowed", Map.of("credential_type", "webauthn")));
        assertFalse(History.isFailedFactor("invalid_user_credentials", null));
    }
}
