package example.tradepulse.keycloak.upstream;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Optional;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class UpstreamProofTest {

    private static final String RULES =
            "{\"claim\":\"acr\",\"levels\":{\"mfa\":\"aal2\",\"phrh\":\"aal3\",\"pw\":\"aal1\"},\"methods\":[\"hwk\"]}";
    private static final Map<Integer, Integer> MAX_AGES = Map.of(1, 2_592_000, 2, 36_000, 3, 300);
    private static final long NOW = 1_800_000_000L;

    private static Optional<UpstreamProof> proof(Object acr, Object time) {
        return UpstreamProof.of("workforce", RULES, Map.of("acr", acr, "auth_time", time, "amr", List.of("pwd", "hwk")), NOW);
    }

    @Test
    @DisplayName("a listed value is worth its level, and passes on the methods that are trusted")
    void listed() {
        assertEquals(Optional.of(new UpstreamProof("workforce", 2, List.of("hwk"), NOW - 60)), proof("mfa", NOW - 60));
        assertEquals(3, proof(List.of("mfa", "phrh", "unknown"), NOW).orElseThrow().level(), "of several the highest");
    }

    @ParameterizedTest
    @ValueSource(strings = {"aal3", "MFA", "mfa ", "pw", ""})
    @DisplayName("a value that is not listed, or is listed as the lowest, proves nothing")
    void notListed(String acr) {
        assertEquals(Optional.empty(), proof(acr, NOW));
    }

    @Test
    @DisplayName("a proof without a time, or of a time that is none, is none")
    void timeless() {
        assertEquals(Optional.empty(), UpstreamProof.of("workforce", RULES, Map.of("acr", "phrh"), NOW));
        assertEquals(Optional.empty(), proof("phrh", String.valueOf(NOW)));
        assertEquals(Optional.empty(), proof("phrh", -1));
        assertEquals(NOW, proof("phrh", Long.MAX_VALUE).orElseThrow().time(), "nothing is proved in the future");
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {
        "", "{}", "[]", "null", "{", "{\"claim\":\"acr\"}", "{\"claim\":1,\"levels\":{\"mfa\":\"aal2\"}}",
        "{\"claim\":\"acr\",\"levels\":[\"mfa\"]}", "{\"claim\":\"acr\",\"levels\":{\"mfa\":\"aal9\"}}",
        "{\"claim\":\"acr\",\"levels\":{\"mfa\":2}}"
    })
    @DisplayName("without rules, or with ones that cannot be read, no claim is worth anything")
    void noRules(String rules) {
        assertEquals(Optional.empty(), UpstreamProof.of("mock", rules, Map.of("acr", "mfa", "auth_time", NOW), NOW));
    }

    @Test
    @DisplayName("an old proof keeps the levels whose age limit it keeps")
    void age() {
        UpstreamProof key = proof("phrh", NOW).orElseThrow();
        assertEquals(3, key.levelAt(NOW + 300, MAX_AGES));
        assertEquals(2, key.levelAt(NOW + 301, MAX_AGES));
        assertEquals(1, key.levelAt(NOW + 36_001, MAX_AGES));
        assertEquals(1, key.levelAt(NOW, Map.of()), "a level without a limit counts for nothing");
        assertEquals(List.of(), key.methodsAt(NOW + 36_000, 36_000));
    }

    @Test
    @DisplayName("a session keeps its newer proof, and a demand for a fresh login forgets what is older")
    void merged() {
        UpstreamProof proof = proof("phrh", NOW - 100).orElseThrow();
        int ago = (int) NOW - 100;
        assertEquals(Map.of(1, 5, 2, (int) NOW - 50, 3, ago), proof.addTo(Map.of(1, 5, 2, (int) NOW - 50, 3, 7), 0));
        assertEquals(Map.of(2, ago, 3, ago), proof.addTo(Map.of(1, 5, 2, 6), NOW - 100));
    }

    @Test
    @DisplayName("a note gives back what was noted, and nothing else")
    void note() {
        UpstreamProof proof = proof("mfa", NOW).orElseThrow();
        assertEquals(Optional.of(proof), UpstreamProof.fromNote(proof.toNote()));
        for (String foreign : new String[] {null, "", "{}", "aal3", "{\"provider\":\"x\",\"level\":9,\"time\":1}"}) {
            assertEquals(Optional.empty(), UpstreamProof.fromNote(foreign));
        }
    }
}
