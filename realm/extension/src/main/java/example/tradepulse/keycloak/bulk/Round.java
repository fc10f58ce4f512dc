package example.tradepulse.keycloak.bulk;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Operations that are carried out one after the other, and whether the database is told of them together.
 *
 * <p>Hibernate compares all that a transaction holds with what it was each time that it tells the database, and by itself
 * it does so before every query: the work grows with the square of the operations. New roles, groups and accounts and what
 * they are given make up nearly all of a large plan, and none of them asks what another of them did, as long as each object
 * comes up once. So a run of them is sorted into rounds in which none comes up twice, and after each round the database
 * knows all. Where Keycloak needs it to know sooner, it says so itself.
 *
 * @param unseen whether no operation relies on queries seeing what another of the round did
 */
record Round(boolean unseen, List<Operation> operations) {

    /** Creations and grants: the kind of a run, and the path; a group in it is the object, without one its name is. */
    private enum Kind {
        ROLE("roles|clients/[^/]+/roles"),
        GROUP("groups|groups/[^/]+/children|groups/([^/]+)/role-mappings/(?:realm|clients/[^/]+)"),
        ACCOUNT("users"),
        GRANT("users/([^/]+)/(?:groups/[^/]+|role-mappings/(?:realm|clients/[^/]+))");

        private final Pattern path;

        Kind(String path) {
            this.path = Pattern.compile(path);
        }
    }

    private record Place(Kind kind, String object) {

        /** Where an operation belongs; null for one that has to see all that was before it. */
        static Place of(Operation operation) {
            if (operation.seen() != null || operation.method().equals("DELETE")) {
                return null;
            }
            for (Kind kind : Kind.values()) {
                Matcher path = kind.path.matcher(operation.path());
                if (path.matches()) {
                    String given = path.groupCount() == 0 ? null : path.group(1);
                    return new Place(kind, given == null ? operation.path() + " " + name(operation.body()) : given);
                }
            }
            return null;
        }

        /** Of two with one name or address the second has to see the first, and to be refused. */
        private static String name(JsonNode body) {
            if (body == null) {
                return "";
            }
            return body.path("name").asText(body.path("email").asText(body.path("username").asText())).toLowerCase(Locale.ROOT);
        }
    }

    /** All operations, in their order but for those of different objects in a run. */
    static List<Round> of(List<Operation> operations) {
        List<Place> places = operations.stream().map(Place::of).toList();
        List<Round> rounds = new ArrayList<>();
        int next = 0;
        while (next < operations.size()) {
            Kind kind = kind(places.get(next));
            int end = next + 1;
            while (end < operations.size() && kind == kind(places.get(end))) {
                end++;
            }
            if (kind == null) {
                rounds.add(new Round(false, operations.subList(next, end)));
            } else {
                rounds.addAll(sorted(operations.subList(next, end), places.subList(next, end)));
            }
            next = end;
        }
        return rounds;
    }

    private static Kind kind(Place place) {
        return place == null ? null : place.kind();
    }

    private static List<Round> sorted(List<Operation> run, List<Place> places) {
        Map<String, Integer> times = new HashMap<>();
        Map<Integer, List<Operation>> rounds = new TreeMap<>();
        for (int i = 0; i < run.size(); i++) {
            int time = times.merge(places.get(i).object(), 1, Integer::sum);
            rounds.computeIfAbsent(time, first -> new ArrayList<>()).add(run.get(i));
        }
        return rounds.values().stream().map(some -> new Round(true, List.copyOf(some))).toList();
    }
}
