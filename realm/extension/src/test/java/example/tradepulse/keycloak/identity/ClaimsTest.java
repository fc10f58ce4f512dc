package example.tradepulse.keycloak.identity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClaimsTest {

    @ParameterizedTest
    @DisplayName("an acr that is not one of our levels counts as the lowest")
    @CsvSource({"aal1,aal1", "aal2,aal2", "aal3,aal3", "AAL3,aal1", "aal4,aal1", "'',aal1", "0,aal1", ",aal1"})
    void unknownIsLowest(String acr, String level) {
        assertEquals(level, Claims.assuranceLevel(acr, Optional.empty(), 100_000));
    }

    @ParameterizedTest
    @DisplayName("a factor counts for ten hours, however often its token is refreshed")
    @CsvSource({"aal2,64001,aal2", "aal2,64000,aal1", "aal3,64001,aal3", "aal3,0,aal1", "aal1,0,aal1"})
    void tenHours(String acr, long proved, String level) {
        assertEquals(level, Claims.assuranceLevel(acr, Optional.of(proved), 100_000));
    }

    @Test
    @DisplayName("methods appear once, the password first, the rest in a stable order")
    void methodsOnce() {
        assertEquals(List.of("pwd", "hwk", "otp"), Claims.methods(List.of("otp", "hwk", "pwd", "hwk"), List.of("otp")));
    }

    @Test
    @DisplayName("an amr that is no list of names is replaced by an empty one")
    void notAList() {
        assertEquals(List.of(), Claims.methods("pwd", List.of()));
    }
}
