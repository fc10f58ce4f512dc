package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Where the write-ahead log of a node lies: beside the audit file, as {@code <file>.keycloak@<node>.<number>.wal}.
 *
 * <p>A process holds the lock of its place as long as it lives, so what lies in a place that can be locked was left by a
 * process that is gone. A second process of a node has a place of its own, {@code <node>.2}, and whichever starts next takes
 * over what such a one left.
 */
final class WriteAheadPlace implements AutoCloseable {

    private static final int MOST_PROCESSES = 9;
    private static final String SUFFIX = ".wal";

    private final Path audit;
    private final String prefix;
    private final FileChannel lock;
    private long last;

    private WriteAheadPlace(Path audit, String prefix, FileChannel lock) throws IOException {
        this.audit = audit;
        this.prefix = prefix;
        this.lock = lock;
        for (Path segment : segments(audit, prefix)) {
            last = Math.max(last, number(segment, prefix));
        }
    }

    /** The first free place of a node, with everything in it that gone processes of this node left. Throws IOException. */
    static WriteAheadPlace take(Path audit, String node) throws IOException {
        Files.createDirectories(audit.toAbsolutePath().getParent());
        WriteAheadPlace ours = null;
        for (int number = 1; number <= MOST_PROCESSES; number++) {
            String prefix = audit.getFileName() + "." + AuditChain.SOURCE + "@" + node + (number == 1 ? "" : "." + number) + ".";
            Path lockFile = audit.resolveSibling(prefix + "wal.lock");
            if (ours != null && !Files.exists(lockFile)) {
                continue;
            }
            FileChannel channel = FileChannel.open(
                    lockFile, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE), WriteAheadSegment.OWNER_ONLY);
            if (!locked(channel)) {
                channel.close();
            } else if (ours == null) {
                ours = new WriteAheadPlace(audit, prefix, channel);
            } else {
                try (channel) {
                    ours.adopt(prefix);
                }
            }
        }
        if (ours == null) {
            throw new IOException(MOST_PROCESSES + " processes write ahead of " + audit + " as node " + node + " already");
        }
        return ours;
    }

    /** The segments here, oldest first. */
    List<Path> segments() throws IOException {
        return segments(audit, prefix);
    }

    /** Starts the next segment. */
    WriteAheadSegment next() throws IOException {
        return WriteAheadSegment.create(path(++last), audit);
    }

    @Override
    public void close() throws IOException {
        lock.close();
    }

    private void adopt(String otherPrefix) throws IOException {
        for (Path segment : segments(audit, otherPrefix)) {
            Files.move(segment, path(++last));
        }
    }

    private Path path(long number) {
        return audit.resolveSibling(prefix + String.format("%012d", number) + SUFFIX);
    }

    private static List<Path> segments(Path audit, String prefix) throws IOException {
        try (Stream<Path> files = Files.list(audit.toAbsolutePath().getParent())) {
            return files.filter(file -> number(file, prefix) > 0).sorted().toList();
        }
    }

    private static long number(Path file, String prefix) {
        String name = file.getFileName().toString();
        if (!name.startsWith(prefix) || !name.endsWith(SUFFIX)) {
            return 0;
        }
        String digits = name.substring(prefix.length(), Math.max(prefix.length(), name.length() - SUFFIX.length()));
        return digits.matches("[0-9]{12}") ? Long.parseLong(digits) : 0;
    }

    private static boolean locked(FileChannel channel) throws IOException {
        try {
            FileLock held = channel.tryLock();
            return held != null;
        } catch (OverlappingFileLockException heldInThisProcess) {
            return false;
        }
    }
}
