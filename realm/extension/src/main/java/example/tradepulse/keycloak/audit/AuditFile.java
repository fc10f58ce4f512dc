package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Map;
import java.util.Set;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * The file that the chain of this node goes to, and that other sources may append to as well.
 *
 * <p>Every line is written by one append, so lines of several processes never mix. A lock file beside it,
 * {@code <file>.keycloak@<node>.lock}, keeps a second Keycloak of the same node name from forking the chain. When it is
 * opened, the chain goes on after its own last line; a last line without its end, which a crash leaves behind, is moved
 * to {@code <file>.torn-<time>} first. Not thread-safe: {@link AuditWriter} owns it.
 */
final class AuditFile implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BLOCK = 1 << 16;
    private static final int MOST_WRITERS = 9;
    private static final long SETTLE_MILLISECONDS = 200;
    private static final FileAttribute<?> OWNER_ONLY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private final FileChannel lockChannel;
    private final FileLock lock;
    private final FileChannel channel;
    private final AuditChain chain;

    private AuditFile(FileChannel lockChannel, FileLock lock, FileChannel channel, AuditChain chain) {
        this.lockChannel = lockChannel;
        this.lock = lock;
        this.channel = channel;
        this.chain = chain;
    }

    /**
     * Opens the file and finds the end of this node's chain. While another process writes as this node (a maintenance
     * command beside the server, or an old server that is still stopping) the chain is that of {@code <node>.2}, or the
     * next free number: a second chain is honest, a forked one is not. Throws IOException when none is free.
     */
    static AuditFile open(Path file, String node) throws IOException {
        for (int number = 1; number <= MOST_WRITERS; number++) {
            AuditFile opened = tryOpen(file, number == 1 ? node : node + "." + number);
            if (opened != null) {
                return opened;
            }
        }
        throw new IOException(MOST_WRITERS + " processes write to " + file + " as node " + node + " already");
    }

    private static AuditFile tryOpen(Path file, String node) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        Path lockFile = file.resolveSibling(file.getFileName() + "." + AuditChain.SOURCE + "@" + node + ".lock");
        FileChannel lockChannel =
                FileChannel.open(lockFile, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE), OWNER_ONLY);
        try {
            FileLock lock = lockOf(lockChannel);
            if (lock == null) {
                lockChannel.close();
                return null;
            }
            mend(file);
            AuditChain chain = resume(file, node);
            FileChannel channel = FileChannel.open(
                    file, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND), OWNER_ONLY);
            return new AuditFile(lockChannel, lock, channel, chain);
        } catch (IOException | RuntimeException problem) {
            lockChannel.close();
            throw problem;
        }
    }

    /** Appends one event as the chain's next line. Not on disk before {@link #sync()}. */
    void append(Map<String, Object> event) throws IOException {
        ByteBuffer line = ByteBuffer.wrap((chain.link(event) + "\n").getBytes(StandardCharsets.UTF_8));
        channel.write(line);
        if (line.hasRemaining()) {
            // A full disk cut the line. The caller reopens the file, which moves the torn line aside.
            throw new IOException("the disk took only a part of an audit line");
        }
    }

    /** Waits until every appended line is on disk. */
    void sync() throws IOException {
        channel.force(false);
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
        try (lockChannel; lock; channel) {
            channel.force(true);
        }
    }

    private static FileLock lockOf(FileChannel lockChannel) throws IOException {
        try {
            return lockChannel.tryLock();
        } catch (OverlappingFileLockException heldInThisProcess) {
            return null;
        }
    }

    private static void mend(Path file) throws IOException {
        if (!Files.exists(file)) {
            return;
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            long end = settledSize(channel);
            long start = lastLineEnd(channel, end) + 1;
            if (start == end) {
                return;
            }
            ByteBuffer torn = ByteBuffer.allocate(Math.toIntExact(end - start));
            while (torn.hasRemaining() && channel.read(torn, start + torn.position()) >= 0) {
                continue;
            }
            String name = file.getFileName() + ".torn-" + Instant.now().toString().replace(":", "");
            Files.write(file.resolveSibling(name), torn.array(), StandardOpenOption.CREATE_NEW, StandardOpenOption.SYNC);
            channel.truncate(start);
            channel.force(true);
        }
    }

    /** The size once nobody is in the middle of a line: another source may be appending to the same file. */
    private static long settledSize(FileChannel channel) throws IOException {
        long size = channel.size();
        while (size > 0 && lastLineEnd(channel, size) + 1 != size) {
            try {
                Thread.sleep(SETTLE_MILLISECONDS);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while the audit file settles", interrupted);
            }
            long now = channel.size();
            if (now == size) {
                return size;
            }
            size = now;
        }
        return size;
    }

    private static AuditChain resume(Path file, String node) throws IOException {
        if (!Files.exists(file)) {
            return new AuditChain(node);
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long end = channel.size() - 1;
            while (end > 0) {
                long start = lastLineEnd(channel, end) + 1;
                JsonNode record = parse(read(channel, start, end));
                if (AuditChain.SOURCE.equals(record.path("source").asText()) && node.equals(record.path("node").asText())) {
                    return new AuditChain(node, record.path("seq").asLong(), hashOf(record));
                }
                end = start - 1;
            }
        }
        return new AuditChain(node);
    }

    private static JsonNode parse(byte[] line) throws IOException {
        try {
            return JSON.readTree(line);
        } catch (JsonProcessingException problem) {
            // Another writer's broken line is for the verifier to report. It cannot be the end of our chain.
            return JSON.createObjectNode();
        }
    }

    private static String hashOf(JsonNode record) throws IOException {
        String hash = record.path("hash").asText();
        if (!hash.matches("[0-9a-f]{64}") || record.path("seq").asLong() < 1) {
            throw new IOException("the last audit line of this node has no valid seq and hash: verify the file before going on");
        }
        return hash;
    }

    /** The position of the last line end before {@code end}, or -1. Reads backwards in blocks. */
    private static long lastLineEnd(FileChannel channel, long end) throws IOException {
        long from = end;
        while (from > 0) {
            long start = Math.max(0, from - BLOCK);
            byte[] block = read(channel, start, from);
            for (int index = block.length - 1; index >= 0; index--) {
                if (block[index] == '\n') {
                    return start + index;
                }
            }
            from = start;
        }
        return -1;
    }

    private static byte[] read(FileChannel channel, long start, long end) {
        try {
            ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(end - start));
            while (bytes.hasRemaining() && channel.read(bytes, start + bytes.position()) >= 0) {
                continue;
            }
            return bytes.array();
        } catch (IOException problem) {
            throw new UncheckedIOException(problem);
        }
    }
}
