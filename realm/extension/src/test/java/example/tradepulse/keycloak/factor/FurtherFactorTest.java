package example.tradepulse.keycloak.factor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FurtherFactorTest {

    @ParameterizedTest
    @DisplayName("a login that proved no factor adds none to an account that has one")
    @CsvSource({"-1,true", "0,true", "1,true", "2,false", "3,false"})
    void needsProof(int level, boolean refused) {
        assertEquals(refused, FurtherFactor.isRefused(true, true, level));
    }

    @ParameterizedTest
    @DisplayName("a first factor, and anything that registers none, is let through at every level")
    @CsvSource({"true,false", "false,true", "false,false"})
    void others(boolean registers, boolean hasFactor) {
        assertEquals(false, FurtherFactor.isRefused(registers, hasFactor, 1));
    }
}
