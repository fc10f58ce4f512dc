package example.tradepulse.keycloak.bypass;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;

import org.keycloak.models.Constants;
import org.keycloak.models.UserSessionModel;
import org.keycloak.sessions.AuthenticationSessionModel;
import org.keycloak.util.JsonSerialization;

/**
 * What a session remembers of the emergency code that was used in it.
 *
 * @param used seconds since 1970 of that login
 * @param ends seconds since 1970 from which on the code, and with it what the session proved by it, is worth nothing
 */
public record BypassProof(long used, long ends) {

    /** The value that it has in {@code amr}; RFC 8176 has none. */
    public static final String METHOD = "mfa_bypass";

    private static final String NOTE = "tradepulse.bypass";

    /** Keycloak notes a level when the sub-flow ends, a little after the code was looked at; no factor is proved that soon. */
    private static final long SAME_LOGIN_SECONDS = 30;

    /** The proof in a session whose second level nothing else proved since. */
    public static Optional<BypassProof> carrying(UserSessionModel session) {
        return session == null ? Optional.empty() : carrying(session.getNote(NOTE), session.getNote(Constants.LOA_MAP));
    }

    /** Whether the login that is going on used a code. */
    public static boolean isIn(AuthenticationSessionModel login) {
        return login.getUserSessionNotes().containsKey(NOTE);
    }

    /** Whether what it proved has ended. */
    public boolean isOver(long now) {
        return now >= ends;
    }

    void keep(AuthenticationSessionModel login) {
        login.setUserSessionNote(NOTE, used + " " + ends);
    }

    /**
     * The proof of a note, unless a level above the first was proved later than by it.
     *
     * @param note {@code "<used> <ends>"}; one that cannot be read ended long ago
     * @param levels the session's note of levels and the seconds at which they were proved
     */
    static Optional<BypassProof> carrying(String note, String levels) {
        if (note == null) {
            return Optional.empty();
        }
        BypassProof proof = read(note);
        return proof.isNewest(levels) ? Optional.of(proof) : Optional.empty();
    }

    private static BypassProof read(String note) {
        String[] words = note.split(" ");
        try {
            return new BypassProof(Long.parseLong(words[0]), Long.parseLong(words[1]));
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException unreadable) {
            return new BypassProof(Long.MAX_VALUE - SAME_LOGIN_SECONDS, 0);
        }
    }

    private boolean isNewest(String levels) {
        try {
            Map<?, ?> times = levels == null ? Map.of() : JsonSerialization.readValue(levels, Map.class);
            return times.entrySet().stream()
                    .filter(entry -> Integer.parseInt(String.valueOf(entry.getKey())) >= 2)
                    .allMatch(entry -> Long.parseLong(String.valueOf(entry.getValue())) <= used + SAME_LOGIN_SECONDS);
        } catch (IOException | NumberFormatException unreadable) {
            return true;
        }
    }
}
