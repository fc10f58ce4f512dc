package example.tradepulse.keycloak.upstream;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.Optional;

import example.tradepulse.keycloak.upstream.Address.Refusal;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class AddressTest {

    private static final String DOMAINS = "[\"tradepulse.example\",\"gmail.com\"]";
    private static final String EMAIL = "Quant.One@TradePulse.example";

    private static Optional<Refusal> refusal(String email, Map<String, Object> token, Object profile) {
        return Address.refusal(email, token, profile, DOMAINS, "oidc");
    }

    @Test
    @DisplayName("an address of a listed domain passes, whether or not the provider says that it is verified")
    void listed() {
        assertEquals(Optional.empty(), refusal(EMAIL, Map.of("email", EMAIL.toLowerCase(), "email_verified", true), "true"));
        assertEquals(Optional.empty(), refusal(EMAIL, Map.of(), null));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "a@sub.tradepulse.example", "a@tradepulse.example.evil.example", "a@eviltradepulse.example", "a@tradepulse.example.",
        "tradepulse.example", "@tradepulse.example", "a@evil.example@tradepulse.example", "a@"
    })
    @DisplayName("only the very domain is listed, and only one address is one")
    void others(String email) {
        assertEquals(Optional.of(Refusal.NOT_VOUCHED), refusal(email, Map.of(), null));
    }

    @Test
    @DisplayName("an address that the provider itself has not verified is not taken, wherever it says so")
    void unverified() {
        assertEquals(Optional.of(Refusal.NOT_VERIFIED), refusal(EMAIL, Map.of("email_verified", false), null));
        assertEquals(Optional.of(Refusal.NOT_VERIFIED), refusal(EMAIL, Map.of("email_verified", "no"), null));
        assertEquals(Optional.of(Refusal.NOT_VERIFIED), refusal(EMAIL, Map.of("email_verified", true), "false"));
    }

    @Test
    @DisplayName("user info that names another address than the signed token is not taken")
    void contradicted() {
        assertEquals(Optional.of(Refusal.CONTRADICTED), refusal(EMAIL, Map.of("email", "x@tradepulse.example"), null));
    }

    @Test
    @DisplayName("without an address nobody is let in")
    void missing() {
        assertEquals(Optional.of(Refusal.MISSING), refusal(null, Map.of(), null));
        assertEquals(Optional.of(Refusal.MISSING), refusal(" ", Map.of(), null));
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {"", "[]", "{}", "[", "null", "tradepulse.example"})
    @DisplayName("a provider without a list of domains may vouch for nobody")
    void noDomains(String domains) {
        assertEquals(Optional.of(Refusal.NOT_VOUCHED), Address.refusal(EMAIL, Map.of(), null, domains, "oidc"));
    }

    @Test
    @DisplayName("Google may tell of its own mail and of a domain that it hosts, and of no other")
    void google() {
        assertEquals(Optional.empty(), Address.refusal("a@gmail.com", Map.of(), null, DOMAINS, "google"));
        assertEquals(Optional.empty(), Address.refusal(EMAIL, Map.of("hd", "tradepulse.example"), null, DOMAINS, "google"));
        assertEquals(Optional.of(Refusal.NOT_VOUCHED), Address.refusal(EMAIL, Map.of(), null, DOMAINS, "google"));
    }
}
