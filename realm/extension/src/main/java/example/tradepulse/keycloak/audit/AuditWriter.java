package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import io.micrometer.core.instrument.Metrics;
import org.jboss.logging.Logger;

/**
 * Brings records into the audit file: {@link #announce} before a transaction commits, {@link #committed} after.
 *
 * <p>What is announced is durable, so nothing is lost by a crash and nothing has to wait for the audit file: one thread owns
 * it, appends in groups, and retries on a freshly opened file with a growing pause until it succeeds. When too much waits for
 * it, transactions are refused. The metrics {@code tradepulse_audit_records} (lines written), {@code _failures} (attempts),
 * {@code _refused} (transactions), {@code _recovered} and {@code _unknown} (lines) say how it goes.
 */
final class AuditWriter implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(AuditWriter.class);
    private static final int MOST_WAITING = 10_000;
    private static final int GROUP = 500;
    private static final Duration WAIT_FOR_PLACE = Duration.ofSeconds(2);
    private static final Duration FIRST_PAUSE = Duration.ofMillis(200);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
    private static final Duration WAIT_AT_CLOSE = Duration.ofSeconds(10);
    private static final Intent STOP = new Intent("stop", List.of(), Set.of());

    private static final List<String> METRICS = List.of("records", "failures", "refused", "recovered", "unknown");

    private final BlockingQueue<Intent> queue = new LinkedBlockingQueue<>();
    private final BlockingQueue<Intent> needless = new LinkedBlockingQueue<>();
    private final CountDownLatch stopping = new CountDownLatch(1);
    private final Path path;
    private final String node;
    private final Settler settler;
    private final Thread thread;
    private AuditFile file;
    private WriteAhead ahead;

    AuditWriter(Path path, String node, Duration sureAfter) {
        this.path = path;
        this.node = node;
        this.settler = new Settler(this::recovered, needless::add, Duration.ofSeconds(1), sureAfter);
        this.thread = new Thread(this::run, "tradepulse-audit");
        this.thread.setDaemon(true);
    }

    /** Opens the files and starts the thread. Throws IOException when they cannot be used: do not start then. */
    void start() throws IOException {
        file = AuditFile.open(path, node);
        LeftBehind left = new LeftBehind();
        try {
            ahead = WriteAhead.open(path, node, left);
            // The file is read before anything is added to it, so what it has of an intent is from the process that is gone.
            Set<String> written = left.written(path);
            Instant since = Instant.ofEpochMilli(ManagementFactory.getRuntimeMXBean().getStartTime());
            left.unsettled().forEach(intent -> settler.left(intent, left.committed(intent), written, left.unsure(), since));
        } catch (IOException | RuntimeException problem) {
            close(file);
            throw problem;
        }
        // There from the start, so that an alert is about a number and not about its absence.
        METRICS.forEach(name -> count(name, 0));
        thread.start();
        LOG.infof("audit goes to %s as node %s, after record %d; %d transactions are to be settled",
                path, file.node(), file.sequence(), left.unsettled().size());
    }

    /** Begins to settle what an earlier process left, now that Keycloak's own events can be asked. */
    void settle(Settler.Store store) {
        settler.start(store);
    }

    /**
     * Writes the records of a transaction ahead of its commit. Throws IOException if that cannot be done in time; the
     * transaction is not to commit then.
     */
    Intent announce(List<Map<String, Object>> records, Set<String> stored) throws IOException {
        Intent intent = new Intent(UUID.randomUUID().toString(), records, stored);
        try {
            waitForPlace();
            ahead.write(intent);
            return intent;
        } catch (IOException problem) {
            count("refused", 1);
            needless.add(intent);
            throw problem;
        }
    }

    /** The transaction of an intent has committed. */
    void committed(Intent intent) {
        if (!intent.provable()) {
            try {
                ahead.committed(List.of(intent));
            } catch (IOException problem) {
                LOG.warnf("audit: a commit could not be noted, a crash now would leave it unknown: %s", problem.getMessage());
            }
        }
        queue.add(intent);
    }

    /** The commit of an announced transaction failed, and what the database did is to be found out. */
    void failed(Intent intent) {
        settler.failed(intent);
    }

    /** Writes what is committed. What is in doubt stays in the write-ahead log for the next start. */
    @Override
    public void close() {
        settler.close();
        stopping.countDown();
        queue.add(STOP);
        try {
            thread.join(WAIT_AT_CLOSE.toMillis());
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        close(ahead);
    }

    private void recovered(Intent intent) {
        boolean unknown = intent.records().stream().anyMatch(record -> "unknown".equals(record.get("outcome")));
        count(unknown ? "unknown" : "recovered", intent.records().size());
        queue.add(intent);
    }

    private void waitForPlace() throws IOException {
        long end = System.nanoTime() + WAIT_FOR_PLACE.toNanos();
        while (queue.size() >= MOST_WAITING) {
            if (System.nanoTime() > end || !pause(Duration.ofMillis(20))) {
                throw new IOException(queue.size() + " transactions wait for the audit file already");
            }
        }
    }

    private void run() {
        List<Intent> group = new ArrayList<>(GROUP);
        boolean stop = false;
        while (!stop) {
            try {
                Intent first = queue.poll(1, TimeUnit.SECONDS);
                if (first != null) {
                    group.add(first);
                    queue.drainTo(group, GROUP - 1);
                }
            } catch (InterruptedException unexpected) {
                LOG.warn("audit: the writer was interrupted and goes on");
            }
            stop = group.remove(STOP) && queue.isEmpty() || stopping.getCount() == 0 && queue.isEmpty();
            boolean written = group.isEmpty() || write(group);
            List<Intent> settled = written ? new ArrayList<>(group) : new ArrayList<>();
            needless.drainTo(settled);
            settled(settled);
            group.clear();
        }
        close(file);
    }

    /** Whether it was written; false only when the server stops and the file cannot be used. */
    private boolean write(List<Intent> group) {
        List<Map<String, Object>> records = group.stream().flatMap(intent -> intent.records().stream()).toList();
        Duration wait = FIRST_PAUSE;
        AtomicInteger done = new AtomicInteger();
        while (true) {
            try {
                if (file == null) {
                    file = AuditFile.open(path, node);
                }
                file.append(records, done.get(), done::incrementAndGet);
                count("records", records.size());
                return true;
            } catch (IOException | RuntimeException problem) {
                count("failures", 1);
                LOG.errorf(problem, "audit: writing to %s failed, %d transactions wait", path, group.size() + queue.size());
                close(file);
                file = null;
                if (!pause(wait)) {
                    return false;
                }
                wait = wait.multipliedBy(2).compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : wait.multipliedBy(2);
            }
        }
    }

    private void settled(Collection<Intent> intents) {
        if (intents.isEmpty()) {
            return;
        }
        try {
            ahead.settled(intents);
        } catch (IOException problem) {
            // The lines themselves will tell the next start that they are written.
            LOG.warnf("audit: %d settled transactions could not be marked: %s", intents.size(), problem.getMessage());
        }
    }

    /** False if the server stops meanwhile. */
    private boolean pause(Duration time) {
        try {
            return !stopping.await(time.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static void count(String name, int more) {
        Metrics.counter("tradepulse.audit." + name).increment(more);
    }

    private static void close(AutoCloseable resource) {
        try {
            if (resource != null) {
                resource.close();
            }
        } catch (Exception problem) {
            LOG.errorf(problem, "audit: a file could not be closed");
        }
    }
}
