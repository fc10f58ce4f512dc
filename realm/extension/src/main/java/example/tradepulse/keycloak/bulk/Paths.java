package example.tradepulse.keycloak.bulk;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Which admin calls a batch may hold. Everything else is refused: other areas, reads, the realm's own deletion, and
 * whatever acts outside the database (mail, logout, impersonation, credentials), since that cannot be rolled back.
 */
final class Paths {

    private record Rule(Set<String> methods, Pattern path) {}

    private static final String ONE = "[^/]+";
    private static final String MAPPINGS = "/(realm|clients/[^/]+)";
    private static final String MAPPERS = "/protocol-mappers/(add-models|models|models/[^/]+)";

    private static final List<Rule> TAKEN = List.of(
            rule("PUT", ""),
            rule("POST", "roles|clients|client-scopes|groups|users|organizations|identity-provider/instances"),
            rule("PUT DELETE", "(roles|roles-by-id|clients|client-scopes|groups|users|organizations|identity-provider/instances)/" + ONE),
            rule("POST DELETE", "(roles|roles-by-id)/" + ONE + "/composites"),
            rule("POST PUT DELETE", "groups/" + ONE + "/(children|role-mappings" + MAPPINGS + ")"),
            rule("POST DELETE", "users/" + ONE + "/role-mappings" + MAPPINGS),
            rule("PUT DELETE", "users/" + ONE + "/groups/" + ONE),
            rule("POST", "clients/" + ONE + "/roles"),
            rule("PUT DELETE", "clients/" + ONE + "/roles/" + ONE),
            rule("POST DELETE", "clients/" + ONE + "/roles/" + ONE + "/composites"),
            rule("PUT DELETE", "clients/" + ONE + "/(default|optional)-client-scopes/" + ONE),
            rule("POST DELETE", "(clients|client-scopes)/" + ONE + "/scope-mappings" + MAPPINGS),
            rule("POST PUT DELETE", "(clients|client-scopes)/" + ONE + MAPPERS),
            rule("PUT DELETE", "(default-default-client-scopes|default-optional-client-scopes|default-groups)/" + ONE),
            rule("POST", "organizations/" + ONE + "/(members|groups|identity-providers)"),
            rule("DELETE", "organizations/" + ONE + "/(members|identity-providers)/" + ONE),
            rule("POST PUT DELETE", "organizations/" + ONE + "/groups/" + ONE + "(/children|/role-mappings" + MAPPINGS + "|/members/" + ONE + ")?"),
            rule("POST", "identity-provider/instances/" + ONE + "/mappers"),
            rule("PUT DELETE", "identity-provider/instances/" + ONE + "/mappers/" + ONE),
            rule("PUT", "client-policies/(profiles|policies)"),
            rule("POST PUT DELETE", "authentication/(flows|executions|config|required-actions|register-required-action)(/.+)?"));

    private static final Pattern SEGMENT = Pattern.compile("(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+");

    private Paths() {}

    /** A path without tricks. Throws Refusal. */
    static String checked(String path, String where) {
        if (path.isEmpty()) {
            return path;
        }
        for (String segment : path.split("/", -1)) {
            String plain = SEGMENT.matcher(segment).matches() ? decoded(segment) : "";
            if (plain.isEmpty() || plain.equals(".") || plain.equals("..") || plain.chars().anyMatch(Character::isISOControl)) {
                throw Refusal.malformed("malformed", where + ": not a path of percent-encoded segments");
            }
        }
        return path;
    }

    /** Whether a call may be part of a batch. */
    static boolean taken(String method, String path) {
        return TAKEN.stream().anyMatch(rule -> rule.methods().contains(method) && rule.path().matcher(path).matches());
    }

    /** Percent-decoded; a plus sign stays one. */
    static String decoded(String segment) {
        return URLDecoder.decode(segment.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    private static Rule rule(String methods, String path) {
        return new Rule(Set.of(methods.split(" ")), Pattern.compile(path));
    }
}
