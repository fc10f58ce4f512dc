package example.tradepulse.keycloak.audit;

import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/**
 * One audit event before it is chained: every field of the common format is present, null where it does not apply.
 *
 * <p>{@code resource} is one line of {@code name=value} pairs in the order of their names; a value with space in it is
 * quoted as in JSON, so that nobody's choice of a name looks like another pair. Values come from a short
 * list of fields that cannot hold a secret; whatever a person typed is left out, since a password typed into the
 * field for the user name would be among it.
 */
final class AuditRecord {

    private static final DateTimeFormatter TIME = DateTimeFormatter.ISO_INSTANT;
    private static final int LONGEST_VALUE = 256;

    private final Map<String, Object> fields = new TreeMap<>();
    private final Map<String, String> resource = new TreeMap<>();

    /** An event of the given dotted name at a time in milliseconds since 1970, with an id of its own. */
    AuditRecord(String event, boolean success, String action, long time) {
        for (String name : List.of("actor", "partner", "reason", "decision_id", "trace_id", "session", "ip", "assurance_level", "key_version")) {
            fields.put(name, null);
        }
        fields.put("event", event);
        fields.put("outcome", success ? "success" : "failure");
        fields.put("action", action);
        fields.put("amr", List.of());
        fields.put(Intent.EVENT_ID, UUID.randomUUID().toString());
        // Always three digits, so that lines compare as text as they do as time.
        Instant instant = Instant.ofEpochMilli(time).truncatedTo(ChronoUnit.MILLIS);
        fields.put("time", millisecond(instant));
    }

    /** The id under which Keycloak stores the event; null keeps the record's own. */
    AuditRecord id(String id) {
        return id == null ? this : put(Intent.EVENT_ID, id);
    }

    AuditRecord actor(String actor) {
        return put("actor", actor);
    }

    AuditRecord partner(String alias) {
        return put("partner", alias);
    }

    AuditRecord session(String id) {
        return put("session", id);
    }

    AuditRecord ip(String address) {
        return put("ip", address);
    }

    /** The stable code that explains the outcome. */
    AuditRecord reason(String code) {
        return put("reason", code);
    }

    AuditRecord trace(String id) {
        return put("trace_id", id);
    }

    AuditRecord assurance(Assurance assurance) {
        fields.put("assurance_level", assurance.level());
        fields.put("amr", assurance.methods());
        return this;
    }

    /** Adds to what the event was about; a null value adds nothing. */
    AuditRecord about(String name, String value) {
        if (value != null) {
            resource.put(name, unmistakable(bounded(value)));
        }
        return this;
    }

    /** The finished fields, ready to be chained. */
    Map<String, Object> fields() {
        Map<String, Object> finished = new TreeMap<>(fields);
        StringBuilder text = new StringBuilder();
        resource.forEach((name, value) -> text.append(text.isEmpty() ? "" : " ").append(name).append('=').append(value));
        finished.put("resource", text.isEmpty() ? null : text.toString());
        return finished;
    }

    private AuditRecord put(String name, String value) {
        fields.put(name, value == null ? null : bounded(value));
        return this;
    }

    private static String millisecond(Instant instant) {
        String text = TIME.format(instant);
        return text.contains(".") ? text : text.replace("Z", ".000Z");
    }

    private static String unmistakable(String value) {
        boolean plain = value.codePoints().noneMatch(
                unit -> unit == '"' || Character.isWhitespace(unit) || Character.isSpaceChar(unit) || Character.isISOControl(unit));
        return plain ? value : CanonicalJson.write(value);
    }

    private static String bounded(String value) {
        return value.length() <= LONGEST_VALUE ? value : value.substring(0, LONGEST_VALUE) + "…";
    }
}
