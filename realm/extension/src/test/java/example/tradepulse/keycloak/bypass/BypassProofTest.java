package example.tradepulse.keycloak.bypass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;

import org.junit.jupiter.api.Test;

class BypassProofTest {

    private static final String NOTE = "1000 2000";

    @Test
    void aSessionRestsOnTheCodeUntilAFactorIsProvedInIt() {
        assertEquals(Optional.of(new BypassProof(1000, 2000)), BypassProof.carrying(NOTE, "{\"1\":990,\"2\":1001}"));
        assertEquals(Optional.empty(), BypassProof.carrying(NOTE, "{\"1\":990,\"2\":1500}"));
        assertEquals(Optional.empty(), BypassProof.carrying(NOTE, "{\"2\":1001,\"3\":1500}"));
    }

    @Test
    void anotherPasswordOrAnOlderFactorIsNoNewerProof() {
        assertTrue(BypassProof.carrying(NOTE, "{\"1\":1900,\"2\":1000,\"3\":500}").isPresent());
    }

    @Test
    void aSessionWithoutACodeHasNone() {
        assertEquals(Optional.empty(), BypassProof.carrying(null, "{\"2\":1001}"));
    }

    @Test
    void whatCannotBeReadIsACodeThatEnded() {
        assertTrue(BypassProof.carrying("1000", "{\"2\":5000}").orElseThrow().isOver(0));
        assertTrue(BypassProof.carrying(NOTE, "{\"two\":5000}").isPresent());
    }

    @Test
    void itEndsAtItsEnd() {
        assertFalse(new BypassProof(1000, 2000).isOver(1999));
        assertTrue(new BypassProof(1000, 2000).isOver(2000));
    }
}
