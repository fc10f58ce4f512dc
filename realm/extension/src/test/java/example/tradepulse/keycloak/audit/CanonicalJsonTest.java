package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class CanonicalJsonTest {

    @Test
    @DisplayName("the example of RFC 8785, section 3.2.3, sorts by UTF-16 code unit")
    void keyOrder() {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("\u20ac", "Euro Sign");
        value.put("\r", "Carriage Return");
        value.put("\ufb33", "Hebrew Letter Dalet With Dagesh");
        value.put("1", "One");
        value.put("\ud83d\ude00", "Emoji: Grinning Face");
        value.put("\u0080", "Control");
        value.put("\u00f6", "Latin Small Letter O With Diaeresis");
        assertEquals(
                "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"\u00f6\":\"Latin Small Letter O With Diaeresis\","
                        + "\"\u20ac\":\"Euro Sign\",\"\ud83d\ude00\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
                CanonicalJson.write(value));
    }

    @Test
    @DisplayName("only what must be escaped is escaped")
    void escapes() {
        assertEquals("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\u007f\u2028\"", CanonicalJson.write("\"\\\b\f\n\r\t\u0001/\u007f\u2028"));
    }

    @Test
    @DisplayName("half a surrogate pair is replaced, since it has no UTF-8")
    void loneSurrogate() {
        assertEquals("\"\ufffdx\ufffd\"", CanonicalJson.write("\ud800x\udc00"));
    }

    @Test
    @DisplayName("lists, numbers, truth values and null")
    void values() {
        assertEquals("[1,-2,true,null,\"a\"]", CanonicalJson.write(java.util.Arrays.asList(1, -2L, true, null, "a")));
        assertThrows(IllegalArgumentException.class, () -> CanonicalJson.write(List.of(1.5)));
        assertThrows(IllegalArgumentException.class, () -> CanonicalJson.write(1L << 53));
    }
}
