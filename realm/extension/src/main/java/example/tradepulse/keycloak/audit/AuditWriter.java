package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Metrics;
import org.jboss.logging.Logger;

/**
 * One thread that owns the audit file: events queue up, are appended in order and reach the disk together.
 *
 * <p>The transaction whose events these are has committed already, so a failure here cannot undo it. It is counted,
 * logged and retried on a freshly opened file with a growing pause
 * until it succeeds. When the queue is full the request that brings the next event waits a moment for a place;
 * after that the event goes to the server log alone. Keycloak's own event table has it in every case. The metrics
 * tradepulse_audit_records, _lost and _failures (total) say how it goes.
 */
final class AuditWriter implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(AuditWriter.class);
    private static final int CAPACITY = 10_000;
    private static final int GROUP = 500;
    private static final Duration WAIT_FOR_PLACE = Duration.ofSeconds(2);
    private static final Duration FIRST_PAUSE = Duration.ofMillis(200);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
    private static final Duration WAIT_AT_CLOSE = Duration.ofSeconds(10);

    private final BlockingQueue<Map<String, Object>> queue = new ArrayBlockingQueue<>(CAPACITY);
    private final Counter written = Metrics.counter("tradepulse.audit.records");
    private final Counter lost = Metrics.counter("tradepulse.audit.lost");
    private final Counter failures = Metrics.counter("tradepulse.audit.failures");
    private final Path path;
    private final String node;
    private final Thread thread;
    private volatile boolean closing;
    private AuditFile file;

    AuditWriter(Path path, String node) {
        this.path = path;
        this.node = node;
        this.thread = new Thread(this::run, "tradepulse-audit");
        this.thread.setDaemon(true);
    }

    /** Opens the file and starts the thread. Throws IOException when the file cannot be used: do not start then. */
    void start() throws IOException {
        file = AuditFile.open(path, node);
        thread.start();
        LOG.infof("audit goes to %s as node %s, after record %d", path, file.node(), file.sequence());
    }

    /** Hands an event over; returns before it is on disk. */
    void submit(Map<String, Object> event) {
        boolean taken = false;
        try {
            taken = queue.offer(event, WAIT_FOR_PLACE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        if (!taken) {
            lose(event, "the audit queue is full");
        }
    }

    @Override
    public void close() {
        closing = true;
        thread.interrupt();
        try {
            thread.join(WAIT_AT_CLOSE.toMillis());
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        List<Map<String, Object>> group = new ArrayList<>(GROUP);
        while (!closing || !queue.isEmpty()) {
            try {
                Map<String, Object> first = queue.poll(1, TimeUnit.SECONDS);
                if (first == null) {
                    continue;
                }
                group.add(first);
            } catch (InterruptedException wakeUp) {
                // Only close() interrupts: go on until the queue is empty.
                continue;
            }
            queue.drainTo(group, GROUP - 1);
            write(group);
            group.clear();
        }
        closeFile();
    }

    private void write(List<Map<String, Object>> group) {
        Duration pause = FIRST_PAUSE;
        AtomicInteger done = new AtomicInteger();
        while (true) {
            try {
                if (file == null) {
                    file = AuditFile.open(path, node);
                }
                file.append(group, done.get(), done::incrementAndGet);
                written.increment(group.size());
                return;
            } catch (IOException | RuntimeException problem) {
                failures.increment();
                LOG.errorf(problem, "audit: writing to %s failed, %d events wait", path, group.size() - done.get() + queue.size());
                closeFile();
                if (closing) {
                    group.subList(done.get(), group.size()).forEach(event -> lose(event, "the server stops"));
                    return;
                }
                pause = sleep(pause);
            }
        }
    }

    private Duration sleep(Duration pause) {
        try {
            Thread.sleep(pause.toMillis());
        } catch (InterruptedException wakeUp) {
            LOG.debug("audit: woken up to close");
        }
        Duration next = pause.multipliedBy(2);
        return next.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : next;
    }

    private void closeFile() {
        if (file == null) {
            return;
        }
        try {
            file.close();
        } catch (IOException problem) {
            failures.increment();
            LOG.errorf(problem, "audit: closing %s failed", path);
        }
        file = null;
    }

    private void lose(Map<String, Object> event, String reason) {
        lost.increment();
        LOG.errorf("audit: %s, event not written: %s", reason, CanonicalJson.write(event));
    }
}
