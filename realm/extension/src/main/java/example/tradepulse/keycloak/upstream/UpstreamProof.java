package example.tradepulse.keycloak.upstream;

import java.io.IOException;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

import org.keycloak.util.JsonSerialization;

/**
 * What an identity provider proved about a person in one login, by the rules that were written for that provider.
 *
 * <p>The rules are the provider's setting {@link #RULES}, written by admin-sync:
 * {@code {"claim":"acr","levels":{"phr":"aal2"},"methods":["hwk"]}}. A value that they do not list proves nothing, and
 * neither does one without a time: a session at the provider may be older than any factor counts here.
 *
 * @param provider the provider's alias
 * @param level 2 for {@code aal2} or 3 for {@code aal3}; what is worth less is no proof at all
 * @param methods authentication methods (RFC 8176) that the rules pass on
 * @param time seconds since 1970 at which the person logged in at the provider ({@code auth_time})
 */
public record UpstreamProof(String provider, int level, List<String> methods, long time) {

    /** The provider's setting that holds the rules. */
    public static final String RULES = "tradepulse.assurance";

    /** The note of a user session that holds the proof of its last login by a provider. */
    public static final String NOTE = "tradepulse.upstream";

    private static final Map<String, Integer> LEVELS = Map.of("aal2", 2, "aal3", 3);

    /**
     * The proof in the claims of a token whose signature, issuer and audience were checked.
     *
     * @param rules the setting {@link #RULES}, null if there is none; what cannot be read is worth nothing
     * @param claims the claims beyond those that every token has ({@code acr}, {@code amr}, {@code auth_time}, …)
     * @param now seconds since 1970
     */
    public static Optional<UpstreamProof> of(String provider, String rules, Map<String, Object> claims, long now) {
        Map<?, ?> read = object(rules);
        if (!(read.get("claim") instanceof String claim) || !(read.get("levels") instanceof Map<?, ?> levels)) {
            return Optional.empty();
        }
        int level = values(claims.get(claim)).map(levels::get).filter(Objects::nonNull).map(LEVELS::get).filter(Objects::nonNull)
                .mapToInt(Integer::intValue).max().orElse(0);
        Optional<Long> time = time(claims.get("auth_time"), now);
        if (level == 0 || time.isEmpty()) {
            return Optional.empty();
        }
        Collection<?> passed = read.get("methods") instanceof Collection<?> listed ? listed : List.of();
        List<String> methods = values(claims.get("amr")).filter(passed::contains).distinct().sorted().toList();
        return Optional.of(new UpstreamProof(provider, level, methods, time.get()));
    }

    /**
     * The level that the proof still gives: of the levels up to its own the highest whose age limit it keeps, else 1.
     *
     * @param maxAges seconds that each level counts; a level without a limit counts for nothing
     * @param now seconds since 1970
     */
    public int levelAt(long now, Map<Integer, Integer> maxAges) {
        int held = 1;
        for (int one = 2; one <= level; one++) {
            Integer maxAge = maxAges.get(one);
            held = maxAge != null && time + maxAge >= now ? one : held;
        }
        return held;
    }

    /** The methods, as long as they count. */
    public List<String> methodsAt(long now, long seconds) {
        return time + seconds > now ? methods : List.of();
    }

    /** The proof as the text of a note. */
    public String toNote() {
        try {
            return JsonSerialization.writeValueAsString(
                    Map.of("provider", provider, "level", level, "methods", methods, "time", time));
        } catch (IOException impossible) {
            throw new IllegalStateException("texts and numbers are JSON", impossible);
        }
    }

    /** The proof in a note; empty for none, or for one that is not of our making. */
    public static Optional<UpstreamProof> fromNote(String note) {
        Map<?, ?> read = object(note);
        if (read.get("provider") instanceof String provider && read.get("level") instanceof Integer level
                && level >= 2 && level <= 3 && read.get("time") instanceof Number time) {
            return Optional.of(new UpstreamProof(provider, level, values(read.get("methods")).toList(), time.longValue()));
        }
        return Optional.empty();
    }

    /**
     * When each level was proved, with this proof among it: what a session knows already stays if it is newer.
     *
     * @param known level to seconds since 1970
     * @param oldest times before this one are forgotten, which is how a demand for a fresh login is kept; 0 forgets none
     */
    Map<Integer, Integer> addTo(Map<Integer, Integer> known, long oldest) {
        Map<Integer, Integer> levels = new HashMap<>(known);
        for (int one = 2; one <= level; one++) {
            levels.merge(one, Math.toIntExact(time), Math::max);
        }
        levels.values().removeIf(proved -> proved < oldest);
        return levels;
    }

    private static Map<?, ?> object(String text) {
        try {
            return text == null ? Map.of() : Objects.requireNonNullElse(JsonSerialization.readValue(text, Map.class), Map.of());
        } catch (IOException unreadable) {
            return Map.of();
        }
    }

    private static Stream<String> values(Object claim) {
        Stream<?> each = claim instanceof Collection<?> several ? several.stream() : Stream.ofNullable(claim);
        return each.filter(one -> one instanceof String || one instanceof Integer).map(String::valueOf);
    }

    /** A time that lies ahead, by a clock that is fast, is now; no time at all, or none that fits, is none. */
    private static Optional<Long> time(Object claim, long now) {
        return claim instanceof Number number && number.longValue() > 0
                ? Optional.of(Math.min(number.longValue(), now))
                : Optional.empty();
    }
}
