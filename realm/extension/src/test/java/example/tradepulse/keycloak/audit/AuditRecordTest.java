package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class AuditRecordTest {

    private static Object resource(String client) {
        return new AuditRecord("login.error", false, "authenticate", 0).about("realm", "dev").about("client", client).fields().get("resource");
    }

    @Test
    @DisplayName("a name that a stranger chose cannot pass for another pair")
    void noForgedPair() {
        assertEquals("client=\"x realm=prod\" realm=dev", resource("x realm=prod"));
        assertEquals("client=\"x\u2028realm=prod\" realm=dev", resource("x\u2028realm=prod"));
        assertEquals("client=\"\\\"x\\\" realm=prod\" realm=dev", resource("\"x\" realm=prod"));
    }

    @Test
    @DisplayName("an ordinary name stays as it is")
    void plain() {
        assertEquals("client=tradepulse-cli realm=dev", resource("tradepulse-cli"));
    }
}
