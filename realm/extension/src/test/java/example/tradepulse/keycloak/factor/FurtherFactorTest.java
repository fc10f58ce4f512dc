package example.tradepulse.keycloak.factor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FurtherFactorTest {

    @ParameterizedTest
    @DisplayName("a login that proved no factor adds none to an account that has one")
    @CsvSource({"false,true", "true,false"})
    void needsProof(boolean proved, boolean refused) {
        assertEquals(refused, FurtherFactor.isRefused(true, true, proved));
    }

    @ParameterizedTest
    @DisplayName("a first factor, and anything that adds no way in, is let through without proof")
    @CsvSource({"true,false", "false,true", "false,false"})
    void others(boolean addsAWayIn, boolean hasFactor) {
        assertEquals(false, FurtherFactor.isRefused(addsAWayIn, hasFactor, false));
    }
}
