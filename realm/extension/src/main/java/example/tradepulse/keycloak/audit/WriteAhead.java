package example.tradepulse.keycloak.audit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

import org.jboss.logging.Logger;

/**
 * The log that a transaction's records are in, durably, before it commits.
 *
 * <p>Transactions that commit at the same time share one sync: the first of them to get the disk writes for all that came
 * meanwhile. Nothing else on this path waits for anything. Segments are small, and one is deleted, oldest first, when all its
 * intents are settled; so a node that stops in order leaves none behind.
 */
final class WriteAhead implements AutoCloseable {

    private static final Logger LOG = Logger.getLogger(WriteAhead.class);
    private static final long SEGMENT_BYTES = 4L << 20;
    private static final long DISK_MILLISECONDS = 5_000;

    private final WriteAheadPlace place;
    private final ReentrantLock disk = new ReentrantLock();
    private final Deque<Written> segments = new ArrayDeque<>();
    private WriteAheadSegment current;
    private Batch next = new Batch();

    /** A segment and which of its intents nobody has settled yet. */
    private record Written(Path path, Set<String> open) { }

    private static final class Batch {
        private final ByteArrayOutputStream lines = new ByteArrayOutputStream();
        private final List<String> intents = new ArrayList<>();
        private boolean durable;
        private boolean done;
        private IOException failure;
    }

    private WriteAhead(WriteAheadPlace place) {
        this.place = place;
    }

    /** Takes the node's place and adds what earlier processes left there to {@code left}. Throws IOException. */
    static WriteAhead open(Path audit, String node, LeftBehind left) throws IOException {
        WriteAheadPlace place = WriteAheadPlace.take(audit, node);
        try {
            WriteAhead log = new WriteAhead(place);
            for (Path segment : place.segments()) {
                left.add(WriteAheadSegment.read(segment));
                log.segments.add(new Written(segment, new HashSet<>()));
            }
            for (Written segment : log.segments) {
                segment.open().addAll(WriteAheadSegment.read(segment.path()).intents().keySet());
                segment.open().retainAll(left.intents());
            }
            log.rotate();
            log.forget();
            return log;
        } catch (IOException | RuntimeException problem) {
            place.close();
            throw problem;
        }
    }

    /** Writes an intent; it is on disk on return. Throws IOException if that cannot be had: do not commit then. */
    void write(Intent intent) throws IOException {
        byte[] line = WriteAheadSegment.line(WriteAheadSegment.content(intent));
        if (!append(line, intent.id())) {
            throw new IOException("the disk took no audit record within " + DISK_MILLISECONDS / 1000 + " s");
        }
    }

    /** Notes that transactions nobody else can tell about have committed. Lost only with the whole machine. */
    void committed(Collection<Intent> intents) throws IOException {
        mark("committed", intents);
    }

    /** Notes that these are in the audit file, or were rolled back. */
    void settled(Collection<Intent> intents) throws IOException {
        // Nothing waits for this, so it waits for the disk: an intent for which the disk was too slow lies before the mark then,
        // and is not taken for open when it is written later. One id that stayed open would keep every segment after it.
        disk.lock();
        try {
            mark("settled", intents);
        } finally {
            // Also where the disk is full: what is in the audit file needs no segment, and deleting some is what helps.
            try {
                List<String> ids = intents.stream().map(Intent::id).toList();
                segments.forEach(segment -> ids.forEach(segment.open()::remove));
                forget();
            } finally {
                disk.unlock();
            }
        }
    }

    @Override
    public void close() throws IOException {
        disk.lock();
        try (place) {
            abandon();
            forget();
            if (segments.size() == 1 && segments.getFirst().open().isEmpty()) {
                Files.deleteIfExists(segments.getFirst().path());
            }
        } finally {
            disk.unlock();
        }
    }

    private void mark(String what, Collection<Intent> intents) throws IOException {
        append(WriteAheadSegment.line(Map.of(what, intents.stream().map(Intent::id).toList())), null);
    }

    /** Whether the line is written, and synced if it is an intent's; false if the disk is busy for too long. */
    private boolean append(byte[] line, String intent) throws IOException {
        Batch mine;
        synchronized (this) {
            mine = next;
            mine.lines.writeBytes(line);
            if (intent != null) {
                mine.intents.add(intent);
                mine.durable = true;
            }
        }
        try {
            if (!disk.tryLock(DISK_MILLISECONDS, TimeUnit.MILLISECONDS)) {
                return false;
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
        try {
            if (!mine.done) {
                synchronized (this) {
                    next = new Batch();
                }
                flush(mine);
            }
        } finally {
            disk.unlock();
        }
        if (mine.failure != null) {
            throw new IOException("the write-ahead log of the audit cannot be written: " + mine.failure.getMessage(), mine.failure);
        }
        return true;
    }

    private void flush(Batch batch) {
        batch.done = true;
        try {
            if (current == null || current.size() > SEGMENT_BYTES) {
                rotate();
            }
            current.append(batch.lines.toByteArray(), batch.durable);
            segments.getLast().open().addAll(batch.intents);
        } catch (IOException problem) {
            batch.failure = problem;
            // Whatever of it did reach the file, the next lines are not to stand behind.
            abandon();
        }
    }

    private void abandon() {
        try (WriteAheadSegment unusable = current) {
            current = null;
        } catch (IOException problem) {
            LOG.warnf("audit: a segment of the write-ahead log could not be closed: %s", problem.getMessage());
        }
    }

    private void rotate() throws IOException {
        WriteAheadSegment fresh = place.next();
        if (current != null) {
            current.close();
        }
        current = fresh;
        segments.add(new Written(fresh.path, new HashSet<>()));
    }

    /** Deletes settled segments, oldest first: a later one may hold the marks of an earlier. */
    private void forget() throws IOException {
        while (segments.size() > 1 && segments.getFirst().open().isEmpty()) {
            Files.deleteIfExists(segments.removeFirst().path());
        }
    }
}
