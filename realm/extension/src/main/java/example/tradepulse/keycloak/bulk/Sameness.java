package example.tradepulse.keycloak.bulk;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.StreamSupport;

import com.fasterxml.jackson.databind.JsonNode;

/** Whether two representations say the same: Keycloak keeps many lists as sets, and leaves out what is null. */
final class Sameness {

    private Sameness() {}

    static boolean of(JsonNode one, JsonNode other) {
        if (absent(one) || absent(other)) {
            return absent(one) && absent(other);
        }
        if (one.isObject() && other.isObject()) {
            Set<String> names = new HashSet<>();
            one.fieldNames().forEachRemaining(names::add);
            other.fieldNames().forEachRemaining(names::add);
            return names.stream().allMatch(name -> of(one.path(name), other.path(name)));
        }
        if (one.isArray() && other.isArray()) {
            return sorted(one).equals(sorted(other));
        }
        return one.equals(other);
    }

    private static boolean absent(JsonNode node) {
        return node.isNull() || node.isMissingNode();
    }

    private static List<String> sorted(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false).map(JsonNode::toString).sorted().toList();
    }
}
