package example.tradepulse.keycloak.bulk;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;

/**
 * Puts ids where an operation has placeholders: {@code <nonce>x<number>x} in its path and in the strings of its body.
 *
 * <p>A name is looked up when it is first needed, since an earlier operation may create what it names.
 */
final class Placeholders {

    private final Map<String, Name> names;
    private final Pattern pattern;
    private final String nonce;
    private final String[] created;
    private final Map<String, String> found = new HashMap<>();
    private final Function<Name, Optional<String>> directory;

    Placeholders(Batch batch, Function<Name, Optional<String>> directory) {
        this.names = batch.names();
        this.nonce = batch.nonce();
        this.pattern = Pattern.compile(batch.nonce() + "x([0-9]{1,6})x");
        this.created = new String[batch.operations().size()];
        this.directory = directory;
    }

    /** Notes what an operation created; {@code id} may be null. */
    void created(Operation operation, String id) {
        created[operation.index()] = id;
    }

    /** What each operation created, null where it created nothing. */
    String[] created() {
        return created.clone();
    }

    /** A text with ids for its placeholders. Throws Refusal for a name that leads nowhere. */
    String resolved(Operation operation, String text) {
        if (text.indexOf(nonce) < 0) {
            return text;
        }
        return pattern.matcher(text).replaceAll(match -> Matcher.quoteReplacement(id(operation, match.group(1))));
    }

    /** A JSON value with ids for the placeholders in its strings. Throws Refusal for a name that leads nowhere. */
    JsonNode resolved(Operation operation, JsonNode value) {
        if (value == null || value.isNull()) {
            return value;
        }
        if (value.isTextual()) {
            return TextNode.valueOf(resolved(operation, value.asText()));
        }
        if (value.isArray()) {
            ArrayNode list = JsonNodeFactory.instance.arrayNode(value.size());
            value.forEach(inner -> list.add(resolved(operation, inner)));
            return list;
        }
        if (value.isObject()) {
            ObjectNode object = JsonNodeFactory.instance.objectNode();
            value.properties().forEach(field -> object.set(field.getKey(), resolved(operation, field.getValue())));
            return object;
        }
        return value;
    }

    private String id(Operation operation, String number) {
        Name name = names.get(number);
        if (name == null) {
            throw Refusal.ofOperation(operation, 404, "unknown_name", "there is no name " + number, null);
        }
        String id = found.get(number);
        if (id == null) {
            id = look(operation, name);
            found.put(number, id);
        }
        return id;
    }

    private String look(Operation operation, Name name) {
        Optional<String> id = switch (name.kind()) {
            case "id" -> Optional.of(Paths.checked(name.words().get(0), "operation " + operation.index()));
            case "operation" -> Optional.ofNullable(earlier(operation, name.words().get(0)));
            default -> directory.apply(name);
        };
        return id.orElseThrow(() -> Refusal.ofOperation(operation, 404, "unknown_name", name + " is not in this realm", null));
    }

    private String earlier(Operation operation, String index) {
        return index.matches("[0-9]{1,6}") && Integer.parseInt(index) < operation.index() ? created[Integer.parseInt(index)] : null;
    }
}
