package example.tradepulse.keycloak.identity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ProofTimeTest {

    @Test
    @DisplayName("a password typed later does not make a factor fresher")
    void passwordLater() {
        assertEquals(Optional.of(100L), ProofTime.of("{\"1\":900,\"2\":100}", 2));
    }

    @Test
    @DisplayName("proving a higher level proves the lower ones")
    void higherCounts() {
        assertEquals(Optional.of(500L), ProofTime.of("{\"1\":100,\"2\":103,\"3\":500}", 2));
    }

    @Test
    @DisplayName("a factor whose time the session does not tell was proved at no time that counts")
    void unknown() {
        assertEquals(Optional.of(0L), ProofTime.of(null, 2));
        assertEquals(Optional.of(0L), ProofTime.of("{\"1\":100}", 2));
    }

    @Test
    @DisplayName("a session without levels leaves its one time as it is")
    void noLevels() {
        assertEquals(Optional.empty(), ProofTime.of(null, 1));
        assertEquals(Optional.empty(), ProofTime.of(null, -1));
    }

    @Test
    @DisplayName("times that cannot be read count as never")
    void unreadable() {
        assertEquals(Optional.of(0L), ProofTime.of("{\"2\":\"soon\"}", 2));
        assertEquals(Optional.of(0L), ProofTime.of("[", 1));
    }
}
