package example.tradepulse.keycloak.bypass;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * A request to open an emergency code: {@code {"request":"REQ-7","ends":1700000000,"verifiers":[{"salt":"…","hash":"…"},…]}}.
 *
 * @param ends seconds since 1970
 */
record Order(String request, long ends, List<Verifier> verifiers) {

    /** What the mission allows at most; the policy of the configuration may be stricter, and is kept before it comes here. */
    static final long LONGEST_SECONDS = 4 * 3600;

    /** A clock that is behind ours makes a code of the full four hours look a little longer. */
    private static final long CLOCK_SECONDS = 30;

    private static final ObjectMapper STRICT = new ObjectMapper()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    private static final Pattern REQUEST = Pattern.compile("REQ-[0-9]{1,15}");
    private static final int LONGEST_BODY = 4096;

    /** Reads a body. Throws IllegalArgumentException with a sentence that says what is wrong. */
    static Order read(InputStream body) {
        try {
            byte[] bytes = body.readNBytes(LONGEST_BODY + 1);
            if (bytes.length > LONGEST_BODY) {
                throw new IllegalArgumentException("the order has more than " + LONGEST_BODY + " bytes");
            }
            return of(STRICT.readTree(bytes));
        } catch (IOException unreadable) {
            throw new IllegalArgumentException("the order is no JSON", unreadable);
        }
    }

    static boolean isRequest(String id) {
        return id != null && REQUEST.matcher(id).matches();
    }

    private static Order of(JsonNode document) {
        only(document, Set.of("request", "ends", "verifiers"));
        String request = document.path("request").textValue();
        if (!isRequest(request)) {
            throw new IllegalArgumentException("request is the id of a request, REQ- and a number");
        }
        if (!document.path("ends").isIntegralNumber() || !document.path("ends").canConvertToLong()) {
            throw new IllegalArgumentException("ends is a number of seconds since 1970");
        }
        List<Verifier> verifiers = new ArrayList<>();
        for (JsonNode one : document.path("verifiers")) {
            only(one, Set.of("salt", "hash"));
            verifiers.add(new Verifier(one.path("salt").asText(), one.path("hash").asText()));
        }
        // The rules for two halves are those of what is made of them.
        Bypass.granted(request, 0, verifiers, Map.of());
        return new Order(request, document.path("ends").longValue(), verifiers);
    }

    /** Whether the end lies ahead, and no further than a code may be valid. */
    boolean isTimely(long now) {
        return ends > now && ends <= now + LONGEST_SECONDS + CLOCK_SECONDS;
    }

    private static void only(JsonNode object, Set<String> names) {
        Set<String> found = new TreeSet<>();
        object.fieldNames().forEachRemaining(found::add);
        if (!object.isObject() || !found.equals(names)) {
            throw new IllegalArgumentException("an object with exactly " + new TreeSet<>(names) + " is wanted");
        }
    }
}
