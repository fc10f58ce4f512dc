package example.tradepulse.keycloak.bulk;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * A parsed request to apply: operations, and the names behind their placeholders. Anything unknown is refused.
 *
 * @param nonce what placeholders begin with, chosen by the client for this batch alone, so that no text of a configuration is taken for one
 * @param names what each placeholder stands for, by its number
 */
record Batch(String nonce, Map<String, Name> names, List<Operation> operations) {

    private static final ObjectMapper STRICT = new ObjectMapper()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    private static final Pattern NONCE = Pattern.compile("[0-9a-f]{32}");
    private static final Set<String> FIELDS = Set.of("protocol", "nonce", "names", "operations");
    private static final Set<String> OPERATION_FIELDS = Set.of("ref", "method", "path", "query", "body", "seen", "tolerate");
    private static final Set<String> METHODS = Set.of("POST", "PUT", "DELETE");

    /** What counts as done: that it is gone already, or there already. A refused replacement may have been half made. */
    private static final Map<String, Integer> TOLERABLE = Map.of("DELETE", 404, "POST", 409);

    /** Reads a request's body. Throws Refusal: {@code malformed}, {@code protocol}, {@code too_large}. */
    static Batch read(InputStream body) {
        JsonNode document = document(body);
        only(document, FIELDS, "the document");
        if (document.path("protocol").asInt() != Limits.PROTOCOL) {
            throw Refusal.malformed("protocol", "this server speaks protocol " + Limits.PROTOCOL);
        }
        String nonce = text(document, "nonce", "the document");
        if (!NONCE.matcher(nonce).matches()) {
            throw Refusal.malformed("malformed", "nonce is 32 hexadecimal digits");
        }
        List<Operation> operations = new ArrayList<>();
        for (JsonNode one : array(document, "operations")) {
            operations.add(operation(operations.size(), one));
        }
        if (operations.size() > Limits.OPERATIONS) {
            throw Refusal.tooLarge("a batch has at most " + Limits.OPERATIONS + " operations, not " + operations.size());
        }
        JsonNode listed = document.path("names");
        if (!listed.isObject()) {
            throw Refusal.malformed("malformed", "names is an object");
        }
        Map<String, Name> names = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> one : listed.properties()) {
            names.put(one.getKey(), Name.read(one.getKey(), one.getValue()));
        }
        return new Batch(nonce, Map.copyOf(names), List.copyOf(operations));
    }

    /** Whether it may change what gives roles, and not only who has them. */
    boolean changesMoreThanPeople() {
        return operations.stream().anyMatch(operation -> !operation.path().startsWith("users"));
    }

    private static JsonNode document(InputStream body) {
        try {
            byte[] bytes = body.readNBytes(Limits.BYTES + 1);
            if (bytes.length > Limits.BYTES) {
                throw Refusal.tooLarge("a batch has at most " + Limits.BYTES + " bytes");
            }
            return STRICT.readTree(bytes);
        } catch (JsonProcessingException problem) {
            throw Refusal.malformed("malformed", "not one JSON document: " + problem.getOriginalMessage());
        } catch (IOException problem) {
            throw Refusal.malformed("malformed", "the body ended early");
        }
    }

    private static Operation operation(int index, JsonNode found) {
        String where = "operation " + index;
        only(found, OPERATION_FIELDS, where);
        String method = text(found, "method", where);
        if (!METHODS.contains(method)) {
            throw Refusal.malformed("malformed", where + ": method is one of POST, PUT, DELETE");
        }
        Map<String, String> query = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> one : found.path("query").properties()) {
            query.put(one.getKey(), one.getValue().asText());
        }
        Set<Integer> tolerate = new HashSet<>();
        for (JsonNode one : found.path("tolerate")) {
            if (one.asInt() != TOLERABLE.getOrDefault(method, -1)) {
                throw Refusal.malformed("malformed", where + ": tolerate holds 404 of a DELETE and 409 of a POST only");
            }
            tolerate.add(one.asInt());
        }
        JsonNode seen = found.get("seen");
        if (seen != null && !seen.isObject()) {
            throw Refusal.malformed("malformed", where + ": seen is an object");
        }
        return new Operation(
                index, text(found, "ref", where), method, Paths.checked(text(found, "path", where), where), query, found.get("body"), seen, tolerate);
    }

    static void only(JsonNode found, Set<String> fields, String where) {
        if (found == null || !found.isObject()) {
            throw Refusal.malformed("malformed", where + " is not an object");
        }
        found.fieldNames().forEachRemaining(name -> {
            if (!fields.contains(name)) {
                throw Refusal.malformed("malformed", where + " has no field " + name);
            }
        });
    }

    static String text(JsonNode found, String field, String where) {
        JsonNode value = found.get(field);
        if (value == null || !value.isTextual()) {
            throw Refusal.malformed("malformed", where + ": " + field + " is a string");
        }
        return value.asText();
    }

    private static JsonNode array(JsonNode found, String field) {
        JsonNode value = found.get(field);
        if (value == null || !value.isArray()) {
            throw Refusal.malformed("malformed", field + " is a list");
        }
        return value;
    }
}
