package example.tradepulse.keycloak.identity;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** The claims that we write into a token, and the rules for their values. */
final class Claims {

    static final String GROUPS = "groups";
    static final String ASSURANCE_LEVEL = "assurance_level";
    static final String AMR = "amr";
    static final String ORGANIZATION = "organization";

    /** The role attribute, and the value in it, by which admin-sync marks what it owns. */
    static final String MANAGED_ATTRIBUTE = "tradepulse.managed";
    static final String MANAGED_BY = "admin-sync";

    static final String LOWEST_LEVEL = "aal1";
    private static final Set<String> LEVELS = Set.of(LOWEST_LEVEL, "aal2", "aal3");

    /** Seconds that a factor counts, as in realm/base/flows.yaml: a refreshed or offline token is no longer worth it than a login. */
    static final long FACTOR_SECONDS = 36_000;

    private Claims() {
    }

    /**
     * The level that an {@code acr} stands for. What is absent or unknown counts as the lowest, never as more, and so does
     * what was proved too long ago.
     *
     * @param proved seconds since 1970 at which the level was proved, empty if there is nothing to tell
     * @param now seconds since 1970
     */
    static String assuranceLevel(String acr, Optional<Long> proved, long now) {
        boolean holds = acr != null && LEVELS.contains(acr) && proved.map(time -> time + FACTOR_SECONDS > now).orElse(true);
        return holds ? acr : LOWEST_LEVEL;
    }

    /**
     * Authentication methods (RFC 8176), each once: the password first, then by name. Keycloak lists a method once per
     * flow step that proved it, in the order of a hash map.
     *
     * @param methods the claim as Keycloak's own mapper left it; anything but a list is none
     * @param upstream the methods of a login at an identity provider
     */
    static List<String> methods(Object methods, List<String> upstream) {
        Collection<?> own = methods instanceof Collection<?> values ? values : List.of();
        return Stream.concat(own.stream(), upstream.stream())
                .filter(String.class::isInstance)
                .map(String.class::cast)
                .distinct()
                .sorted(Comparator.comparing((String method) -> !"pwd".equals(method)).thenComparing(Comparator.naturalOrder()))
                .toList();
    }

    /** The methods that a claim lists, without one of them. */
    static List<String> without(Object methods, String gone) {
        return methods(methods, List.of()).stream().filter(method -> !method.equals(gone)).toList();
    }
}
