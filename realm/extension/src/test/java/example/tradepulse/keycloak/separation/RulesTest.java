package example.tradepulse.keycloak.separation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RulesTest {

    private static final Instant BEFORE = Instant.parse("2026-12-01T17:59:59Z");
    private static final Instant END = Instant.parse("2026-12-01T18:00:00Z");
    private static final Rules RULES = Rules.of("""
            {"exceptions":[{"roles":["trader"],"rule":"build-or-run","until":"2026-12-01T18:00:00Z","user":"a@b.example"}],
             "rules":[{"name":"build-or-run","roles":["quant","trader"]},{"name":"three","roles":["x","y","z"]}]}""");

    @Test
    void twoRolesOfARuleBreakIt() {
        assertEquals(Optional.of(new Conflict("build-or-run", List.of("quant", "trader"))),
                RULES.broken(Set.of("viewer", "trader", "quant"), "other@b.example", BEFORE));
    }

    @Test
    void oneRoleOfEachRuleBreaksNone() {
        assertTrue(RULES.broken(Set.of("viewer", "trader", "x"), null, BEFORE).isEmpty());
    }

    @Test
    void anyTwoOfThreeBreakARuleOfThree() {
        assertEquals(List.of("x", "z"), RULES.broken(Set.of("z", "x"), null, BEFORE).orElseThrow().roles());
    }

    @Test
    void anExceptionHoldsForItsPersonUntilItEnds() {
        assertTrue(RULES.broken(Set.of("trader", "quant"), "A@B.example", BEFORE).isEmpty());
        assertTrue(RULES.broken(Set.of("trader", "quant"), "a@b.example", END).isPresent());
    }

    @Test
    void anExceptionIsNobodyElses() {
        assertTrue(RULES.broken(Set.of("trader", "quant"), null, BEFORE).isPresent());
        assertTrue(RULES.broken(Set.of("trader", "quant"), "a@b.example.evil", BEFORE).isPresent());
    }

    @Test
    void anExceptionFromOneRuleIsNoneFromAnother() {
        Rules rules = Rules.of("""
                {"exceptions":[{"roles":["trader"],"rule":"other","until":"2026-12-01T18:00:00Z","user":"a@b.example"}],
                 "rules":[{"name":"build-or-run","roles":["quant","trader"]}]}""");
        assertTrue(rules.broken(Set.of("trader", "quant"), "a@b.example", BEFORE).isPresent());
    }

    @Test
    void noDocumentIsNoRule() {
        assertTrue(Rules.of(null).isEmpty());
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "null", "[]", "{}", "{\"rules\":[]}", "{\"exceptions\":[],\"rules\":[]} x",
        "{\"exceptions\":[],\"rules\":[],\"rules\":[]}",
        "{\"exceptions\":[],\"rules\":[],\"off\":true}",
        "{\"exceptions\":[],\"rules\":[{\"name\":\"r\",\"roles\":[\"quant\"]}]}",
        "{\"exceptions\":[],\"rules\":[{\"name\":\"r\"}]}",
        "{\"exceptions\":[],\"rules\":[null]}",
        "{\"exceptions\":[{\"user\":\"a\",\"rule\":\"r\",\"roles\":[\"x\"],\"until\":\"tomorrow\"}],\"rules\":[]}",
        "{\"exceptions\":[{\"user\":\"a\",\"rule\":\"r\",\"until\":\"2026-12-01T18:00:00Z\"}],\"rules\":[]}"})
    void whatIsNoDocumentOfRulesIsRefusedAsAWhole(String text) {
        assertThrows(IllegalArgumentException.class, () -> Rules.of(text));
    }
}
