package example.tradepulse.keycloak.bypass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class VerifierTest {

    private static final String REALM = "tradepulse-dev";
    private static final String ADDRESS = "ana@x.example";

    /** The same vector is in tests/access/test_bypass_code.py. */
    private static final Verifier VERIFIER =
            new Verifier("000102030405060708090a0b0c0d0e0f", "ceeaa71267b0d60edbb7e9cbdd6234fe09df7a10cbeceda8610144e6988795d6");

    @Test
    void aHalfIsKnownHoweverItIsTyped() {
        assertTrue(VERIFIER.recognises("K7QF2M2XD9", REALM, ADDRESS));
        assertTrue(VERIFIER.recognises(" k7qf2-m2xd9 ", REALM, "Ana@X.example"));
    }

    @Test
    void aHalfIsWorthNothingOnAnotherAccountOrInAnotherRealm() {
        assertFalse(VERIFIER.recognises("K7QF2M2XD9", REALM, "bob@x.example"));
        assertFalse(VERIFIER.recognises("K7QF2M2XD9", "tradepulse-prod", ADDRESS));
    }

    @Test
    void whatIsNoHalfIsNotRecognised() {
        for (String typed : new String[] {null, "", "K7QF2M2XD8", "K7QF2M2XD", "K7QF2M2XD99", "K".repeat(10_000)}) {
            assertFalse(VERIFIER.recognises(typed, REALM, ADDRESS));
        }
    }

    @Test
    void aVerifierIsSaltAndHashAndIsNotShown() {
        assertThrows(IllegalArgumentException.class, () -> new Verifier("00", VERIFIER.hash()));
        assertThrows(IllegalArgumentException.class, () -> new Verifier(VERIFIER.salt(), VERIFIER.hash().toUpperCase()));
        assertEquals("Verifier[…]", VERIFIER.toString());
    }
}
