package example.tradepulse.keycloak.bulk;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.junit.jupiter.api.Test;

class RoundTest {

    private final List<Operation> operations = new ArrayList<>();

    private RoundTest add(String method, String path, String name) {
        JsonNode body = name == null ? null : JsonNodeFactory.instance.objectNode().put(path.equals("users") ? "email" : "name", name);
        operations.add(new Operation(operations.size(), "r", method, path, Map.of(), body, null, Set.of()));
        return this;
    }

    /** The numbers of the operations in each round; those of a round that sees everything are negative. */
    private List<List<Integer>> rounds() {
        return Round.of(operations).stream()
                .map(round -> round.operations().stream().map(one -> round.unseen() ? one.index() : -one.index()).toList())
                .toList();
    }

    @Test
    void whatEachPersonIsGivenComesUpOnceInEachRound() {
        for (String person : List.of("a", "b")) {
            add("PUT", "users/" + person + "/groups/g", null).add("POST", "users/" + person + "/role-mappings/realm", null);
            add("POST", "users/" + person + "/role-mappings/clients/c", null);
        }
        assertEquals(List.of(List.of(0, 3), List.of(1, 4), List.of(2, 5)), rounds());
    }

    @Test
    void creationsAndGrantsOfDifferentKindsAreKeptApartAndInOrder() {
        add("POST", "roles", "x").add("POST", "clients/c/roles", "x").add("POST", "users", "a@x.example").add("PUT", "users/a/groups/g", null);
        assertEquals(List.of(List.of(0, 1), List.of(2), List.of(3)), rounds());
    }

    @Test
    void twoOfOneNameOrAddressNeverShareARound() {
        add("POST", "users", "a@x.example").add("POST", "users", "A@X.example").add("POST", "users", "b@x.example");
        assertEquals(List.of(List.of(0, 2), List.of(1)), rounds());
        operations.clear();
        add("POST", "groups/p/children", "n").add("POST", "groups/q/children", "n").add("POST", "groups/p/children", "n");
        assertEquals(List.of(List.of(0, 1), List.of(2)), rounds());
    }

    @Test
    void whatTakesAwayOrReplacesSeesAllBeforeIt() {
        add("POST", "roles", "x").add("PUT", "roles-by-id/x", "y").add("DELETE", "users/a/groups/g", null).add("POST", "roles", "z");
        assertEquals(List.of(List.of(0), List.of(-1, -2), List.of(3)), rounds());
    }

    @Test
    void whatCameWithSomethingToCompareSeesAllBeforeIt() {
        operations.add(new Operation(0, "r", "PUT", "users/a/groups/g", Map.of(), null, JsonNodeFactory.instance.objectNode(), Set.of()));
        assertEquals(List.of(List.of(0)), rounds().stream().map(round -> round.stream().map(Math::abs).toList()).toList());
        assertEquals(false, Round.of(operations).get(0).unseen());
    }
}
