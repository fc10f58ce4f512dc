package example.tradepulse.keycloak.identity;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;

import org.keycloak.util.JsonSerialization;

/**
 * When a session last proved a level.
 *
 * <p>Keycloak's {@code auth_time} is one for the whole session and moves with every login in it, also with one that asked
 * for less: a password typed now, or a provider that logs in silently, would make a security key used this morning look
 * fresh. The session remembers apart from it when each level was proved.
 */
final class ProofTime {

    /** When a level was proved that nobody proved at a time that counts. */
    static final long NEVER = 0L;

    private ProofTime() {
    }

    /**
     * Seconds since 1970 at which the level or a higher one was last proved.
     *
     * @param levels the session's note of levels and times, {@code {"1":1700000000,"2":1700000003}}, or null
     * @param level the level, 1 for {@code aal1}
     * @return 0, which is never, for a level above the first that the note does not tell or tells unreadably; empty where
     *     there is nothing to tell, as in a session that no login page made
     */
    static Optional<Long> of(String levels, int level) {
        Optional<Long> unknown = level > 1 ? Optional.of(NEVER) : Optional.empty();
        if (levels == null) {
            return unknown;
        }
        try {
            Map<?, ?> times = JsonSerialization.readValue(levels, Map.class);
            return times.entrySet().stream()
                    .filter(entry -> Integer.parseInt(String.valueOf(entry.getKey())) >= level)
                    .map(entry -> Long.valueOf(String.valueOf(entry.getValue())))
                    .max(Long::compare)
                    .or(() -> unknown);
        } catch (IOException | NumberFormatException unreadable) {
            // A level whose time nobody knows was proved at no time that counts.
            return Optional.of(NEVER);
        }
    }
}
