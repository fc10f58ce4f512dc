package example.tradepulse.keycloak.audit;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import org.jboss.logging.Logger;

/**
 * Finds out what became of transactions that this process did not see end: a crash came in between, or the database did not
 * answer the commit.
 *
 * <p>The events of a transaction stand in Keycloak's own table if and only if it was committed, since they are written in
 * it. A yes is believed at once. A no is believed only when the transaction can no longer be under way in the database, and
 * for an hour after the event: later the table may have been emptied, by its retention or by an administrator. Where the table
 * cannot tell, the record says that its outcome is unknown.
 */
final class Settler implements AutoCloseable {

    /** Keycloak's own event table. */
    interface Store {

        /** Those of the event ids that are stored. Throws RuntimeException if it cannot be asked. */
        Set<String> present(Set<String> ids);
    }

    static final String RECOVERED = "recovered_by";
    static final Duration SURE_AFTER = Duration.ofSeconds(10);
    static final Duration SURE_FOR = Duration.ofHours(1);

    private static final Logger LOG = Logger.getLogger(Settler.class);
    private static final String WAY = "write-ahead";
    private static final int ASKED_AT_ONCE = 500;

    /**
     * An intent in doubt since a moment; {@code written} are the event ids that have their line already, {@code unsure} those
     * of them whose line was recovered, perhaps without knowing the outcome.
     */
    private record Doubt(Intent intent, boolean committed, Set<String> written, Set<String> unsure, Instant since) {

        List<Map<String, Object>> missing() {
            return intent.records().stream().filter(record -> !written.contains(Intent.eventId(record))).toList();
        }

        /** Whether one of its records has a line that was only written because the transaction had committed. */
        boolean provedByLine() {
            return intent.eventIds().stream().anyMatch(id -> written.contains(id) && !unsure.contains(id));
        }

        /** Whether Keycloak's table is to be believed when it has nothing of this. */
        boolean deniable() {
            Instant oldest = Instant.now().minus(SURE_FOR);
            return intent.provable() && intent.records().stream()
                    .allMatch(record -> Instant.parse(String.valueOf(record.get("time"))).isAfter(oldest));
        }
    }

    private final Consumer<Intent> committed;
    private final Consumer<Intent> gone;
    private final Duration pause;
    private final Duration sureAfter;
    private final BlockingQueue<Doubt> doubts = new LinkedBlockingQueue<>();
    private Thread thread;
    private volatile boolean closing;

    /**
     * @param committed gets what is to be written, its records marked as recovered
     * @param gone gets what needs no line
     * @param pause between two questions
     * @param sureAfter after which a transaction whose process is gone cannot be under way any more
     */
    Settler(Consumer<Intent> committed, Consumer<Intent> gone, Duration pause, Duration sureAfter) {
        this.committed = committed;
        this.gone = gone;
        this.pause = pause;
        this.sureAfter = sureAfter;
    }

    /** An intent of a process that is gone since a moment. */
    void left(Intent intent, boolean knownCommitted, Set<String> written, Set<String> unsure, Instant since) {
        doubts.add(new Doubt(intent, knownCommitted, written, unsure, since));
    }

    /** An intent whose commit failed in a way that says nothing about the database. */
    void failed(Intent intent) {
        doubts.add(new Doubt(intent, false, Set.of(), Set.of(), Instant.now()));
    }

    /** Begins to ask. */
    void start(Store store) {
        thread = new Thread(() -> run(store), "tradepulse-audit-settler");
        thread.setDaemon(true);
        thread.start();
    }

    /** How many are in doubt and not being looked at. */
    int size() {
        return doubts.size();
    }

    @Override
    public void close() {
        closing = true;
        if (thread != null) {
            thread.interrupt();
        }
    }

    private void run(Store store) {
        List<Doubt> open = new ArrayList<>();
        while (!closing) {
            try {
                Doubt first = open.isEmpty() ? doubts.take() : doubts.poll(pause.toMillis(), TimeUnit.MILLISECONDS);
                if (first != null) {
                    open.add(first);
                }
                doubts.drainTo(open);
                open = settle(open, store);
            } catch (InterruptedException stop) {
                return;
            } catch (RuntimeException problem) {
                // They stay in the write-ahead log, whatever becomes of this process.
                LOG.warnf("audit: what became of %d transactions cannot be asked yet: %s", open.size(), problem.getMessage());
            }
        }
    }

    /** Settles what can be settled now and returns the rest. */
    List<Doubt> settle(List<Doubt> open, Store store) {
        Set<String> stored = ask(open, store);
        Instant sure = Instant.now().minus(sureAfter);
        List<Doubt> rest = new ArrayList<>();
        for (Doubt doubt : open) {
            List<Map<String, Object>> missing = doubt.missing();
            boolean proved = doubt.committed() || doubt.provedByLine()
                    || doubt.intent().stored().stream().anyMatch(stored::contains);
            if (missing.isEmpty()) {
                gone.accept(doubt.intent());
            } else if (proved) {
                committed.accept(recovered(doubt.intent(), missing, false));
            } else if (!doubt.deniable()) {
                committed.accept(recovered(doubt.intent(), missing, true));
            } else if (doubt.since().isBefore(sure)) {
                gone.accept(doubt.intent());
            } else {
                rest.add(doubt);
            }
        }
        return rest;
    }

    private static Set<String> ask(List<Doubt> open, Store store) {
        Set<String> stored = new HashSet<>();
        Set<String> part = new HashSet<>();
        for (Doubt doubt : open) {
            part.addAll(doubt.intent().stored());
            if (part.size() >= ASKED_AT_ONCE) {
                stored.addAll(store.present(part));
                part.clear();
            }
        }
        if (!part.isEmpty()) {
            stored.addAll(store.present(part));
        }
        return stored;
    }

    private static Intent recovered(Intent intent, List<Map<String, Object>> records, boolean unknown) {
        List<Map<String, Object>> marked = records.stream().map(record -> {
            Map<String, Object> copy = new HashMap<>(record);
            copy.put(RECOVERED, WAY);
            if (unknown && "success".equals(copy.get("outcome"))) {
                // A failure has no effect that a rollback could take back; only a success is in doubt.
                copy.put("outcome", "unknown");
            }
            return copy;
        }).toList();
        return new Intent(intent.id(), marked, intent.stored());
    }
}
