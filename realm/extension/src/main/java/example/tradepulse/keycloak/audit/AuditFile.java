package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * The file that the chain of this node goes to, and that other sources append to as well.
 *
 * <p>Whoever appends holds a lock on the file itself, which other processes and languages respect, and first moves
 * half a line that a crash left at the end to {@code <file>.torn-<offset>}. Every line is written by one append. A lock
 * file beside it, {@code <file>.keycloak@<node>.lock}, keeps a second Keycloak of the same node name from forking the
 * chain. Not thread-safe: {@link AuditWriter} owns it.
 *
 * <p>A POSIX lock ends when any descriptor of the file is closed in this process, so both channels stay open.
 */
final class AuditFile implements AutoCloseable {

    private static final int MOST_WRITERS = 9;
    private static final long SETTLE_MILLISECONDS = 50;
    private static final long LOCK_MILLISECONDS = 5_000;
    private static final long POLL_MILLISECONDS = 5;
    private static final FileAttribute<?> OWNER_ONLY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final Path path;
    private final FileChannel nodeChannel;
    private final FileChannel end;
    private final FileChannel whole;
    private final Object identity;
    private final AuditChain chain;

    private AuditFile(Path path, FileChannel nodeChannel, String node) throws IOException {
        this.path = path;
        this.nodeChannel = nodeChannel;
        this.end = FileChannel.open(
                path, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND), OWNER_ONLY);
        try {
            this.whole = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
        } catch (IOException problem) {
            end.close();
            throw problem;
        }
        try (FileLock held = lock(whole)) {
            this.identity = identity(path);
            mend();
            this.chain = LastLine.of(whole, node);
        } catch (IOException | RuntimeException problem) {
            whole.close();
            end.close();
            throw problem;
        }
    }

    /**
     * Opens the file and finds the end of this node's chain. While another process writes as this node (a maintenance
     * command beside the server, or an old server that is still stopping) the chain is that of {@code <node>.2}, or the
     * next free number: a second chain is honest, a forked one is not. Throws IOException when none is free.
     */
    static AuditFile open(Path file, String node) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        for (int number = 1; number <= MOST_WRITERS; number++) {
            String name = number == 1 ? node : node + "." + number;
            Path lockFile = file.resolveSibling(file.getFileName() + "." + AuditChain.SOURCE + "@" + name + ".lock");
            FileChannel nodeChannel =
                    FileChannel.open(lockFile, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE), OWNER_ONLY);
            try {
                if (tryLock(nodeChannel) != null) {
                    return new AuditFile(file, nodeChannel, name);
                }
            } catch (IOException | RuntimeException problem) {
                nodeChannel.close();
                throw problem;
            }
            nodeChannel.close();
        }
        throw new IOException(MOST_WRITERS + " processes write to " + file + " as node " + node + " already");
    }

    /**
     * Appends events as the chain's next lines, from the one at {@code start} on, and waits until they are on disk.
     * {@code done} is told after each line. After an IOException open the file anew, which finds what was written.
     */
    void append(List<Map<String, Object>> events, int start, Runnable done) throws IOException {
        try (FileLock held = lock(whole)) {
            if (!Objects.equals(identity, identity(path))) {
                throw new IOException(path + " was moved or replaced");
            }
            mend();
            for (Map<String, Object> event : events.subList(start, events.size())) {
                ByteBuffer line = ByteBuffer.wrap((chain.link(event) + "\n").getBytes(StandardCharsets.UTF_8));
                end.write(line);
                if (line.hasRemaining()) {
                    throw new IOException("the disk took only a part of an audit line");
                }
                done.run();
            }
            end.force(false);
        }
    }

    /** The node whose chain this is. */
    String node() {
        return chain.node();
    }

    /** How many lines this chain has. */
    long sequence() {
        return chain.sequence();
    }

    @Override
    public void close() throws IOException {
        try (nodeChannel; whole; end) {
            end.force(true);
        }
    }

    /** Moves half a line at the end aside. A writer without the lock may be in the middle of one, so wait and look again. */
    private void mend() throws IOException {
        long size = whole.size();
        long start = LastLine.start(whole, size);
        if (start == size) {
            return;
        }
        pause(SETTLE_MILLISECONDS);
        if (whole.size() != size) {
            mend();
            return;
        }
        byte[] torn = LastLine.read(whole, start, size);
        Path aside = path.resolveSibling(path.getFileName() + ".torn-" + start);
        Files.deleteIfExists(aside);
        try (FileChannel copy = FileChannel.open(
                aside, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), OWNER_ONLY)) {
            copy.write(ByteBuffer.wrap(torn));
            copy.force(true);
        }
        whole.truncate(start);
        whole.force(true);
    }

    private static FileLock lock(FileChannel channel) throws IOException {
        long deadline = System.nanoTime() + LOCK_MILLISECONDS * 1_000_000;
        while (true) {
            FileLock held = tryLock(channel);
            if (held != null) {
                return held;
            }
            if (System.nanoTime() > deadline) {
                throw new IOException("another process holds the audit file");
            }
            pause(POLL_MILLISECONDS);
        }
    }

    private static FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException heldInThisProcess) {
            return null;
        }
    }

    /** What tells this file from another of the same name, null if there is none. */
    static Object identity(Path path) throws IOException {
        try {
            return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
        } catch (NoSuchFileException moved) {
            return null;
        }
    }

    private static void pause(long milliseconds) throws IOException {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for the audit file", interrupted);
        }
    }
}
