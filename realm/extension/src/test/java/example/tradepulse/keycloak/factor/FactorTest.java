package example.tradepulse.keycloak.factor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class FactorTest {

    @Test
    @DisplayName("each choice leads to Keycloak's own registration")
    void registration() {
        assertEquals(Optional.of("webauthn-register"), Factor.named("security-key").map(Factor::registration));
        assertEquals(Optional.of("CONFIGURE_TOTP"), Factor.named("authenticator-app").map(Factor::registration));
    }

    @ParameterizedTest
    @DisplayName("a form cannot name another required action")
    @NullSource
    @ValueSource(strings = {"", "webauthn-register", "UPDATE_EMAIL", "SECURITY_KEY"})
    void nothingElse(String value) {
        assertTrue(Factor.named(value).isEmpty());
    }

    @Test
    @DisplayName("a password is no second factor")
    void password() {
        assertFalse(Factor.isOne("password"));
        assertTrue(Factor.isOne("otp"));
    }

    @Test
    @DisplayName("recovery codes prove a factor and are none")
    void recovery() {
        assertFalse(Factor.isOne("recovery-authn-codes"));
        assertTrue(Factor.proves("recovery-authn-codes"));
        assertTrue(Factor.proves("webauthn"));
        assertFalse(Factor.proves("password"));
    }
}
