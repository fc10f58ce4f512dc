package example.tradepulse.keycloak.bypass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.keycloak.credential.CredentialModel;

class BypassTest {

    private static final long NOW = 1_800_000_000L;
    private static final Verifier ONE = new Verifier("0".repeat(32), "a".repeat(64));
    private static final Verifier OTHER = new Verifier("1".repeat(32), "b".repeat(64));

    private static Bypass fresh() {
        return Bypass.granted("REQ-000007", NOW + 60, List.of(ONE, OTHER), Map.of());
    }

    @Test
    void aCodeHasTwoHalvesThatDiffer() {
        assertThrows(IllegalArgumentException.class, () -> Bypass.granted("REQ-000007", NOW, List.of(ONE), Map.of()));
        assertThrows(IllegalArgumentException.class, () -> Bypass.granted("REQ-000007", NOW, List.of(ONE, ONE), Map.of()));
    }

    @Test
    void aCodeIsOpenUntilItsEndAndNotAtIt() {
        assertTrue(fresh().isOpen(NOW + 59));
        assertFalse(fresh().isOpen(NOW + 60));
        assertEquals("ended", fresh().state(NOW + 60));
    }

    @Test
    void aClosedCodeForgetsItsVerifiersAndStaysClosed() {
        Bypass used = fresh().closed(Bypass.USED);
        assertFalse(used.isOpen(NOW));
        assertEquals(List.of(), used.verifiers());
        assertEquals(Bypass.USED, Bypass.of(used.stored("id", 2, NOW)).state(NOW));
    }

    @Test
    void aCodeIsToldWithADigestOfWhatRecognisesItAndAClosedOneWithout() throws Exception {
        String text = ONE.salt() + ":" + ONE.hash() + "\n" + OTHER.salt() + ":" + OTHER.hash();
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.US_ASCII));
        assertEquals(HexFormat.of().formatHex(digest), Codes.told(fresh(), NOW).get("recognised_by"));
        assertEquals("", Codes.told(fresh().closed(Bypass.USED), NOW).get("recognised_by"));
    }

    @Test
    void theFifthWrongCodeClosesIt() {
        Bypass code = fresh();
        for (int wrong = 1; wrong < 5; wrong++) {
            code = code.failed();
            assertTrue(code.isOpen(NOW));
        }
        assertEquals(Bypass.GUESSED, code.failed().state(NOW));
    }

    @Test
    void aRequestIsRememberedUntilItCouldNotBeGrantedAgain() {
        Bypass next = Bypass.granted("REQ-000008", NOW + 90, List.of(ONE, OTHER), fresh().closed(Bypass.USED).remembered(NOW));
        assertTrue(next.knows("REQ-000007"));
        assertFalse(next.knows("REQ-000009"));
        assertEquals(Map.of("REQ-000008", NOW + 90), next.remembered(NOW + 60));
    }

    @Test
    void aStoredCodeIsReadAsItWas() {
        CredentialModel stored = fresh().failed().stored("id", 3, NOW);
        assertEquals(fresh().failed(), Bypass.of(stored));
        assertEquals(3, Bypass.turn(stored));
        assertFalse(stored.getCredentialData().contains(ONE.hash()));
    }

    @Test
    void whatIsNotOfOurMakingOpensNothing() {
        CredentialModel stored = fresh().stored("id", 1, NOW);
        stored.setSecretData("[]");
        assertFalse(Bypass.of(stored).isOpen(NOW));
        stored.setCredentialData("{\"ends\":\"never\"}");
        assertFalse(Bypass.of(stored).isOpen(0));
        stored.setCredentialData(null);
        assertFalse(Bypass.of(stored).isOpen(0));
    }
}
