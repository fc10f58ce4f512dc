package example.tradepulse.keycloak.risk;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

import org.keycloak.util.JsonSerialization;

import com.fasterxml.jackson.core.type.TypeReference;

/** The note of levels and the seconds since 1970 at which they were proved, {@code {"1":1700000000,"2":1700000003}}. */
final class Levels {

    /** The level that a second factor proves, as a number of {@code acr.loa.map}. */
    static final int FACTOR = 2;

    private Levels() {
    }

    /** Whether a second factor was proved at that time or later. An unreadable note proves nothing. */
    static boolean isFactorProvedSince(String note, long seconds) {
        return read(note).entrySet().stream().anyMatch(entry -> entry.getKey() >= FACTOR && entry.getValue() >= seconds);
    }

    /** The note without what a second factor proved before that time, so that the flow finds the rest and asks anew. */
    static String withoutFactorBefore(String note, long seconds) {
        Map<Integer, Long> levels = read(note);
        levels.entrySet().removeIf(entry -> entry.getKey() >= FACTOR && entry.getValue() < seconds);
        try {
            return JsonSerialization.writeValueAsString(levels);
        } catch (IOException impossible) {
            throw new IllegalStateException("a map of numbers is JSON", impossible);
        }
    }

    private static Map<Integer, Long> read(String note) {
        if (note == null) {
            return new TreeMap<>();
        }
        try {
            return new TreeMap<>(JsonSerialization.readValue(note, new TypeReference<Map<Integer, Long>>() { }));
        } catch (IOException unreadable) {
            return new TreeMap<>();
        }
    }
}
