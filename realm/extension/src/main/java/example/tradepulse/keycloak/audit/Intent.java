package example.tradepulse.keycloak.audit;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What one transaction is about to make true: its audit records, written ahead of its commit.
 *
 * @param id unique, of this intent
 * @param records unchained, each with its {@code event_id}
 * @param stored the event ids among them that Keycloak's own event table gets in the same database transaction, and by
 *     which that table can say later whether it was committed. Without any, nothing can say so
 */
record Intent(String id, List<Map<String, Object>> records, Set<String> stored) {

    static final String EVENT_ID = "event_id";

    Intent {
        records = List.copyOf(records);
        stored = Set.copyOf(stored);
    }

    /** Whether anybody but this process can say what became of the transaction. */
    boolean provable() {
        return !stored.isEmpty();
    }

    Set<String> eventIds() {
        return records.stream().map(Intent::eventId).collect(Collectors.toSet());
    }

    static String eventId(Map<String, Object> record) {
        return String.valueOf(record.get(EVENT_ID));
    }
}
