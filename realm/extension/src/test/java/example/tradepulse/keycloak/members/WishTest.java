package example.tradepulse.keycloak.members;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WishTest {

    private static final Set<String> NAMES = Set.of("email", "until");

    private static Wish read(String body) {
        return Wish.read(new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)), NAMES);
    }

    @Test
    void anEndIsSecondsAndNoneIsForGood() {
        assertEquals(1_800_000_000L, read("{\"until\": 1800000000}").until());
        assertNull(read("{\"until\": null}").until());
        assertNull(read("{}").until());
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"until\": \"1800000000\"}", "{\"until\": 1.5}", "{\"until\": 0}", "{\"until\": -5}", "{\"until\": 99999999999999}", "{\"until\": true}"})
    void whatIsNoEndIsRefusedAndNotTakenForNone(String body) {
        assertThrows(IllegalArgumentException.class, () -> read(body).until());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "null", "{\"until\": 1, \"until\": null}", "{\"roles\": []}", "{} {}", "{"})
    void abodyOfAnotherShapeIsRefused(String body) {
        assertThrows(IllegalArgumentException.class, () -> read(body));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a", "@acme.example", "A@acme.example", "a@acme.example ", "a@b@acme.example", "a@acme.example\u0000", "\u043e@acme.example", "a@acme.\u212Aom", "a b@acme.example"})
    void onlyPlainAddressesAreAddresses(String email) {
        assertThrows(IllegalArgumentException.class, () -> read("{\"email\": \"" + email + "\"}").email());
    }

    @Test
    void anAddressIsTakenAsItIs() {
        assertEquals("new.admin+1@acme.example", read("{\"email\": \"new.admin+1@acme.example\"}").email());
    }
}
