package example.tradepulse.keycloak.separation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.List;
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
        assertEquals(List.of(new Conflict("build-or-run", List.of("quant", "trader"))),
                RULES.broken(Set.of("viewer", "trader", "quant"), "other@b.example", BEFORE));
    }

    @Test
    void oneRoleOfEachRuleBreaksNone() {
        assertTrue(RULES.broken(Set.of("viewer", "trader", "x"), null, BEFORE).isEmpty());
    }

    @Test
    void anyTwoOfThreeBreakARuleOfThree() {
        assertEquals(List.of("x", "z"), RULES.broken(Set.of("z", "x"), null, BEFORE).get(0).roles());
    }

    @Test
    void whoeverBreaksOneRuleMayBreakAnotherBesides() {
        assertEquals(List.of("build-or-run", "three"),
                RULES.broken(Set.of("trader", "quant", "x", "y"), null, BEFORE).stream().map(Conflict::rule).toList());
    }

    @Test
    void aBreachThatGrowsIsANewOneAndOneThatShrinksIsNot() {
        Conflict two = RULES.broken(Set.of("x", "y"), null, BEFORE).get(0);
        Conflict all = RULES.broken(Set.of("x", "y", "z"), null, BEFORE).get(0);
        assertTrue(two.isWithin(all));
        assertTrue(two.isWithin(two));
        assertFalse(all.isWithin(two));
        assertFalse(new Conflict("other", two.roles()).isWithin(all));
    }

    @Test
    void anExceptionHoldsForItsPersonUntilItEnds() {
        assertTrue(RULES.broken(Set.of("trader", "quant"), "A@B.example", BEFORE).isEmpty());
        assertFalse(RULES.broken(Set.of("trader", "quant"), "a@b.example", END).isEmpty());
    }

    @Test
    void anExceptionIsNobodyElses() {
        assertFalse(RULES.broken(Set.of("trader", "quant"), null, BEFORE).isEmpty());
        assertFalse(RULES.broken(Set.of("trader", "quant"), "a@b.example.evil", BEFORE).isEmpty());
    }

    @Test
    void anExceptionFromOneRuleIsNoneFromAnother() {
        Rules rules = Rules.of("""
                {"exceptions":[{"roles":["trader"],"rule":"other","until":"2026-12-01T18:00:00Z","user":"a@b.example"}],
                 "rules":[{"name":"build-or-run","roles":["quant","trader"]}]}""");
        assertFalse(rules.broken(Set.of("trader", "quant"), "a@b.example", BEFORE).isEmpty());
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
