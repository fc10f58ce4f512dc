package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class LevelsTest {

    @Test
    void aFactorCountsFromTheTimeAtWhichTheLoginWasJudged() {
        assertTrue(Levels.isFactorProvedSince("{\"1\":100,\"2\":200}", 200));
        assertTrue(Levels.isFactorProvedSince("{\"1\":100,\"3\":200}", 150));
        assertFalse(Levels.isFactorProvedSince("{\"1\":300,\"2\":199}", 200));
        assertFalse(Levels.isFactorProvedSince("{\"1\":300}", 200));
    }

    @Test
    void whatCannotBeReadProvesNothing() {
        assertFalse(Levels.isFactorProvedSince(null, 0));
        assertFalse(Levels.isFactorProvedSince("aal2", 0));
        assertFalse(Levels.isFactorProvedSince("{\"two\":200}", 0));
    }

    @Test
    void aSessionThatIsDoubtedKeepsItsPasswordAndWhatWasProvedSince() {
        assertEquals("{\"1\":100}", Levels.withoutFactorBefore("{\"1\":100,\"2\":200,\"3\":300}", Long.MAX_VALUE));
        assertEquals("{\"1\":100,\"3\":300}", Levels.withoutFactorBefore("{\"1\":100,\"2\":200,\"3\":300}", 300));
        assertEquals("{}", Levels.withoutFactorBefore(null, 0));
        assertEquals("{}", Levels.withoutFactorBefore("garbage", 0));
    }
}
