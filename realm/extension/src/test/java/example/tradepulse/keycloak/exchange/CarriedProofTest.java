package example.tradepulse.keycloak.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CarriedProofTest {

    private static final String RULES = """
            {"claim":"acr","levels":{"mfa":"aal2","phrh":"aal3"},"methods":["otp","hwk"]}""";
    private static final Map<Integer, Integer> MAX_AGES = Map.of(1, 2_592_000, 2, 36_000, 3, 300);
    private static final long NOW = 1_000_000;

    @ParameterizedTest
    @DisplayName("a provider's token is worth what its rules list, as long as the level counts")
    @CsvSource({
        "mfa,0,aal2", "mfa,36000,aal2", "mfa,36001,aal1", "phrh,300,aal3", "phrh,301,aal2", "phrh,36001,aal1",
        "pwd,0,aal1", "PHRH,0,aal1", "aal3,0,aal1"
    })
    void byTheRules(String acr, long age, String level) {
        CarriedProof proof = fromProvider(RULES, Map.of("acr", acr, "auth_time", NOW - age, "exp", NOW + 60));
        assertEquals(level, proof.level());
    }

    @Test
    @DisplayName("a provider's token without the time of its login is worth the lowest level")
    void withoutTime() {
        CarriedProof proof = fromProvider(RULES, Map.of("acr", "phrh", "amr", List.of("hwk"), "exp", NOW + 60));
        assertEquals(new CarriedProof("aal1", List.of(), Optional.empty(), NOW + 60), proof);
    }

    @Test
    @DisplayName("without rules nothing that a provider says counts")
    void withoutRules() {
        Map<String, Object> claims = Map.of("acr", "aal3", "amr", List.of("hwk"), "auth_time", NOW, "exp", NOW + 60);
        for (String rules : new String[] {null, "", "{}", "null", "[]", "{\"claim\":\"acr\"}"}) {
            assertEquals(new CarriedProof("aal1", List.of(), Optional.empty(), NOW + 60), fromProvider(rules, claims));
        }
    }

    @Test
    @DisplayName("only methods that the rules list are passed on")
    void methods() {
        CarriedProof proof = fromProvider(
                RULES, Map.of("acr", "mfa", "amr", List.of("pwd", "otp", "sms"), "auth_time", NOW - 5, "exp", NOW + 60));
        assertEquals(new CarriedProof("aal2", List.of("otp"), Optional.of(NOW - 5), NOW + 60), proof);
    }

    @ParameterizedTest
    @DisplayName("a token of ours is worth the lower of its two levels, and the lowest without one of them")
    @CsvSource({"aal2,aal2,aal2", "aal3,aal2,aal2", "aal2,aal3,aal2", "aal3,,aal1", ",aal3,aal1", "aal9,aal3,aal1", "0,aal2,aal1"})
    void oursIsTheLower(String acr, String level, String carried) {
        Map<String, Object> claims = new HashMap<>(Map.of("amr", List.of("pwd", "hwk"), "auth_time", 7L, "exp", 9L));
        claims.put("acr", acr);
        claims.put("assurance_level", level);
        assertEquals(
                new CarriedProof(carried, List.of("pwd", "hwk"), Optional.of(7L), 9L), CarriedProof.fromOurs(claims));
    }

    @Test
    @DisplayName("claims of another type are no claims, and a token without an end has ended")
    void otherTypes() {
        Map<String, Object> claims = Map.of("acr", 3, "assurance_level", List.of("aal3"), "amr", "hwk", "auth_time", "now");
        assertEquals(new CarriedProof("aal1", List.of(), Optional.empty(), 0), CarriedProof.fromOurs(claims));
    }

    private static CarriedProof fromProvider(String rules, Map<String, Object> claims) {
        return CarriedProof.fromProvider("workforce", rules, claims, MAX_AGES, NOW);
    }
}
