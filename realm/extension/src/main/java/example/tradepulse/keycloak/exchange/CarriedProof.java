package example.tradepulse.keycloak.exchange;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import example.tradepulse.keycloak.upstream.UpstreamProof;
import org.keycloak.models.KeycloakSession;

/**
 * What the token that is being exchanged proved, which is all that the new one may say.
 *
 * <p>Keycloak makes the new token in a session of its own, in which nobody logged in, and drops what the old one said about
 * the login. This is kept for one request, from the {@link CarryProof executor} that reads the old token to the mapper that
 * writes the new one.
 *
 * @param level {@code aal1}, {@code aal2} or {@code aal3}
 * @param methods authentication methods (RFC 8176)
 * @param time seconds since 1970 at which the level was proved, empty if the token does not tell
 * @param expires seconds since 1970 at which the old token ends, and the new one at the latest
 */
public record CarriedProof(String level, List<String> methods, Optional<Long> time, long expires) {

    /** The client's setting, written by admin-sync: audiences of its exchanged tokens besides the realm's, split by ##. */
    public static final String AUDIENCES = "tradepulse.exchange.audiences";

    private static final String ATTRIBUTE = CarriedProof.class.getName();
    private static final List<String> LEVELS = List.of("aal1", "aal2", "aal3");

    /** Seconds that a method counts, as in realm/base/flows.yaml. */
    private static final long METHOD_SECONDS = 36_000;

    /** The proof of this request's exchange; empty in every other request. */
    public static Optional<CarriedProof> of(KeycloakSession session) {
        return Optional.ofNullable(session.getAttribute(ATTRIBUTE, CarriedProof.class));
    }

    void keepFor(KeycloakSession session) {
        session.setAttribute(ATTRIBUTE, this);
    }

    /**
     * What a token of an identity provider is worth, by the same rules as a login there: what they do not list, and what
     * has no time, is the lowest level.
     *
     * @param rules the provider's setting {@link UpstreamProof#RULES}
     * @param maxAges seconds that each level counts
     * @param now seconds since 1970
     */
    static CarriedProof fromProvider(
            String alias, String rules, Map<String, Object> claims, Map<Integer, Integer> maxAges, long now) {
        Optional<UpstreamProof> proof = UpstreamProof.of(alias, rules, claims, now);
        int level = proof.map(one -> one.levelAt(now, maxAges)).orElse(1);
        return new CarriedProof(
                LEVELS.get(level - 1),
                proof.map(one -> one.methodsAt(now, METHOD_SECONDS)).orElse(List.of()),
                proof.map(UpstreamProof::time),
                number(claims.get("exp")).orElse(0L));
    }

    /** What a token of this realm says: the lower one of its two levels, which is the lowest if one is missing. */
    static CarriedProof fromOurs(Map<String, Object> claims) {
        int level = Math.min(rank(claims.get("acr")), rank(claims.get("assurance_level")));
        Collection<?> methods = claims.get("amr") instanceof Collection<?> listed ? listed : Set.of();
        return new CarriedProof(
                LEVELS.get(level),
                methods.stream().filter(String.class::isInstance).map(String.class::cast).toList(),
                number(claims.get("auth_time")),
                number(claims.get("exp")).orElse(0L));
    }

    private static int rank(Object level) {
        return level instanceof String name ? Math.max(0, LEVELS.indexOf(name)) : 0;
    }

    private static Optional<Long> number(Object claim) {
        return claim instanceof Number number && number.longValue() > 0 ? Optional.of(number.longValue()) : Optional.empty();
    }
}
