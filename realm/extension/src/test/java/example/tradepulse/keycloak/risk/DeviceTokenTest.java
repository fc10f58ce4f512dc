package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;

import org.junit.jupiter.api.Test;
import org.keycloak.util.JsonSerialization;

class DeviceTokenTest {

    private static final long NOW = 1_800_000_000L;

    @Test
    void aBrowserIsKnownToTheAccountThatProvedAFactorInItAndToNoOther() throws IOException {
        String written = JsonSerialization.writeValueAsString(new DeviceToken().with("alice", NOW));
        DeviceToken read = JsonSerialization.readValue(written, DeviceToken.class);
        assertTrue(read.knows("alice", 0, NOW));
        assertFalse(read.knows("bob", 0, NOW));
        assertFalse(written.contains("alice"));
    }

    @Test
    void aBrowserIsForgottenInTimeAndWhenAnAdministratorLogsThePersonOut() {
        DeviceToken token = new DeviceToken().with("alice", NOW);
        assertTrue(token.knows("alice", NOW, NOW + DeviceToken.LIFETIME_SECONDS - 1));
        assertFalse(token.knows("alice", 0, NOW + DeviceToken.LIFETIME_SECONDS));
        assertFalse(token.knows("alice", NOW + 1, NOW + 2));
        assertFalse(token.knows("alice", 0, NOW - 1));
    }

    @Test
    void aTokenMadeForSomethingElseKnowsNobody() throws IOException {
        DeviceToken foreign = JsonSerialization.readValue(
                JsonSerialization.writeValueAsString(new DeviceToken().with("alice", NOW)).replace(DeviceToken.TYPE, "Bearer"), DeviceToken.class);
        assertFalse(foreign.knows("alice", 0, NOW));
        assertFalse(foreign.with("bob", NOW).knows("alice", 0, NOW));
        assertFalse(JsonSerialization.readValue("{\"typ\":\"tradepulse-device\",\"known\":null}", DeviceToken.class).knows("alice", 0, NOW));
    }

    @Test
    void aSharedBrowserRemembersAFewAndForgetsTheOldest() {
        DeviceToken token = new DeviceToken();
        for (int person = 0; person < 9; person++) {
            token = token.with("person " + person, NOW + person);
        }
        assertFalse(token.knows("person 0", 0, NOW + 9));
        for (int person = 1; person < 9; person++) {
            assertTrue(token.knows("person " + person, 0, NOW + 9));
        }
        assertEquals(8, token.known.size());
    }
}
