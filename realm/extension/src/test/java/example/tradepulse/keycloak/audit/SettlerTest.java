package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class SettlerTest {

    private static final Instant LONG_AGO = Instant.EPOCH;

    private final BlockingQueue<Intent> written = new LinkedBlockingQueue<>();
    private final BlockingQueue<Intent> gone = new LinkedBlockingQueue<>();
    private final Settler settler = new Settler(written::add, gone::add, Duration.ofMillis(10), Duration.ofMinutes(1));

    @AfterEach
    void close() {
        settler.close();
    }

    @Test
    @DisplayName("what Keycloak has stored is written, the records beside it too, and marked as recovered")
    void stored() throws InterruptedException {
        Map<String, Object> event = record("success");
        Map<String, Object> grant = record("success");
        Intent intent = new Intent("one", List.of(event, grant), Set.of(Intent.eventId(event)));
        settler.left(intent, false, Set.of(), Set.of(), Instant.now());
        settler.start(ids -> ids);
        Intent found = taken(written);
        assertEquals(2, found.records().size());
        found.records().forEach(record -> {
            assertEquals("success", record.get("outcome"));
            assertEquals("write-ahead", record.get("recovered_by"));
        });
    }

    @Test
    @DisplayName("what Keycloak has not stored is dropped, but not while the database may still be committing it")
    void notStored() throws InterruptedException {
        Intent old = intent(true);
        Intent recent = intent(true);
        settler.left(recent, false, Set.of(), Set.of(), Instant.now());
        settler.left(old, false, Set.of(), Set.of(), LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals(old, taken(gone));
        assertNull(gone.poll(100, TimeUnit.MILLISECONDS));
        assertTrue(written.isEmpty());
    }

    @Test
    @DisplayName("that nothing is stored proves nothing any more when the table may have been emptied meanwhile")
    void longAfter() throws InterruptedException {
        Map<String, Object> record = record("success", System.currentTimeMillis() - Settler.SURE_FOR.toMillis() - 1000);
        settler.left(new Intent("one", List.of(record), Set.of(Intent.eventId(record))), false, Set.of(), Set.of(), LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals("unknown", taken(written).records().get(0).get("outcome"));
    }

    @Test
    @DisplayName("a recovered line of one record does not prove the others")
    void recoveredLineProvesNothing() throws InterruptedException {
        Intent intent = new Intent("one", List.of(record("success"), record("success")), Set.of());
        Set<String> line = Set.of(Intent.eventId(intent.records().get(0)));
        settler.left(intent, false, line, line, LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals(List.of("unknown"), taken(written).records().stream().map(one -> one.get("outcome")).toList());
    }

    @Test
    @DisplayName("what nobody can tell about is written with an unknown outcome, and a failure stays a failure")
    void unknown() throws InterruptedException {
        Intent intent = new Intent("one", List.of(record("success"), record("failure")), Set.of());
        settler.left(intent, false, Set.of(), Set.of(), LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals(List.of("unknown", "failure"), taken(written).records().stream().map(one -> one.get("outcome")).toList());
    }

    @Test
    @DisplayName("what was noted as committed is written as it is, though Keycloak stores nothing of it")
    void noted() throws InterruptedException {
        settler.left(intent(false), true, Set.of(), Set.of(), LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals("success", taken(written).records().get(0).get("outcome"));
    }

    @Test
    @DisplayName("what has its line gets no second, and of what was written by half only the rest is written")
    void writtenAlready() throws InterruptedException {
        Intent whole = intent(true);
        Map<String, Object> first = record("success");
        Map<String, Object> second = record("success");
        Intent half = new Intent("half", List.of(first, second), Set.of());
        Set<String> lines = Set.of(Intent.eventId(whole.records().get(0)), Intent.eventId(first));
        settler.left(whole, false, Set.of(Intent.eventId(whole.records().get(0))), Set.of(), LONG_AGO);
        settler.left(half, false, lines, Set.of(), LONG_AGO);
        settler.start(ids -> ids);
        assertEquals(whole, taken(gone));
        Intent rest = taken(written);
        assertEquals(List.of(Intent.eventId(second)), rest.records().stream().map(Intent::eventId).toList());
        assertEquals("success", rest.records().get(0).get("outcome"));
    }

    @Test
    @DisplayName("a line of another intent proves nothing about this one")
    void foreignLine() throws InterruptedException {
        Intent intent = intent(false);
        settler.left(intent, false, Set.of("another"), Set.of(), LONG_AGO);
        settler.start(ids -> Set.of());
        assertEquals("unknown", taken(written).records().get(0).get("outcome"));
    }

    @Test
    @DisplayName("while Keycloak's events cannot be asked nothing is decided, and afterwards everything is")
    void notAsked() throws InterruptedException {
        AtomicInteger questions = new AtomicInteger();
        settler.left(intent(true), false, Set.of(), Set.of(), LONG_AGO);
        settler.start(ids -> {
            if (questions.incrementAndGet() < 3) {
                throw new IllegalStateException("the database is away");
            }
            return ids;
        });
        assertEquals("success", taken(written).records().get(0).get("outcome"));
        assertTrue(gone.isEmpty());
    }

    private static Intent taken(BlockingQueue<Intent> queue) throws InterruptedException {
        Intent intent = queue.poll(10, TimeUnit.SECONDS);
        assertTrue(intent != null, "nothing was settled");
        return intent;
    }

    private static Intent intent(boolean provable) {
        Map<String, Object> record = record("success");
        return new Intent(Intent.eventId(record), List.of(record), provable ? Set.of(Intent.eventId(record)) : Set.of());
    }

    private static Map<String, Object> record(String outcome) {
        return record(outcome, System.currentTimeMillis());
    }

    private static Map<String, Object> record(String outcome, long time) {
        return new AuditRecord("login", outcome.equals("success"), "authenticate", time).fields();
    }
}
