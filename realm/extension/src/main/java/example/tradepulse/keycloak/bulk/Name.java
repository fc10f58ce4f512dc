package example.tradepulse.keycloak.bulk;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * What a placeholder stands for: the server's id of an object, said in words.
 *
 * @param kind {@code id}, {@code operation} (what an earlier operation created), or a kind of object
 * @param words the id, the operation's index, or the object's name in one or two parts
 */
record Name(String kind, List<String> words) {

    /** Kinds with the number of words that name one. */
    private static final Map<String, Integer> KINDS = Map.ofEntries(
            Map.entry("id", 1),
            Map.entry("operation", 1),
            Map.entry("client", 1),
            Map.entry("client_role", 2),
            Map.entry("client_scope", 1),
            Map.entry("group", 1),
            Map.entry("organization", 1),
            Map.entry("organization_group", 2),
            Map.entry("role", 1),
            Map.entry("service_account", 1),
            Map.entry("user", 1));

    static Name read(String number, JsonNode found) {
        String where = "name " + number;
        Batch.only(found, Set.of("kind", "words"), where);
        String kind = Batch.text(found, "kind", where);
        List<String> words = new ArrayList<>();
        for (JsonNode word : found.path("words")) {
            if (!word.isTextual()) {
                throw Refusal.malformed("malformed", where + ": words are strings");
            }
            words.add(word.asText());
        }
        if (words.size() != KINDS.getOrDefault(kind, -1)) {
            throw Refusal.malformed("malformed", where + ": no such kind, or not its number of words");
        }
        return new Name(kind, List.copyOf(words));
    }

    @Override
    public String toString() {
        return kind + " " + String.join("/", words);
    }
}
