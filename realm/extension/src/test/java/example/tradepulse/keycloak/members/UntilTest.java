package example.tradepulse.keycloak.members;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalLong;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UntilTest {

    @Test
    void aGroupsNameSaysTheEndThatItWasMadeFor() {
        assertEquals("until-1800000000", Until.name(1_800_000_000L));
        assertEquals(OptionalLong.of(1_800_000_000L), Until.of("until-1800000000"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"until-", "until-0", "until-01", "until--1", "until-1 ", "UNTIL-1", "until-1/2", "until-253402300800", "partner-admin", "until-1e9"})
    void anyOtherNameIsNoEnd(String name) {
        assertTrue(Until.of(name).isEmpty());
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, Long.MIN_VALUE, 253_402_300_800L, Long.MAX_VALUE})
    void thereIsNoGroupForATimeThatIsNoEnd(long seconds) {
        assertThrows(IllegalArgumentException.class, () -> Until.name(seconds));
    }
}
