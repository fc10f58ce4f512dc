package example.tradepulse.keycloak.separation;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Everything in a realm that gives one of the roles that rules speak of: composites of it, groups that have it, their
 * subgroups, and the groups of partners that are called like it, with theirs. Pure.
 *
 * @param roles the names that a role gives, by the role's id
 * @param groups the names that a group gives, by the group's id
 * @param partners what a group of a partner gives inside that partner, by the group's id
 */
record Reach(Map<String, Set<String>> roles, Map<String, Set<String>> groups, Map<String, Inside> partners) {

    /** A role inside one partner; {@code partner} tells partners apart. */
    record Inside(String partner, String role) {}

    /** What a realm's tables say, as far as rules are concerned. */
    interface Tables {

        /** The ids of realm roles by their name. */
        Map<String, String> named(Collection<String> names);

        /** The roles that directly include one of some roles, by the id of the included one. */
        Map<String, Set<String>> including(Collection<String> roleIds);

        /** The groups that directly have one of some roles, by the id of the role. */
        Map<String, Set<String>> having(Collection<String> roleIds);

        /** The groups directly in one of some groups, by the id of the outer one. */
        Map<String, Set<String>> within(Collection<String> groupIds);

        /** The groups of partners that are called by one of some names. */
        Map<String, Inside> ofPartners(Collection<String> names);
    }

    static Reach of(Collection<String> names, Tables tables) {
        Map<String, Set<String>> roles = new HashMap<>();
        Map<String, String> named = tables.named(names);
        named.forEach((name, id) -> add(roles, id, Set.of(name)));
        spread(roles, roles.keySet(), tables::including);
        Map<String, Set<String>> groups = new HashMap<>();
        tables.having(roles.keySet()).forEach((role, having) -> having.forEach(group -> add(groups, group, roles.get(role))));
        spread(groups, groups.keySet(), tables::within);
        // A name that is a role of the platform is none that partners hand out; their own groups may be called anything.
        Map<String, Inside> partners = new HashMap<>(tables.ofPartners(names.stream().filter(name -> !named.containsKey(name)).toList()));
        Collection<String> outer = Set.copyOf(partners.keySet());
        while (!outer.isEmpty()) {
            // A role that is lent until a moment is a group below the role's.
            Set<String> inner = new HashSet<>();
            tables.within(outer).forEach((from, all) -> all.stream()
                    .filter(to -> partners.putIfAbsent(to, partners.get(from)) == null).forEach(inner::add));
            outer = inner;
        }
        return new Reach(roles, groups, partners);
    }

    /** Lets what something gives be given by all that contains it, until nothing new is found. */
    private static void spread(
            Map<String, Set<String>> given, Collection<String> first, java.util.function.Function<Collection<String>, Map<String, Set<String>>> next) {
        Deque<Set<String>> waiting = new ArrayDeque<>();
        waiting.add(new HashSet<>(first));
        while (!waiting.isEmpty() && !waiting.peek().isEmpty()) {
            Set<String> grown = new HashSet<>();
            next.apply(waiting.poll()).forEach((from, all) -> all.forEach(to -> {
                if (add(given, to, given.get(from))) {
                    grown.add(to);
                }
            }));
            waiting.add(grown);
        }
    }

    private static boolean add(Map<String, Set<String>> given, String id, Set<String> names) {
        // A copy, since a cycle of composites would otherwise add a set to itself while it is read.
        return given.computeIfAbsent(id, unknown -> new TreeSet<>()).addAll(Set.copyOf(names));
    }

    /** Whether a role can put somebody in conflict with a rule. */
    boolean concernsRole(String id) {
        return roles.containsKey(id);
    }

    /** Whether a group can put its members in conflict with a rule. */
    boolean concernsGroup(String id) {
        return groups.containsKey(id) || partners.containsKey(id);
    }

    /** Whether a role or a group gives one of some names. */
    boolean gives(String id, Collection<String> names) {
        Inside inside = partners.get(id);
        return names.stream().anyMatch(name -> roles.getOrDefault(id, Set.of()).contains(name)
                || groups.getOrDefault(id, Set.of()).contains(name) || inside != null && inside.role().equals(name));
    }

    /** What somebody holds by some roles and groups: on the platform, and besides inside each partner. */
    Held held(Collection<String> roleIds, Collection<String> groupIds) {
        Set<String> platform = new HashSet<>();
        Map<String, Set<String>> inside = new HashMap<>();
        roleIds.forEach(id -> platform.addAll(roles.getOrDefault(id, Set.of())));
        groupIds.forEach(id -> {
            platform.addAll(groups.getOrDefault(id, Set.of()));
            Optional.ofNullable(partners.get(id)).ifPresent(one -> add(inside, one.partner(), Set.of(one.role())));
        });
        return new Held(platform, inside);
    }

    /** The roles of one person. A role inside one partner meets those on the platform, never those inside another partner. */
    record Held(Set<String> platform, Map<String, Set<String>> inside) {

        /** Every rule that they break, each once for every set of roles by which they do. */
        Set<Conflict> breaks(Rules rules, String email, Instant now) {
            Set<Conflict> found = new LinkedHashSet<>(rules.broken(platform, email, now));
            for (Set<String> partner : inside.values()) {
                Set<String> all = new HashSet<>(platform);
                all.addAll(partner);
                found.addAll(rules.broken(all, email, now));
            }
            return found;
        }
    }
}
