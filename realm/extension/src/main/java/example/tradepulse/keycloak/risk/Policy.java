package example.tradepulse.keycloak.risk;

import java.io.IOException;
import java.time.Duration;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * What is judged, and what each finding leads to. A part that is absent is not judged; {@code {}} judges nothing.
 *
 * @param networks name of the file of networks, as the operator wrote it
 */
record Policy(
        Optional<String> networks,
        Optional<Outcome> newDevice,
        Optional<Posture> posture,
        Optional<FailedMfa> failedMfa,
        Optional<Travel> travel) {

    /** The realm attribute that carries it; {@code admin-sync} writes it from {@code risk} in {@code policies.yaml}. */
    static final String ATTRIBUTE = "tradepulse.risk";

    /** Claim of an identity provider about the device, and what follows where it is missing or says no. */
    record Posture(String claim, Outcome missing, Outcome unhealthy) {}

    /** Second factors that failed, counted back from now. */
    record FailedMfa(int count, Duration window, Outcome action) {}

    /** Speed in km/h; a distance in km below which the coarse locations prove nothing. */
    record Travel(String locations, int maxSpeed, int minDistance, Outcome action) {}

    private static final Set<String> PARTS = Set.of("ip_deny_list", "new_device", "device_posture", "failed_mfa", "travel");

    private static final ObjectMapper JSON = new ObjectMapper()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    /**
     * Reads the attribute's JSON.
     *
     * @throws IllegalArgumentException if it is absent or says anything that is not understood: half a policy is none
     */
    static Policy parse(String text) {
        if (text == null) {
            throw new IllegalArgumentException("the realm has no " + ATTRIBUTE);
        }
        JsonNode root;
        try {
            root = JSON.readTree(text);
        } catch (IOException notJson) {
            throw new IllegalArgumentException(ATTRIBUTE + " is not JSON", notJson);
        }
        fields(root, ATTRIBUTE, PARTS, Set.of());
        return new Policy(
                part(root, "ip_deny_list").map(node -> word(node, "ip_deny_list")),
                part(root, "new_device").map(node -> outcome(node, "new_device")),
                part(root, "device_posture").map(Policy::posture),
                part(root, "failed_mfa").map(Policy::failedMfa),
                part(root, "travel").map(Policy::travel));
    }

    private static Posture posture(JsonNode node) {
        fields(node, "device_posture", Set.of(), Set.of("claim", "missing", "false"));
        return new Posture(word(node.get("claim"), "claim"), outcome(node.get("missing"), "missing"), outcome(node.get("false"), "false"));
    }

    private static FailedMfa failedMfa(JsonNode node) {
        fields(node, "failed_mfa", Set.of(), Set.of("count", "window", "action"));
        return new FailedMfa(
                positive(node.get("count"), "count"),
                Duration.ofSeconds(positive(node.get("window"), "window")),
                outcome(node.get("action"), "action"));
    }

    private static Travel travel(JsonNode node) {
        fields(node, "travel", Set.of(), Set.of("locations", "max_speed", "min_distance", "action"));
        return new Travel(
                word(node.get("locations"), "locations"),
                positive(node.get("max_speed"), "max_speed"),
                positive(node.get("min_distance"), "min_distance"),
                outcome(node.get("action"), "action"));
    }

    private static void fields(JsonNode node, String where, Set<String> optional, Set<String> required) {
        if (!node.isObject()) {
            throw new IllegalArgumentException(where + " is not an object");
        }
        for (Iterator<String> names = node.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!optional.contains(name) && !required.contains(name)) {
                throw new IllegalArgumentException(where + " has the unknown field " + name);
            }
        }
        for (String name : required) {
            if (!node.has(name)) {
                throw new IllegalArgumentException(where + " lacks " + name);
            }
        }
    }

    private static Optional<JsonNode> part(JsonNode root, String name) {
        return Optional.ofNullable(root.get(name));
    }

    private static String word(JsonNode node, String where) {
        if (!node.isTextual() || node.textValue().isBlank()) {
            throw new IllegalArgumentException(where + " is not a text");
        }
        return node.textValue();
    }

    private static Outcome outcome(JsonNode node, String where) {
        return Outcome.of(word(node, where)).orElseThrow(() -> new IllegalArgumentException(where + " is no outcome"));
    }

    private static int positive(JsonNode node, String where) {
        if (!node.isInt() || node.intValue() < 1) {
            throw new IllegalArgumentException(where + " is not a positive whole number");
        }
        return node.intValue();
    }
}
