package example.tradepulse.keycloak.bypass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;

import org.junit.jupiter.api.Test;

class OrderTest {

    private static final String ONE = "{\"salt\":\"" + "0".repeat(32) + "\",\"hash\":\"" + "a".repeat(64) + "\"}";
    private static final String OTHER = "{\"salt\":\"" + "1".repeat(32) + "\",\"hash\":\"" + "b".repeat(64) + "\"}";
    private static final String GOOD = "{\"request\":\"REQ-000007\",\"ends\":2000,\"verifiers\":[" + ONE + "," + OTHER + "]}";

    private static Order read(String body) {
        return Order.read(new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void anOrderHasARequestAnEndAndTwoVerifiers() {
        Order order = read(GOOD);
        assertEquals("REQ-000007", order.request());
        assertEquals(2, order.verifiers().size());
    }

    @Test
    void anythingElseIsRefused() {
        for (String bad : new String[] {
            "", "[]", "null", "{}", GOOD + GOOD, GOOD.replace("REQ-000007", "REQ-7; drop"), GOOD.replace("2000", "\"2000\""),
            GOOD.replace("2000", "2000.5"), GOOD.replace("2000", "99999999999999999999"), GOOD.replace("," + OTHER, ""),
            GOOD.replace(OTHER, ONE), GOOD.replace("\"ends\"", "\"more\":1,\"ends\""), GOOD.replace("\"ends\"", "\"ends\":1,\"ends\""),
            GOOD.replace("\"salt\"", "\"pepper\""), GOOD + " ".repeat(5000)}) {
            assertThrows(IllegalArgumentException.class, () -> read(bad), bad);
        }
    }

    @Test
    void aCodeEndsWithinFourHours() {
        long end = read(GOOD).ends();
        assertTrue(read(GOOD).isTimely(end - 1));
        assertFalse(read(GOOD).isTimely(end));
        assertTrue(read(GOOD).isTimely(end - Order.LONGEST_SECONDS));
        assertFalse(read(GOOD).isTimely(end - Order.LONGEST_SECONDS - 60));
    }
}
